"""Every rule set, against the tables of the papers and against each other."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from hptransfer.errors import UsageError
from hptransfer.parametrizations import CLASSES, rule_set, rule_set_ids
from hptransfer.parametrizations.grouping import Base, ParamGroups, param_groups
from hptransfer.parametrizations.scaling import Scaling
from hptransfer.parametrizations.u_mup import residual_taus

UNIT = Base(lr=1.0, init_std=1.0, weight_decay=1.0, eps=1.0)
RELATIVE = [name for name in rule_set_ids() if not rule_set(name).absolute]


def at(rules: str, *, width: int = 1024, depth: int = 32, **options: Any) -> ParamGroups:
    """Factors from width 256 and depth 8, head dimension kept."""
    fixed = {"base_width": 256, "base_depth": 8, "head_dim": 64, "base_head_dim": 64}
    optimizer = "muon" if rules.startswith("muon") else "adamw"
    wanted = {"optimizer": optimizer, **fixed, **options}
    return param_groups(Scaling(rule_set=rules, width=width, depth=depth, **wanted), UNIT)


# From width 256, 8 blocks to width 1024, 32 blocks: embedding LR; vector LR; hidden std, LR, weight decay;
# readout std, multiplier, LR; residual; epsilon in blocks. As the papers' exponents give at m = l = 4.
M4 = {
    "sp": (1, 1, 0.5, 1, 1, 0.5, 1, 1, 1, 1),
    "sp-per-layer": (1, 1, 0.5, 0.25, 1, 0.5, 1, 0.25, 1, 0.5),
    "mup-table-3": (1, 1, 0.5, 0.25, 4, 0.25, 1, 0.25, 1, 0.25),
    "mup": (1, 1, 0.5, 0.25, 4, 1, 0.25, 1, 1, 0.25),
    "mup-table-9": (0.5, 0.5, 0.5, 0.25, 4, 0.5, 0.5, 0.5, 1, 0.25),
    "mup-package": (1, 1, 0.5, 0.25, 4, 1, 0.25, 1, 1, 1),
    "nanogpt-mup": (1, 1, 0.5, 0.25, 1, 1, 0.25, 1, 1, 1),
    "depth-mup": (1, 0.5, 0.5, 0.125, 4, 1, 0.25, 1, 0.5, 0.125),
    "completep": (1, 1, 0.5, 0.25, 4, 1, 0.25, 1, 0.25, 0.0625),
    "robust-weight-decay": (1, 1, 0.5, 0.25, 2, 1, 0.25, 1, 1, 0.25),
}


@pytest.mark.parametrize("rules", M4)
def test_worked_example_at_four_times_width_and_depth(rules: str) -> None:
    found = at(rules)
    embedding, vector, hidden, readout = (
        found.groups[name] for name in ("embedding", "vector", "hidden", "readout")
    )
    assert (
        embedding.lr,
        vector.lr,
        hidden.init_std,
        hidden.lr,
        hidden.weight_decay,
        readout.init_std,
        readout.multiplier,
        readout.lr,
        found.model.residual_multiplier,
        hidden.eps,
    ) == M4[rules]


def test_worked_example_of_completep_with_half_alpha() -> None:
    found = at("completep", choices={"alpha": "1/2"})
    hidden, vector = found.groups["hidden"], found.groups["vector"]
    assert (vector.lr, hidden.lr, hidden.weight_decay) == (0.5, 0.125, 4)
    assert (found.model.residual_multiplier, hidden.eps) == (0.5, 0.125)


def test_worked_example_of_sgd_under_table_8() -> None:
    groups = at("mup", optimizer="sgd").groups
    assert [groups[n].lr for n in ("embedding", "vector", "hidden", "readout", "readout_bias")] == [
        4, 4, 1, 4, 1,
    ]  # fmt: skip


def test_epsilon_of_readouts_follows_their_gradient() -> None:
    """Tables 3, 8, 9: 1, 0.25, 0.5; Table 9's embedding 0.5."""
    tables = ("mup-table-3", "mup", "mup-table-9")
    assert [at(rules).groups["readout"].eps for rules in tables] == [1, 0.25, 0.5]
    assert at("mup-table-9").groups["embedding"].eps == 0.5


def test_complete_d_p_with_batch_and_horizon() -> None:
    """m = l = 4, batch x 4, tokens x 16, alpha = 1: arXiv:2512.22382, Table 1."""
    groups = at("complete-d-p", batch_ratio=4, token_ratio=16).groups
    assert [groups[n].lr for n in ("embedding", "hidden", "readout")] == [0.5, 0.125, 0.125]
    assert [groups[n].eps for n in ("hidden", "embedding")] == [0.125, 0.5]
    assert [groups[n].weight_decay for n in ("hidden", "embedding", "vector")] == [2, 0.5, 0.5]


