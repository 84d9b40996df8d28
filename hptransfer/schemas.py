"""JSON Schemas of what hptransfer writes and reads, made from the models that validate it.

docs/schemas holds them as files; `hptransfer schema NAME` prints the one of the installed version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from hptransfer.batches.sizes import ThreeBatches
from hptransfer.config import CONFIG_VERSION, TrainConfig
from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.files import SETTINGS_FILE
from hptransfer.law import SCHEMA_VERSION, Law, Note
from hptransfer.planning import Reach, Rounded
from hptransfer.plans.tradeoff import TimeVsCompute
from hptransfer.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"  # the one that pydantic writes

Number = float | None
Interval = tuple[float, float] | None


class PlanOrigin(BaseModel):
    """Where a value came from."""

    model_config = ConfigDict(extra="forbid")

    formula: str
    source: str


class PlanLrFollows(BaseModel):
    """How the LR to run follows the batch to run from the one at the law's own batch, batches in tokens."""

    model_config = ConfigDict(extra="forbid")

    rule: str
    why: str
    formula: str
    source: str
    certainty: str
    factor: float
    from_batch_tokens: float
    to_batch_tokens: float
    settings: dict[str, float]


class PlanLine(BaseModel):
    """One line of `hptransfer plan --json`: optima at the top, the values to run under `rounded`."""

    model_config = ConfigDict(extra="forbid")

    params: float
    tokens: float
    peak_lr: Number
    peak_lr_interval: Interval
    batch_tokens: Number
    batch_tokens_interval: Interval
    weight_decay: Number
    weight_decay_interval: Interval
    weight_decay_timescale: Number
    weight_decay_independent: Number
    steps: int | None
    excess: Number
    loss: Number
    loss_interval: Interval
    run_loss: Number
    run_loss_interval: Interval
    loss_slope: Number
    excess_flops: Number
    plateaus: dict[str, tuple[float, float]]
    batches: ThreeBatches | None
    final_lr_ratio: Number
    schedule: str
    optimizer: str
    warmup_fraction: float
    beta1: float
    beta2: float
    eps: float
    grad_clip: float
    schedule_options: dict[str, Any]
    schedule_lr_factor: float
    lr_follows_batch: PlanLrFollows | None
    seq_len: int
    rounded: Rounded
    law: str
    law_digest: str
    origin: dict[str, PlanOrigin]
    reach: dict[str, Reach]
    parametrization: dict[str, Any] | None = None
    param_groups: dict[str, dict[str, Any]] | None = None
    track_record: dict[str, Any] | None
    cost_of_being_wrong: dict[str, Any] | None
    time_vs_compute: TimeVsCompute | None
    warnings: list[Note]


MODELS: Mapping[str, tuple[type[BaseModel], str, int]] = {  # model, title, version of what it describes
    "law": (Law, "A law of hptransfer, such as law.json", SCHEMA_VERSION),
    "plan": (PlanLine, "A line of hptransfer plan --json", 1),
    "config": (TrainConfig, "A config of hptransfer", CONFIG_VERSION),
    "settings": (Settings, SETTINGS_FILE, 1),
}
"""What has a schema."""


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a law, a plan, a config or the settings.

    Raises:  UsageError for another name.
    """
    if name not in MODELS:
        msg = f"no schema is called {plain(name)!r}, need {', '.join(MODELS)}.{did_you_mean(name, MODELS)}"
        raise UsageError(msg)
    model, title, version = MODELS[name]
    content = model.model_json_schema()
    return {"$schema": DIALECT, "$id": f"urn:hptransfer:{name}:{version}", **content, "title": title}


def schema_to_json(name: str) -> str:
    """Write a schema as JSON text. Errors as `schema`."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
