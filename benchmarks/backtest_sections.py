"""Evidence on backtests: every real sweep with at least four cells, plans beside the alternatives.

    python benchmarks/backtest_sections.py

Sweeps are read from `../shared/data` with the options a user would give; one that cannot be held out, or
cannot be read as one sweep, says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hptransfer.errors import HptransferError
from hptransfer.evidence.backtesting import KEPT_NAME, RECIPE_NAME, backtest, track_record
from hptransfer.readers import read_sweep

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
RESAMPLES = 100
COOLDOWN = {"dataset": "slimpajama", "cooldown_frac": "0.2", "decay_type": "linear"}
TUNED = ("weight_decay", "beta1", "beta2", "epsilon", "grad_clip")

SWEEPS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Step Law dense grid": (
        "steplaw/dense_lr_bs_loss_upto_537M.csv",
        {"columns": {"loss": "smooth loss"}, "params_kind": "non-embedding"},
    ),
    "OpenEuroLLM dense English": (
        "oellm_dense_english_upto_302M.csv",
        {"columns": {"batch_seqs": "gbsz"}, "seq_len": 4096, "vary": ("beta2",)},
    ),
    "misfitting (one batch)": (
        "misfitting_openlm.csv",
        {"columns": {"params": "params_nonemb"}, "vary": TUNED},
    ),
    "lr-scheduling, cosine (one batch)": (
        "lr_scheduling.csv",
        {"where": {"schedule": "cosine", "dataset": "slimpajama", "loss_kind": "final_full_val"}},
    ),
    "lr-scheduling, WSD (one batch)": ("lr_scheduling.csv", {"where": {"schedule": "wsd", **COOLDOWN}}),
    "marin AdamW, one factor at a time": ("marin_adamw_ablations.csv", {"vary": TUNED}),
}


def backtests() -> Iterator[tuple[str, str, str]]:
    """Excess loss at the largest scales held out, coverage, and the alternatives."""
    for name, (file, reading) in SWEEPS.items():
        if not (DATA / file).exists():
            yield (f"backtest, {name}", "not here: needs ../shared/data", "")
            continue
        try:
            sweep = read_sweep(str(DATA / file), **reading)
            record = track_record(backtest(sweep, estimator="surface", resamples=RESAMPLES))
        except HptransferError as error:
            yield (f"backtest, {name}", f"none: {str(error).splitlines()[0]}", "")
            continue
        shown = {method: f"{excess:.3%}" for method, excess in record.mean_excess.items()}
        ours = shown.pop("surface", "refused")
        covered = (
            f"{record.optima_covered} of {record.optima_judged}" if record.optima_judged else "no optima"
        )
        text = f"{ours} on {record.cells} of {sweep.n_cells} cells, {record.splits} splits; covered {covered}"
        known = (RECIPE_NAME, "step-law", KEPT_NAME)
        others = ", ".join(f"{method} {shown.get(method, 'refused')}" for method in known)
        yield (f"backtest, {name}", text, others)


def main() -> None:
    """Print the table."""
    print("| sweep | surface loses | beside it |\n|---|---|---|")
    for row in backtests():
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
