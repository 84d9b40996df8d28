"""Write the samples beside this file with the trackers' own libraries.

    python -m venv trackers
    trackers/bin/pip install optuna==5.0.0 mlflow-skinny==3.17.2 sqlalchemy alembic pandas \
        "ray[tune]==2.60.0" pyarrow==26.0.1 tensorboard==2.21.0 tensorboardX
    trackers/bin/python -m tests.readers.data.make_samples

The runs are simulated (`runs.py`). Times, ids and host names differ from one writing to the next.
"""

from __future__ import annotations

import gzip
import math
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from tests.readers.data.runs import Run, simulated_runs

HERE = Path(__file__).resolve().parent
RUNS = simulated_runs()
FEW = RUNS[:4]
TROUBLED = ("nan", "inf", "failed")  # what a few more runs end in


def main() -> None:
    """Write everything anew."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    for write in (optuna_storages, mlflow_stores, ray_results, parquet_file, tensorboard_events):
        write()


def optuna_storages() -> None:
    """The batch is a categorical parameter, params and tokens are user attributes."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database, journal = fresh("optuna.db"), fresh("optuna.log")
    for storage in (f"sqlite:///{database}", JournalStorage(JournalFileBackend(str(journal)))):
        study = optuna.create_study(study_name="simulated", storage=storage)
        study.set_user_attr("optimizer", "adamw")
        for run in RUNS:
            study.enqueue_trial({"lr": run["lr"], "batch_tokens": run["batch_tokens"]}, user_attrs=about(run))
        study.optimize(optuna_objective, n_trials=len(RUNS))
        for ending in TROUBLED:
            study.enqueue_trial(
                {"lr": 0.004, "batch_tokens": 131_072}, user_attrs={**about(RUNS[0]), "end": ending}
            )
        study.optimize(optuna_objective, n_trials=len(TROUBLED), catch=(RuntimeError,))
    journal.write_text(journal.read_text().replace(host(), "worker"))
    compact(database)


def optuna_objective(trial):  # type: ignore[no-untyped-def]
    """Ask for the parameters, and give the run's loss."""
    lr = trial.suggest_float("lr", 1e-4, 1e-2, log=True)
    batch = trial.suggest_categorical("batch_tokens", [131_072, 65_536])
    about_run = trial.user_attrs
    match about_run.get("end"):
        case "nan":
            return math.nan
        case "inf":
            return math.inf
        case "failed":
            raise RuntimeError
    wanted = {"lr": lr, "batch_tokens": batch, "params": about_run["params"], "horizon": about_run["horizon"]}
    return next(run["loss"] for run in RUNS if {**run, "horizon": horizon(run)}.items() >= wanted.items())


def about(run: Run) -> Run:
    """What a user would note on a trial."""
    return {"params": run["params"], "tokens": run["tokens"], "horizon": horizon(run)}


def horizon(run: Run) -> int:
    """The run's tokens, rounded to a billion."""
    return round(run["tokens"], -9)


def mlflow_stores() -> None:
    """All runs in the database, a few in the file store."""
    import mlflow

    database, store = fresh("mlflow.db"), fresh("mlruns")
    for uri, runs in ((f"sqlite:///{database}", FEW), (store.as_uri(), FEW)):
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment("simulated")
        for run in runs:
            log_mlflow_run(mlflow, run, run["loss"])
        for ending in TROUBLED:
            log_mlflow_run(mlflow, {**RUNS[0], "run": f"simulated-{ending}"}, ending)
        log_mlflow_run(mlflow, {**RUNS[0], "run": "simulated-deleted"}, 1.0, delete=True)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ''")
        connection.execute("DELETE FROM tags WHERE key LIKE 'mlflow.source%'")
        connection.execute("UPDATE experiments SET artifact_location = ''")
    connection.close()
    compact(database)
    for file in store.rglob("*"):
        if file.is_file() and "mlflow.source" in file.name:
            file.unlink()
        elif file.name == "meta.yaml":
            file.write_text(file.read_text().replace(store.as_uri(), "file:///mlruns"))