def test_u_mup_at_width_1024_and_32_blocks() -> None:
    found = at("u-mup", base_width=None, base_depth=None)
    hidden = found.groups["hidden"]
    assert hidden.lr == pytest.approx(0.005524, rel=1e-4)
    assert hidden.multiplier == pytest.approx(1 / 32)
    assert found.groups["embedding"].lr == pytest.approx(1 / 32)
    assert found.groups["readout"].multiplier == pytest.approx(1 / 1024)
    assert (hidden.lr or 0) * (hidden.weight_decay or 0) == pytest.approx(1)  # independent decay


def test_u_mup_ratios_between_two_models() -> None:
    """Embedding m^-1/2, hidden m^-1/2 l^-1/2, readout 1: 0.5, 0.25, 1."""
    large, small = at("u-mup").groups, at("u-mup", width=256, depth=8).groups
    ratios = [(large[n].lr or 0) / (small[n].lr or 1) for n in ("embedding", "hidden", "readout")]
    assert ratios == pytest.approx([0.5, 0.25, 1])


def test_u_mup_residuals_leave_a_third_each_to_embedding_attention_and_mlp() -> None:
    """arXiv:2407.17465: alpha_res = ratio = 1."""
    variance = {"embedding": 1.0, "attention": 0.0, "mlp": 0.0}
    for layer, tau in enumerate(residual_taus(4)):
        variance = {name: value / (1 + tau**2) for name, value in variance.items()}
        variance["mlp" if layer % 2 else "attention"] += tau**2 / (1 + tau**2)
    assert list(variance.values()) == pytest.approx([1 / 3] * 3)


MUON = {  # (fan-out, fan-in) -> original, match-RMS, spectral
    (1024, 1024): (1, 6.4, 1),
    (4096, 1024): (2, 12.8, 2),
    (1024, 4096): (1, 12.8, 0.5),
}


@pytest.mark.parametrize(("shape", "expected"), MUON.items(), ids=str)
def test_muon_scales_updates_as_published(shape: tuple[int, int], expected: tuple[float, ...]) -> None:
    n_out, n_in = shape
    tensor = "mlp_up" if n_out > n_in else "mlp_down" if n_in > n_out else "attention_q"
    kinds = ("muon-original", "muon-match-rms", "muon-spectral")
    got = [at(kind, ffn=4096, base_ffn=1024).groups[tensor].update_scale for kind in kinds]
    assert got == pytest.approx(list(expected))


# Everett et al. 2024, Table 1: LR exponents of width (embedding, hidden, readout) with full and without
# alignment, for Adam and SGD; and the forms themselves: init variance and multiplier.
EVERETT = {
    "sp-per-layer": ((0, -1, -1), (0, -0.5, -0.5), (0.5, -0.5, -1), (0.5, 0, -0.5)),
    "ntk": ((0, -0.5, -0.5), (0, 0, 0), (0.5, 0.5, 0), (0.5, 1, 0.5)),
    "mup-everett": ((-0.5, -1, -0.5), (-0.5, -0.5, 0), (0, 0, 0), (0, 0.5, 0.5)),
    "mean-field": ((0, -0.5, 0), (0, 0, 0.5), (1, 1, 1), (1, 1.5, 1.5)),
}


@pytest.mark.parametrize("rules", EVERETT)
def test_exponents_of_everett_et_al(rules: str) -> None:
    cases = itertools.product(("adamw", "sgd"), ("full", "none"))
    for (optimizer, alignment), expected in zip(cases, EVERETT[rules], strict=True):
        groups = at(rules, optimizer=optimizer, choices={"alignment": alignment}).groups
        lrs = [groups[name].lr or math.nan for name in ("embedding", "hidden", "readout")]
        assert [math.log(lr, 4) for lr in lrs] == pytest.approx(list(expected)), (optimizer, alignment)


# theta by which the change of variables A -> A theta, b -> b / theta, LR -> LR / theta (Adam) or
# LR / theta^2 (SGD), eps -> eps theta, decay -> decay theta (Adam), theta^2 (SGD) turns Table 8 into another.
THETA = {
    "mup-table-3": {"embedding": 1, "vector": 1, "hidden": 1, "readout": 4, "readout_bias": 1},
    "mup-table-9": {"embedding": 2, "vector": 2, "hidden": 1, "readout": 2, "readout_bias": 1},
}


@pytest.mark.parametrize("rules", THETA)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_three_tables_are_one_by_a_change_of_variables(rules: str, optimizer: str) -> None:
    table_8, other = at("mup", optimizer=optimizer).groups, at(rules, optimizer=optimizer).groups
    for name, theta in THETA[rules].items():
        power = 1 if optimizer == "adamw" else 2
        ours, theirs = table_8[name], other[name]
        assert theirs.multiplier == (ours.multiplier or 0) * theta
        assert theirs.lr == (ours.lr or 0) / theta**power
        assert theirs.weight_decay == (ours.weight_decay or 0) * theta**power
        if ours.init_std is not None:
            assert theirs.init_std == ours.init_std / theta
        if ours.eps is not None:
            assert theirs.eps == ours.eps * theta


