"""Priors as data: the weak one by setting, and one centred on a published law."""

from __future__ import annotations

import pytest

from hptransfer.errors import UsageError
from hptransfer.estimators.priors import exponent_prior
from hptransfer.numerics.centroids import LawPrior
from hptransfer.numerics.surface import Normal


def test_the_weak_prior_is_the_one_derived_in_the_docs() -> None:
    """Values of docs/priors.md."""
    assert exponent_prior("weak", parametrization="standard", batch_searched=True) == LawPrior(
        lr_params=Normal(-0.40, 0.30),
        lr_tokens=Normal(0.0, 0.30),
        batch_params=Normal(0.0, 0.15),
        batch_tokens=Normal(0.50, 0.15),
        ridge=Normal(0.50, 0.25),
    )


def test_under_mup_the_lr_does_not_move_with_params() -> None:
    prior = exponent_prior("weak", parametrization="mup", batch_searched=True)
    assert prior.lr_params == Normal(0.0, 0.15)


def test_at_a_fixed_batch_the_lr_falls_with_tokens() -> None:
    prior = exponent_prior("weak", parametrization="standard", batch_searched=False)
    assert prior.lr_tokens == Normal(-0.25, 0.20)
    assert (prior.batch_tokens, prior.ridge) == (None, None)


def test_none_is_no_prior() -> None:
    assert exponent_prior("none", parametrization="mup", batch_searched=True) == LawPrior()


def test_a_published_law_moves_the_centres_only() -> None:
    """Step Law's exponents (arXiv:2503.04715): LR ~ N^-0.713 D^0.307, batch ~ D^0.571."""
    prior = exponent_prior("step-law", parametrization="standard", batch_searched=True)
    assert prior.lr_params == Normal(-0.713, 0.30)
    assert prior.lr_tokens == Normal(0.307, 0.30)
    assert prior.batch_tokens == Normal(0.571, 0.15)


def test_a_law_in_compute_is_read_in_params_and_tokens() -> None:
    """DeepSeek LLM (arXiv:2401.02954): LR ~ C^-0.125, batch ~ C^0.3271, compute as 6 params tokens."""
    prior = exponent_prior("deepseek-llm", parametrization="standard", batch_searched=True)
    assert prior.lr_params == Normal(-0.125, 0.30)
    assert prior.lr_tokens == Normal(-0.125, 0.30)
    assert prior.batch_params == Normal(0.3271, 0.15)


def test_an_unknown_law_is_named() -> None:
    with pytest.raises(UsageError, match="no published law is called 'step-lav'"):
        exponent_prior("step-lav", parametrization="standard", batch_searched=True)
