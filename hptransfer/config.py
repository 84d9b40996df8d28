"""The native config: a plan as YAML that people edit, trainers are fed from, and `check` holds to its law.

The top level holds the values to run, `optimum` what the law calls best, `planned` the values to run as
they were planned, so that an edit shows even when the law is gone. Units as everywhere: batch and
warm-up in tokens, steps in optimizer steps, LR and weight decay as AdamW in PyTorch takes them.

The schedule is that of `hptransfer schedule`: its name (`schedule`), `warmup_steps`, `final_lr_ratio`, and
what else its kind takes under `schedule_options`, such as `decay: linear` and `decay_steps: 2000` (updates).
`plans.schedules.schedule_of` makes it callable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hptransfer import __version__
from hptransfer.anchoring import Anchor
from hptransfer.errors import InputError, Problem, RefusalError, did_you_mean, plain
from hptransfer.law import Note, ParamsKind, Record
from hptransfer.parametrizations.grouping import Group, ModelRules
from hptransfer.parametrizations.scaling import Scaling
from hptransfer.plans.derivation import setting_number
from hptransfer.plans.prediction import Rounding
from hptransfer.quantities import scientific

if TYPE_CHECKING:
    from hptransfer.document import Document
    from hptransfer.planning import Plan

CONFIG_VERSION: Final = 1
"""The newest config this version reads and the one it writes: the value of `hptransfer_config`."""

MARK = "hptransfer_config"
FIRST_LINE = "# A plan by hptransfer. After an edit run `hptransfer check`; explain edits under `override`."
WAY_OUT = "A config comes from `hptransfer plan --params N --tokens D -o CONFIG.yaml`."


def _number_only(value: Any) -> Any:
    """Let whole floats pass for integers (1.0e+05 steps are as good as 100000), but no text and no true."""
    if isinstance(value, str | bool):
        msg = "need a whole number"
        raise ValueError(msg)  # noqa: TRY004 - pydantic wants it
    return value


# Bounds far beyond any run, so that no product or ratio of two values can overflow.
Positive = Annotated[float, Field(ge=1e-30, le=1e30)]
NonNegative = Annotated[float, Field(ge=0, le=1e30)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Whole = Annotated[int, Field(ge=0, le=10**18, strict=False), BeforeValidator(_number_only)]
Count = Annotated[Whole, Field(gt=0)]
Span = tuple[Positive, Positive]
Name = Annotated[str, Field(min_length=1)]


class ConfigRecord(Record):
    """A part of a config: as `Record`, and text is never taken for a number."""

    model_config = ConfigDict(strict=True)


class RunValues(ConfigRecord):
    """The values to run. None where the law says nothing."""

    peak_lr: Positive | None
    final_lr_ratio: NonNegative | None  # last LR over peak LR
    batch_tokens: Positive | None  # tokens per optimizer step
    seq_len: Count  # tokens per sequence
    steps: Count | None
    warmup_tokens: NonNegative
    warmup_steps: Whole | None
    schedule: Name
    schedule_options: dict[Name, bool | float | str | tuple[float, ...]] = Field(default_factory=dict)
    optimizer: Name
    weight_decay: NonNegative | None
    beta1: Beta
    beta2: Beta
    eps: Positive
    grad_clip: NonNegative  # 0: none


class ConfigTarget(ConfigRecord):
    """What is trained: params (count, and which ones) on how many tokens."""

    params: Positive
    params_kind: ParamsKind
    tokens: Positive


class Optimum(ConfigRecord):
    """What the law calls best, before rounding, with 90 % prediction intervals or None."""

    peak_lr: Positive | None
    peak_lr_interval: Span | None
    batch_tokens: Positive | None
    batch_tokens_interval: Span | None


class LawReference(ConfigRecord):
    """Which law: the id of a published one or a path relative to the config, and its digest."""

    id: Name | None = None
    path: Name | None = None
    digest: Name

    @model_validator(mode="after")
    def _one_of_both(self) -> LawReference:
        if (self.id is None) == (self.path is None):
            msg = "need either id (a published law) or path (a law file, relative to this config)"
            raise ValueError(msg)
        return self


class Asked(ConfigRecord):
    """What the plan was asked for beside the target: all that planning it again needs."""

    rounding: Rounding
    batch_tokens: Positive | None  # pinned
    seq_len: Count | None
    width: Count | None
    depth: Count | None
    loss: Positive | None = None
    active_ratio: Positive | None = None
    experts: Count | None = None
    flops_per_token: Positive | None = None
    anchors: Annotated[
        tuple[Anchor, ...], Field(max_length=100)
    ] = ()  # tuned models that set the level of the law
    scaling: Scaling | None = None  # from which proxy to which target, where a parametrization was asked for
    schedule: Name | None = None  # NAME[:OPTION=VALUE,...] in place of that of the law's runs
    proxy_schedule: Name | None = None  # that of the law's runs, where the user named it
    batch_rule: Name | None = None  # NAME[:SETTING=VALUE,...]: how the LR follows the batch, where named


_ASKED_BY_SOME = (
    "loss",
    "active_ratio",
    "experts",
    "flops_per_token",
    "anchors",
    "scaling",
    "schedule",
    "proxy_schedule",
    "batch_rule",
)  # where given


class Outside(ConfigRecord):
    """How far an input lies outside the range its law was fitted on: by `factor`, 1 inside."""

    fitted_on: Span
    factor: Positive


class TrainConfig(RunValues):
    """A whole config. See the module docstring."""

    hptransfer_config: Literal[1]
    hptransfer_version: str
    target: ConfigTarget
    optimum: Optimum
    law: LawReference
    plan: Asked
    planned: RunValues
    origin: dict[str, str]  # value -> "formula | source"
    reach: dict[str, Outside]
    warnings: tuple[Note, ...]
    parametrization: ModelRules | None = None
    param_groups: dict[str, Group] | None = None  # by tensor class
    override: dict[str, Name] = Field(default_factory=dict)  # field, or slug of a check -> why it may deviate


RUN_FIELDS = tuple(RunValues.model_fields)


@dataclass(frozen=True)
class FieldProblem:
    """A field that is unknown, missing, or holds a value that cannot be."""

    kind: Literal["unknown", "missing", "bad-value"]
    field: str  # dotted path
    line: int | None
    message: str


class Checked(NamedTuple):
    """A config as far as its fields allow, and what is wrong with them."""

    config: TrainConfig | None
    problems: tuple[FieldProblem, ...]


def config_from_plan(
    plan: Plan, law_reference: LawReference, *, anchors: Sequence[Anchor] = ()
) -> TrainConfig:
    """Make the config of a plan; `law_reference` says where a check will find the law.

    With `anchors` the reference is to the law before it was anchored: the config keeps the anchors.

    Raises:  RefusalError when the law gives values that nobody could run (a broken setting, a zero LR).
    """
    try:
        return _config(plan, law_reference, anchors)
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        field, got = ".".join(map(str, item["loc"])), plain(item.get("input"), limit=60)
        msg = f"law {plain(plan.law.id)} gives {field} = {got}, which cannot be run: {item['msg']}."
        raise RefusalError(msg) from None


def _config(plan: Plan, law_reference: LawReference, anchors: Sequence[Anchor]) -> TrainConfig:
    values = run_values(plan)
    groups, change = plan.param_groups, plan.schedule_change
    return TrainConfig(
        **values.model_dump(),
        hptransfer_config=CONFIG_VERSION,
        hptransfer_version=__version__,
        target=ConfigTarget(
            params=plan.target.params, params_kind=plan.target.params_kind, tokens=plan.target.tokens
        ),
        optimum=Optimum(
            peak_lr=plan.peak_lr,
            peak_lr_interval=plan.peak_lr_interval,
            batch_tokens=plan.batch_tokens,
            batch_tokens_interval=plan.batch_tokens_interval,
        ),
        law=law_reference,
        plan=Asked(
            rounding=plan.rounding,
            batch_tokens=plan.target.batch_tokens,
            seq_len=plan.target.seq_len,
            width=plan.target.width,
            depth=plan.target.depth,
            loss=plan.target.loss,
            active_ratio=plan.target.active_ratio,
            experts=plan.target.experts,
            flops_per_token=plan.target.flops_per_token,
            anchors=tuple(anchors),
            scaling=None if groups is None else groups.scaling,
            schedule=None if change is None else change.wanted,
            proxy_schedule=None if change is None else change.proxy,
            batch_rule=plan.target.batch_rule,
        ),
        planned=values,
        origin=_origins(plan),
        reach={name: Outside(fitted_on=(r.low, r.high), factor=r.factor) for name, r in plan.reach.items()},
        warnings=tuple(
            Note(code=plain(note.code), message=plain(note.message, limit=1000)) for note in plan.warnings
        ),
        parametrization=None if groups is None else groups.model,
        param_groups=None if groups is None else dict(groups.groups),
    )


def run_values(plan: Plan) -> RunValues:
    """Return the values of a plan that are run."""
    recipe = plan.recipe
    return RunValues(
        peak_lr=plan.rounded.peak_lr,
        final_lr_ratio=plan.final_lr_ratio,
        batch_tokens=plan.rounded.batch_tokens,
        seq_len=plan.seq_len,
        steps=plan.rounded.steps,
        warmup_tokens=plan.rounded.warmup_tokens,
        warmup_steps=plan.rounded.warmup_steps,
        schedule=plain(recipe["schedule"].value),
        schedule_options=dict(plan.schedule_options),
        optimizer=plain(recipe["optimizer"].value),
        weight_decay=plan.weight_decay,
        beta1=setting_number(plan.law, "beta1", recipe["beta1"].value),
        beta2=setting_number(plan.law, "beta2", recipe["beta2"].value),
        eps=setting_number(plan.law, "eps", recipe["eps"].value),
        grad_clip=setting_number(plan.law, "grad_clip", recipe["grad_clip"].value),
    )


def _origins(plan: Plan) -> dict[str, str]:
    """Origins by the config's own names: the bare name is the value to run."""
    names = {"rounded.peak_lr": "peak_lr", "warmup_fraction": "warmup_tokens"}
    names["batch_tokens"] = "optimum.batch_tokens" if plan.target.batch_tokens is None else "batch_tokens"
    if "rounded.peak_lr" in plan.origins:
        names["peak_lr"] = "optimum.peak_lr"
    return {
        names.get(name, name): plain(f"{origin.formula} | {origin.source}", limit=1000)
        for name, origin in plan.origins.items()
    }