@pytest.mark.parametrize("rules", RELATIVE)
def test_at_the_proxy_itself_ratios_are_one(rules: str) -> None:
    found = at(rules, width=256, depth=8)
    absolute = {"update_scale"} | ({"multiplier"} if rules == "minicpm" else set())
    gpt2_init = {"attention_o", "mlp_down"} if rules in ("nanogpt-mup", "megatron-mup") else set()
    for name, group in found.groups.items():
        for field, factor in group.factors.items():
            by_design = field in absolute or (field == "init_std" and name in gpt2_init)
            zero = factor == 0  # no weight decay, zero init
            assert by_design or zero or factor == 1, (name, field)


@pytest.mark.parametrize("rules", RELATIVE)
def test_ratios_compose(rules: str) -> None:
    """256 to 512 and on to 1024 is 256 to 1024."""
    once = at(rules).groups
    first, second = at(rules, width=512, depth=16).groups, at(rules, base_width=512, base_depth=16).groups
    for name, group in once.items():
        for field, factor in group.factors.items():
            if field == "update_scale" or {"L", "2"} & set(group.formulas[field].replace("^", " ").split()):
                continue
            if rules == "minicpm" and field == "multiplier":
                continue
            assert factor is not None
            steps = (first[name].factors[field] or 0) * (second[name].factors[field] or 0)
            assert steps == pytest.approx(factor), (name, field)


def test_completep_without_more_depth_is_mup() -> None:
    ours, theirs = at("completep", depth=8).groups, at("mup", depth=8).groups
    for name in ours:
        for field in ("lr", "init_std", "multiplier", "weight_decay"):
            assert getattr(ours[name], field) == getattr(theirs[name], field), (name, field)


def test_completep_with_half_alpha_is_depth_mup() -> None:
    ours, theirs = at("completep", choices={"alpha": "1/2"}), at("depth-mup")
    assert ours.model.residual_multiplier == theirs.model.residual_multiplier
    for name in ours.groups:
        assert ours.groups[name].lr == theirs.groups[name].lr


@pytest.mark.parametrize(
    ("rules", "head_dims", "scale"),
    [
        ("sp", (64, 64), 1 / 8),
        ("mup", (64, 64), 1 / 8),
        ("mup", (128, 32), 32**0.5 / 128),
        ("nanogpt-mup", (64, 64), 1 / 64),
        ("completep", (128, 64), 1 / 128),
        ("minicpm", (64, 64), 1 / 8),
    ],
)
def test_attention_logits(rules: str, head_dims: tuple[int, int], scale: float) -> None:
    found = at(rules, head_dim=head_dims[0], base_head_dim=head_dims[1])
    assert found.model.attention_scale == pytest.approx(scale)


@pytest.mark.parametrize("rules", rule_set_ids())
def test_every_rule_set_says_who_says_it(rules: str) -> None:
    """Conformance: source, certainty, all main classes, options with their sayers, names that read back."""
    found = at(rules, batch_ratio=1.0, token_ratio=1.0)
    assert set(found.groups) <= set(CLASSES)
    assert {"embedding", "hidden", "attention_q", "mlp_down", "vector", "final_norm", "readout"} <= set(
        found.groups
    )
    for group in found.groups.values():
        assert group.source.endswith("]")
        assert group.lr is not None
        assert group.multiplier is not None
    in_use = set(rule_set(rules).options) - ({"weight-decay"} if rules.startswith("muon") else set())
    assert {alternative.option for alternative in found.alternatives} == in_use


def test_rectangular_tensors_follow_their_own_fans() -> None:
    """Width x 4, feed-forward width x 2: mup 1.0.0's groups, and section 5 of its reference run."""
    adam = at("mup-package", ffn=2048, base_ffn=1024).groups
    sgd = at("mup-package", ffn=2048, base_ffn=1024, optimizer="sgd").groups
    assert [(adam[n].lr, adam[n].weight_decay) for n in ("mlp_up", "mlp_down")] == [(0.25, 4), (0.5, 2)]
    assert [(sgd[n].lr, sgd[n].weight_decay) for n in ("mlp_up", "mlp_down")] == [(0.5, 2), (2, 0.5)]
    by_hand = at("mup-package", fans={"mlp_down": (2.0, 4.0)}).groups["mlp_down"]
    assert by_hand.lr == adam["mlp_down"].lr


def test_misspelt_names_get_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="completep"):
        rule_set("complete-p")
    with pytest.raises(UsageError, match="weight-decay"):
        at("mup", choices={"weightdecay": "keep"})
    with pytest.raises(UsageError, match="linear, sqrt, keep"):
        at("mup", choices={"weight-decay": "cubic"})
