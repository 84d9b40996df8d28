"""Shapes: published parameter counts, FLOPs by formula, proposals that hold what they promise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.errors import InputError, UsageError
from hptransfer.shapes import (
    count_params,
    flops_per_token,
    make_shape,
    propose_shapes,
    require_consistent_params,
    shape_from_model_config,
)

# Published totals of models without biases, from the sizes in their config.json.
PUBLISHED = {
    "Llama 2 7B": (
        {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000,
         "intermediate_size": 11008, "model_type": "llama"}, 6_738_415_616, 6_738_415_616,
    ),
    "Llama 3 8B": (
        {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
         "vocab_size": 128256, "intermediate_size": 14336, "model_type": "llama"},
        8_030_261_248, 8_030_261_248,
    ),
    "Mixtral 8x7B": (
        {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
         "vocab_size": 32000, "intermediate_size": 14336, "num_local_experts": 8, "num_experts_per_tok": 2,
         "model_type": "mixtral"}, 46_702_792_704, 12_879_925_248,
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_models_have_their_published_params(model: str) -> None:
    config, total, active = PUBLISHED[model]
    counts = count_params(shape_from_model_config(json.dumps(config), "config.json"))
    assert (counts.total, counts.active) == (total, active)


def test_gpt2_small_within_its_biases_and_positions() -> None:
    """124,439,808 published: 1024 * 768 positions and 102,144 bias-like entries are not counted here."""
    config = {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "model_type": "gpt2"}
    total = count_params(shape_from_model_config(json.dumps(config), "config.json")).total
    assert total is not None
    assert total == pytest.approx(124_439_808 - 1024 * 768, rel=1e-3)


def test_flops_are_six_per_matrix_parameter_and_attention() -> None:
    """By hand: width 256, depth 2, 4 heads of 64, ffn 1024 (two matrices), vocabulary 1000, sequence 128."""
    shape = make_shape(width=256, depth=2, heads=4, ffn=1024, gated=False, vocab=1000)
    matrices = 2 * (4 * 256**2 + 2 * 256 * 1024) + 1000 * 256
    assert flops_per_token(shape, seq_len=128) == 6 * matrices + 12 * 2 * 256 * 128


@given(st.floats(1e7, 1e12), st.sampled_from([64, 128, 256]))
def test_proposals_have_about_the_params_that_were_asked_for(params: float, aspect: int) -> None:
    for shape in propose_shapes(params, aspect=aspect, head_dim=64):
        assert count_params(shape).non_embedding == pytest.approx(params, rel=0.1)
        assert shape.width == shape.heads * shape.head_dim


def test_a_7b_looks_like_one() -> None:
    best = propose_shapes(6.5e9)[0]
    assert 3584 <= best.width <= 4608
    assert 24 <= best.depth <= 40


@pytest.mark.parametrize(
    ("params", "kind"), [(6.4e9, "unspecified"), (6.7e9, "unspecified"), (6.476e9, "non-embedding")]
)
def test_params_near_the_shapes_pass(params: float, kind: str) -> None:
    require_consistent_params(make_shape(width=4096, depth=32, vocab=32000), params, kind)


@pytest.mark.parametrize("params", [7e8, 7e10])
def test_params_far_from_the_shapes_are_a_contradiction(params: float) -> None:
    with pytest.raises(UsageError, match="contradicts the shape"):
        require_consistent_params(make_shape(width=4096, depth=32), params, "unspecified")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ('{"hidden_size": 64}', "depth: none of num_hidden_layers"),
        ('{"hidden_size": "64", "num_hidden_layers": 2}', "hidden_size: got '64'"),
        ('{"hidden_size": true, "num_hidden_layers": 2}', "hidden_size: got 'True'"),
    ],
)
def test_what_is_no_model_config_is_named(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        shape_from_model_config(text, "config.json")


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"heads": 7}, "does not divide --width"),
        ({"heads": 8, "kv_heads": 3}, "--kv-heads 3"),
        ({"experts": 4, "active_experts": 8}, "more are active"),
    ],
)
def test_sizes_that_contradict_each_other(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_shape(width=1024, depth=8, **sizes)  # type: ignore[arg-type]