def with_editor_hint(text: str, schema: str | None) -> str:
    """Tell editors of a config which JSON Schema describes it; `schema` is a path relative to the config."""
    return text if schema is None else f"# yaml-language-server: $schema={schema}\n{text}"


def config_to_yaml(config: TrainConfig) -> str:
    """Write a config so that every YAML reader, 1.1 or 1.2, takes its numbers as the same numbers."""
    content = config.model_dump(mode="json")
    content["law"] = {key: value for key, value in content["law"].items() if value is not None}
    content["plan"] = _asked(content["plan"])
    for name in ("override", "parametrization", "param_groups"):
        if not content[name]:
            del content[name]
    for values in (content, content["planned"]):
        options = values["schedule_options"]
        options |= {name: int(options[name]) for name in _COUNTS & options.keys() if _is_whole(options[name])}
        if not values["schedule_options"]:
            del values["schedule_options"]
    first = (MARK, "hptransfer_version", "target")
    ordered = {**{name: content[name] for name in first}, **content}
    return "\n".join([FIRST_LINE, *yaml_lines(ordered, "")]) + "\n"


_COUNTS = frozenset(["batch_seqs", "seq_len", "decay_steps"])  # options of schedules that count something


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _asked(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan was asked for, without what only some laws need and nobody gave."""
    kept = {key: value for key, value in content.items() if value or key not in _ASKED_BY_SOME}
    if "anchors" in kept:
        kept["anchors"] = [{k: v for k, v in one.items() if v is not None} for one in kept["anchors"]]
    if "scaling" in kept:
        kept["scaling"] = {k: v for k, v in kept["scaling"].items() if v not in (None, {})}
    return kept


_ON_ONE_LINE = frozenset(["factors", "formulas", "choices", "chosen", "fans"])


def yaml_lines(content: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Write nested mappings, an entry a line, the lines below `indent`."""
    for key, value in content.items():
        name = f"{indent}{_text(key)}:"
        if isinstance(value, dict) and value and key not in _ON_ONE_LINE:
            yield name
            yield from yaml_lines(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield name
            yield from (f"{indent}  - {yaml_value(item)}" for item in value)
        else:
            yield f"{name} {yaml_value(value)}"


def yaml_value(value: Any) -> str:
    """Write a value on one line, so that YAML 1.1 and 1.2 take it for the same."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(k)}: {yaml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(yaml_value(item) for item in value) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return number_text(value)


_BARE = re.compile(r"[a-z][a-z0-9_.-]*")
# Words that mean something in YAML 1.1, which has more of them than 1.2.
_YAML_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_ESCAPED = {'"': '\\"', "\\": "\\\\"}


def _text(text: str) -> str:
    """Write text bare where no YAML reader could take it for something else, else quoted."""
    if _BARE.fullmatch(text) and text not in _YAML_WORDS:
        return text
    quoted = (_ESCAPED.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return f'"{"".join(quoted)}"'


def number_text(value: float) -> str:
    """Write a number without loss, in a form that YAML 1.1 and 1.2 both read as a number.

    >>> number_text(3e-4), number_text(0.95), number_text(4194304.0), number_text(1e12), number_text(2048)
    ('3.0e-04', '0.95', '4194304', '1.0e+12', '2048')
    """
    if isinstance(value, int):
        return str(value)
    if value == 0 or 0.01 <= abs(value) < 1000:
        return repr(value)
    shortest = next(text for digits in range(2, 18) if float(text := scientific(value, digits)) == value)
    whole = str(int(value)) if value.is_integer() else shortest
    return whole if len(whole) <= len(shortest) else shortest


def config_from_yaml(text: str, name: str) -> TrainConfig:
    """Read a config from YAML text; `name` is the file as the user gave it.

    Raises:  InputError with line, field and the nearest known name for anything but a config.
    """
    from hptransfer.document import read_document  # ruamel.yaml: only reading needs it

    config, problems = config_from_document(read_document(text, name), name)
    if config is None or problems:
        raise InputError([Problem(name, p.line, p.field, p.message) for p in problems], way_out=WAY_OUT)
    return config


def config_from_document(document: Document, name: str) -> Checked:
    """Take a config from a document; unknown fields are named and left out, other problems leave no config.

    Raises:  InputError when it is no config, or one of a newer version.
    """
    content = document.content
    version = content.get(MARK)
    if MARK not in content:
        raise InputError([Problem(name, None, None, f"not a config: it has no {MARK}.")], way_out=WAY_OUT)
    if isinstance(version, int) and version > CONFIG_VERSION:
        message = f"got {version}, this hptransfer reads up to {CONFIG_VERSION}."
        problem = Problem(name, document.lines[MARK], MARK, message)
        raise InputError([problem], way_out="Upgrade hptransfer.")
    config, problems = _validated(document, content)
    if config is None and all(problem.kind == "unknown" for problem in problems):
        pruned = _without(content, [problem.field for problem in problems])
        config, _ = _validated(document, pruned)
    return Checked(config, problems)


def _validated(document: Document, content: Mapping[str, Any]) -> Checked:
    try:
        return Checked(TrainConfig.model_validate_json(json.dumps(content)), ())
    except ValidationError as error:
        return Checked(None, tuple(_field_problems(error, document)))


def _without(content: Mapping[str, Any], fields: list[str]) -> dict[str, Any]:
    """Copy nested mappings without the fields at these dotted paths."""

    def copied(mapping: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: copied(value, f"{prefix}{key}.") if isinstance(value, dict) else value
            for key, value in mapping.items()
            if f"{prefix}{key}" not in fields
        }

    return copied(content, "")


def _field_problems(error: ValidationError, document: Document) -> Iterator[FieldProblem]:
    """Say what pydantic found in words, and a misspelled name once: not as unknown *and* missing."""
    found = error.errors(include_url=False)
    missing = {item["loc"] for item in found if item["type"] == "missing"}
    for item in found:
        loc = item["loc"]
        if item["type"] != "extra_forbidden":
            continue
        hint = did_you_mean(str(loc[-1]), _fields_at(loc[:-1]))
        missing -= {(*loc[:-1], name) for name in _fields_at(loc[:-1]) if repr(name) in hint}
        yield _field_problem("unknown", loc, f"unknown field.{hint}", document)
    for item in found:
        loc, got = item["loc"], plain(item.get("input"), limit=60)
        if loc in missing:
            yield _field_problem("missing", loc, "needed, and missing.", document)
        elif item["type"] not in ("missing", "extra_forbidden"):
            yield _field_problem("bad-value", loc, f"{item['msg']} (got {got!r}).", document)


def _field_problem(
    kind: Literal["unknown", "missing", "bad-value"],
    loc: tuple[int | str, ...],
    message: str,
    document: Document,
) -> FieldProblem:
    """Name a field by its dotted path, with its own line or that of what holds it."""
    paths = [".".join(map(str, loc[:length])) for length in range(len(loc), 0, -1)]
    line = next((document.lines[path] for path in paths if path in document.lines), None)
    return FieldProblem(kind, plain(paths[0] if paths else "(all)"), line, message)


def _fields_at(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Names of the fields that a record inside a config has."""
    model: Any = TrainConfig
    for part in loc:
        known = model.model_fields.get(part)
        model = None if known is None else known.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return ()
    return tuple(model.model_fields)