def log_mlflow_run(mlflow, run: Run, loss: float | str, *, delete: bool = False) -> None:  # type: ignore[no-untyped-def]
    """Log settings, a first loss and the last one; end as asked."""
    settings = {name: run[name] for name in ("params", "tokens", "lr", "batch_tokens", "optimizer")}
    active = mlflow.start_run(run_name=run["run"])
    mlflow.log_params(settings)
    mlflow.log_metric("eval/loss", 9.0, step=1)
    if loss != "failed":
        mlflow.log_metric("eval/loss", float(loss), step=run["steps"])
    mlflow.end_run("FAILED" if loss == "failed" else "FINISHED")
    if delete:
        mlflow.delete_run(active.info.run_id)


def ray_results() -> None:
    """A few trials, the last of which fails after its first report."""
    import ray
    from ray import tune

    folder = fresh("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as written:
        config = tune.RunConfig(storage_path=written, name="simulated")
        tune.Tuner(ray_trial, param_space={"run": tune.grid_search(FEW)}, run_config=config).fit()
        for trial in sorted(Path(written, "simulated").glob("ray_trial_*")):
            kept = folder / "_".join(trial.name.split("_")[:5])
            kept.mkdir(parents=True)
            for name in ("params.json", "result.json", "progress.csv", "error.txt"):
                if (trial / name).exists():
                    text = (trial / name).read_text()
                    (kept / name).write_text(
                        "failed\n" if name == "error.txt" else text.replace(host(), "worker")
                    )
    ray.shutdown()


def ray_trial(config: Run) -> None:
    """Report a first loss and the last one."""
    from ray import tune

    run = config["run"]
    tune.report({"eval_loss": 9.0, "tokens_so_far": 0})
    if run == FEW[-1]:
        raise RuntimeError
    tune.report({"eval_loss": run["loss"], "tokens_so_far": run["tokens"]})


def parquet_file() -> None:
    """The config is a struct column."""
    import pyarrow as pa
    from pyarrow import parquet

    names = ("params", "tokens", "lr", "batch_tokens", "optimizer")
    rows = [{"run": run["run"], "config": {n: run[n] for n in names}, "loss": run["loss"]} for run in RUNS]
    parquet.write_table(pa.Table.from_pylist(rows), HERE / "runs.parquet", compression="zstd")


def tensorboard_events() -> None:
    """Logged by tensorboardX, as PyTorch logs; hyperparameters in the last run only."""
    from tensorboardX import SummaryWriter

    folder = fresh("tensorboard")
    for run in FEW:
        name = f"n{run['params']}_lr{run['lr']}_b{run['batch_tokens']}"
        with SummaryWriter(str(folder / name)) as writer:
            for step, share in ((1, 0.1), (10, 1.0), (run["steps"], 0.1)):
                writer.add_scalar("train/learning_rate", run["lr"] * share, step)
                writer.add_scalar("eval/loss", run["loss"] if step > 10 else 9.0, step)
            writer.add_text("note", "simulated")
    with SummaryWriter(str(folder / "with-hparams")) as writer:
        writer.add_hparams({"lr": 0.001, "optimizer": "adamw"}, {"eval/loss": 3.5}, name=".")


def fresh(name: str) -> Path:
    """Return a path beside this file at which nothing is."""
    path = HERE / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return path


def compact(database: Path) -> None:
    """Drop unused pages, then compress: a database is mostly empty pages."""
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM")
    connection.close()
    with gzip.GzipFile(f"{database}.gz", "wb", mtime=0) as packed:
        packed.write(database.read_bytes())
    database.unlink()


def host() -> str:
    """Return this machine's name, to be left out of the samples."""
    return os.uname().nodename


if __name__ == "__main__":
    main()
