"""One simulated sweep in ten shapes that people have, each as its tool writes it or documents it."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.readers.data.runs import Run, simulated_runs
from tests.readers.samples import DATA, unpacked

RUNS = simulated_runs()


@dataclass(frozen=True)
class Shape:
    """How to write the sweep below a folder, and the header of the loss where it has to be said."""

    write: Callable[[Path], Path]
    loss: str | None = None
    is_stdin: bool = False


def wandb_export(folder: Path) -> Path:
    """The runs page as CSV: display columns, then config keys, then the summary; batch in sequences."""
    rows = [
        {
            "Name": run["run"],
            "State": "finished",
            "Notes": "-",
            "Runtime": 600 + i,
            "optimizer.learning_rate": run["lr"],
            "optimizer.name": run["optimizer"],
            "batch_size": run["batch_tokens"] // run["seq_len"],
            "model.n_params": run["params"],
            "seq_len": run["seq_len"],
            "max_steps": run["steps"],
            "_step": run["steps"],
            "eval/loss": run["loss"],
            "train/loss": run["loss"] - 0.05,
            "tokens_seen": run["tokens"],
        }
        for i, run in enumerate(RUNS)
    ]
    return write_rows(folder / "wandb_export.csv", rows)


def mlflow_database(folder: Path) -> Path:
    """A database that MLflow wrote, filled with the sweep."""
    path = unpacked("mlflow.db", folder)
    with sqlite3.connect(path) as database:
        for table in ("latest_metrics", "metrics", "params", "tags", "runs"):
            database.execute(f"DELETE FROM {table}")
        for i, run in enumerate(RUNS):
            database.execute(
                "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, experiment_id) "
                "VALUES (?, ?, 'FINISHED', ?, 'active', 1)",
                (f"{i:032x}", run["run"], i),
            )
            for name in ("params", "tokens", "lr", "batch_tokens", "optimizer"):
                database.execute("INSERT INTO params VALUES (?, ?, ?)", (name, str(run[name]), f"{i:032x}"))
            for name, loss in (("eval/loss", run["loss"]), ("train/loss", run["loss"] - 0.05)):
                database.execute(
                    "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
                    "VALUES (?, ?, 0, 1, 0, ?)",
                    (name, loss, f"{i:032x}"),
                )
    database.close()
    return path


def optuna_database(folder: Path) -> Path:
    """A database that Optuna wrote; the batch is a categorical parameter."""
    return unpacked("optuna.db", folder)


def ray_results(folder: Path) -> Path:
    """A results folder with nested configs; the last of two reports counts."""
    for i, run in enumerate(RUNS):
        trial = folder / "ray_results" / "simulated" / f"train_{i:05d}"
        trial.mkdir(parents=True)
        model = {"n_params": run["params"], "seq_len": run["seq_len"]}
        config = {
            "lr": run["lr"],
            "batch_tokens": run["batch_tokens"],
            "tokens": run["tokens"],
            "model": model,
        }
        (trial / "params.json").write_text(json.dumps(config, indent=2))
        reports = [
            {"training_iteration": 1, "eval_loss": 9.0},
            {"training_iteration": 2, "eval_loss": run["loss"]},
        ]
        lines = [json.dumps({**report, "done": False, "config": config}) for report in reports]
        (trial / "result.json").write_text("\n".join(lines) + "\n")
    return folder / "ray_results"


def hf_runs(folder: Path) -> Path:
    """Trainer folders with the arguments as JSON; the batch follows from tokens and steps."""
    for i, run in enumerate(RUNS):
        output = folder / "output" / f"run-{i:02d}"
        output.mkdir(parents=True)
        history = [
            {"step": 10, "loss": 5.0, "learning_rate": run["lr"]},
            {"step": run["steps"], "loss": run["loss"] - 0.05, "learning_rate": 0.0},
            {"step": run["steps"], "eval_loss": run["loss"]},
        ]
        state = {
            "global_step": run["steps"],
            "max_steps": run["steps"],
            "num_input_tokens_seen": run["tokens"],
            "train_batch_size": 8,
            "log_history": history,
        }
        (output / "trainer_state.json").write_text(json.dumps(state, indent=2))
        arguments = {"learning_rate": run["lr"], "optim": "adamw", "num_params": run["params"]}
        (output / "training_args.json").write_text(json.dumps(arguments))
    return folder / "output"


def gzipped_csv(folder: Path) -> Path:
    """The plain columns, compressed."""
    path = folder / "sweep.csv.gz"
    path.write_bytes(gzip.compress(write_rows(folder / "sweep.csv", RUNS).read_bytes()))
    return path


def plain_csv(folder: Path) -> Path:
    """The plain columns, for standard input."""
    return write_rows(folder / "sweep.csv", RUNS)


def parquet_file(folder: Path) -> Path:
    """A file that pyarrow wrote; the config is a struct."""
    return Path(shutil.copy(DATA / "runs.parquet", folder))


def nested_json_lines(folder: Path) -> Path:
    """Config and summary of each run, as a script writes them from a tracker's API."""
    lines = []
    for run in RUNS:
        config = {
            "optimizer": {"learning_rate": run["lr"], "type": "adamw"},
            "trainer": {
                "train_batch_size": run["batch_tokens"] // run["seq_len"],
                "num_train_steps": run["steps"],
            },
            "train_seq_len": run["seq_len"],
        }
        summary = {
            "parameter_count": run["params"],
            "throughput": {"total_tokens": run["tokens"]},
            "eval": {"loss": run["loss"]},
            "train": {"loss": run["loss"] - 0.05},
        }
        lines.append(json.dumps({"name": run["run"], "config": config, "summary": summary}))
    path = folder / "runs.jsonl"
    path.write_text("\n".join(lines))
    return path


def tab_separated(folder: Path) -> Path:
    """Step Law's headers, separated by tabs."""
    rows = [
        {
            "N": run["params"],
            "D": run["tokens"],
            "lr": run["lr"],
            "bs": run["batch_tokens"] // run["seq_len"],
            "ti": run["steps"],
            "loss": run["loss"] + 0.01,
            "smooth loss": run["loss"],
        }
        for run in RUNS
    ]
    return write_rows(folder / "grid.tsv", rows, delimiter="\t")


SHAPES: Mapping[str, Shape] = {
    "W&B export": Shape(wandb_export, "eval/loss"),
    "MLflow SQLite": Shape(mlflow_database, "metrics.eval/loss"),
    "Optuna SQLite, categorical batch": Shape(optuna_database),
    "Ray Tune folder": Shape(ray_results),
    "HF trainer_state.json folder": Shape(hf_runs, "eval_loss"),
    "gzip": Shape(gzipped_csv),
    "stdin": Shape(plain_csv, is_stdin=True),
    "Parquet": Shape(parquet_file),
    "JSON Lines, nested config": Shape(nested_json_lines, "summary.eval.loss"),
    "TSV": Shape(tab_separated, "smooth loss"),
}


def write_rows(path: Path, rows: list[Run], *, delimiter: str = ",") -> Path:
    """Write a delimited table of rows that all have the same keys."""
    with path.open("w", newline="") as file:
        writer: Any = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path
