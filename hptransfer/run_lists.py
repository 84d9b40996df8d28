"""Designed runs as text: CSV, and what W&B, Optuna, Ray Tune and a SLURM array take. Nothing is started.

Steps are tokens over batch_tokens, rounded. `seed` tells repeats of the same settings apart.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from hptransfer.designing import Design, ProposedRun

ListFormat = Literal["csv", "wandb", "optuna", "ray", "slurm"]

TRAIN = "train.py"


def run_settings(run: ProposedRun) -> dict[str, float | int]:
    """What a trainer needs of one run."""
    return {
        "params": round(run.params),
        "tokens": round(run.tokens),
        "lr": run.lr,
        "batch_tokens": round(run.batch_tokens),
        "steps": round(run.tokens / run.batch_tokens),
        "seed": run.repeat,
    }


def to_csv(design: Design) -> str:
    """One run a row; an empty `loss` column to fill in, so that the file becomes the next sweep."""
    rows = [{**run_settings(run), "flops": run.flops, "loss": ""} for run in design.runs]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_wandb(design: Design) -> str:
    """A W&B sweep: a grid over one parameter whose values are runs, each as JSON text.

    Separate parameters would give every LR with every batch. Source: docs.wandb.ai, sweep configuration.
    """
    lines = [
        "# wandb sweep FILE; in the program: settings = json.loads(wandb.config.run)",
        f"program: {TRAIN}",
        "method: grid",
        "metric:",
        "  name: loss",
        "  goal: minimize",
        "parameters:",
        "  run:",
        "    values:",
    ]
    lines += [f"      - '{json.dumps(run_settings(run))}'" for run in design.runs]
    return "\n".join(lines) + "\n"


def to_json(design: Design) -> str:
    """A JSON list of settings: `study.enqueue_trial` of each (Optuna), `points_to_evaluate` (Ray Tune)."""
    return json.dumps([run_settings(run) for run in design.runs], indent=2) + "\n"


def to_slurm(design: Design, table: str) -> str:
    """A SLURM array script that starts line SLURM_ARRAY_TASK_ID + 1 of the CSV `table`."""
    names = " ".join(run_settings(design.runs[0]))
    arguments = " ".join(f'--{name} "${name}"' for name in names.split())
    return f"""\
#!/bin/bash
#SBATCH --job-name=hptransfer
#SBATCH --array=1-{len(design.runs)}
set -euo pipefail
row=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {shlex.quote(table)})
IFS=, read -r {names} _ <<< "$row"
srun python {TRAIN} {arguments}
"""


TEXTS: dict[ListFormat, Callable[[Design], str]] = {
    "csv": to_csv,
    "wandb": to_wandb,
    "optuna": to_json,
    "ray": to_json,
}
FORMATS: tuple[ListFormat, ...] = ("csv", "wandb", "optuna", "ray", "slurm")


def files_of(design: Design, path: str, wanted: ListFormat) -> Sequence[tuple[str, str]]:
    """Names and texts of the files to write; an array script lies beside its CSV."""
    if wanted != "slurm":
        return [(path, TEXTS[wanted](design))]
    script = str(Path(path).with_suffix(".slurm.sh"))
    return [(path, to_csv(design)), (script, to_slurm(design, path))]
