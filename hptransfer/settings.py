"""`hptransfer.toml`: which law, target and limits the configs of a project are held to.

    law = "law.json"                        # for plans and checks alike
    ignore = ["HPT404"]

    [[configs]]                             # the first entry whose `files` match is a config's own
    files = ["configs/7b/**/*.yaml"]        # relative to this file
    law = "laws/dense.json"
    target = { params = 7e9, tokens = 1e12 }
    tolerances = { lr_factor = 1.5 }

The file may come from a stranger, with a pull request: it is only ever read, and nothing in it can lead out
of the project. docs/ci.md describes every key.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hptransfer.errors import InputError, Problem, did_you_mean, plain
from hptransfer.files import SETTINGS_FILE, read_text
from hptransfer.law import ParamsKind, Record
from hptransfer.parametrizations.scaling import Scaling
from hptransfer.plans.prediction import Rounding

MAX_SETTINGS_BYTES = 2**20
EXPECTED = {  # pydantic's kinds of errors, in our words
    "string_type": "need text",
    "string_too_short": "need text that is not empty",
    "float_type": "need a number",
    "int_type": "need a whole number",
    "bool_type": "need true or false",
    "tuple_type": "need a list, such as [...]",
    "model_type": "need a table",
    "model_attributes_type": "need a table",
    "dict_type": "need a table",
    "missing": "needed, and missing",
}


def _glob_inside(pattern: str) -> str:
    if pattern.startswith("/") or "\\" in pattern or ".." in pattern.split("/"):
        msg = "need a path inside the project, with / between folders"
        raise ValueError(msg)
    if pattern.endswith("/"):
        msg = f"names a folder; its files are {pattern}**"
        raise ValueError(msg)
    return pattern.removeprefix("./")


Text = Annotated[str, Field(min_length=1)]
Glob = Annotated[Text, AfterValidator(_glob_inside)]
Code = Annotated[str, Field(pattern=r"^(HPT[0-9]{0,3}|[a-z]+(-[a-z]+)*)$")]
Severity = Literal["error", "warning"]
Amount = Annotated[float, Field(ge=1e-30, le=1e30)]
Count = Annotated[int, Field(gt=0, le=10**18)]
Limit = Annotated[float, Field(ge=0, le=1e30)]


class Part(Record):
    """A table of the settings: immutable, unknown keys are errors, text is never taken for a number."""

    model_config = ConfigDict(strict=True)


class ToleranceSettings(Part):
    """How far a config may be from plan and law; what is left out keeps its default."""

    edited: Limit | None = None
    lr_factor: Limit | None = None
    batch_factor: Limit | None = None
    weight_decay_factor: Limit | None = None
    excess: Limit | None = None
    reach_factor: Limit | None = None

    def given(self) -> dict[str, float]:
        """Return the limits that are set, by name."""
        return {name: value for name, value in self if value is not None}


class TargetSettings(Part):
    """What a config is to train: for formats that cannot say it, and to hold those to that can."""

    params: Amount
    tokens: Amount
    params_kind: ParamsKind = "unspecified"
    batch_tokens: Amount | None = None  # pinned
    batch_rule: Text | None = None  # how the LR follows the batch, as `plan --batch-rule` has it
    rounding: Rounding = "pow2"
    seq_len: Count | None = None
    width: Count | None = None
    depth: Count | None = None
    loss: Amount | None = None
    active_ratio: Amount | None = None
    experts: Count | None = None
    flops_per_token: Amount | None = None
    scaling: Scaling | None = None  # from which proxy, under which rule set of the muP family


class ConfigSettings(Part):
    """What the files that match are held to. What is left out comes from the top level, or the config."""

    files: Annotated[tuple[Glob, ...], Field(min_length=1)]
    law: Text | None = None
    target: TargetSettings | None = None
    format: Text | None = None  # of a trainer's config; else it is recognized
    world_size: Count | None = None  # data-parallel ranks, for formats that count the batch per device
    seq_len: Count | None = None  # tokens per sequence, for formats that do not say it
    tolerances: ToleranceSettings = ToleranceSettings()
    select: tuple[Code, ...] | None = None
    ignore: tuple[Code, ...] | None = None


class Settings(Part):
    """A whole `hptransfer.toml`."""

    law: Text | None = None
    configs: tuple[ConfigSettings, ...] = ()
    config_schema: Glob | None = None  # a file that configs written by `plan -o` name to editors
    tolerances: ToleranceSettings = ToleranceSettings()
    select: tuple[Code, ...] | None = None
    ignore: tuple[Code, ...] | None = None
    severity: dict[Code, Severity] = Field(default_factory=dict)

    def of_config(self, path: str) -> ConfigSettings | None:
        """Find the first entry for a config; `path` is relative to the project, with / between folders."""
        return next(
            (entry for entry in self.configs if any(glob_matches(path, glob) for glob in entry.files)), None
        )


def read_settings(root: Path) -> Settings:
    """Read the settings of the project that begins at `root`; without a file they are empty.

    Raises:  InputError with key and line for bad TOML, unknown keys or values that cannot be; FileError
             if unreadable.
    """
    file = root / SETTINGS_FILE
    if not file.is_file():
        return Settings()
    text = read_text(str(file), max_bytes=MAX_SETTINGS_BYTES)
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError([Problem(SETTINGS_FILE, None, None, f"not valid TOML ({plain(error)}).")]) from None
    try:
        # A date is nothing that any key could mean: no key accepts what stands for it here.
        return Settings.model_validate_json(json.dumps(content, default=lambda date: [[str(date)]]))
    except ValidationError as error:
        raise InputError(list(_problems(error, text))) from None


def _problems(error: ValidationError, text: str) -> Iterator[Problem]:
    lines = key_lines(text)
    for item in error.errors(include_url=False):
        loc = tuple(item["loc"])
        paths = [".".join(map(str, loc[:length])) for length in range(len(loc), 0, -1)]
        line = next((lines[path] for path in paths if path in lines), None)
        yield Problem(SETTINGS_FILE, line, plain(paths[0]), _said(item["type"], item["msg"], loc))


def _said(kind: str, message: str, loc: tuple[int | str, ...]) -> str:
    name = str(loc[-1])
    if kind == "extra_forbidden":
        return f"unknown key.{did_you_mean(name, _keys_at(loc[:-1]))}"
    if kind == "string_pattern_mismatch":
        return "need the start of an id, such as HPT1 or HPT101, or the name of a check."
    said = EXPECTED.get(kind, message.removeprefix("Value error, "))
    example = ': law = "law.json" or law = "step-law"' if name == "law" else ""
    return f"{plain(said)}{example}."


def _keys_at(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the keys that the table at `loc` may have."""
    parts: Mapping[str, type[BaseModel]] = {
        "configs": ConfigSettings,
        "target": TargetSettings,
        "tolerances": ToleranceSettings,
    }
    names = [str(part) for part in loc if not isinstance(part, int)]
    model = parts.get(names[-1], Settings) if names else Settings
    return tuple(model.model_fields)


_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"' -]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def key_lines(text: str) -> dict[str, int]:
    """Find the 1-based line of every key and table by dotted path; tables of an array by their index.

    The standard library's TOML reader forgets lines. Keys inside inline tables are not found: their
    line is the table's.

    >>> key_lines('law = "a"\\n[[configs]]\\nfiles = []\\n[[configs]]\\nlaw = 3')["configs.1.law"]
    5
    """
    lines: dict[str, int] = {}
    last: dict[str, int] = {}  # index of the newest table of each array
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = _bare(header[2])
            if header[1] == "[[":
                last[name] = last.get(name, -1) + 1
            array = next((known for known in last if f"{name}.".startswith(f"{known}.")), None)
            table = name if array is None else f"{array}.{last[array]}{name.removeprefix(array)}"
            lines.setdefault(table, number)
            table += "."
        elif key := _KEY.match(line):
            lines.setdefault(table + _bare(key[1]), number)
    return lines


def _bare(key: str) -> str:
    return re.sub(r"[\"' ]", "", key)


def glob_matches(path: str, glob: str) -> bool:
    """Whether a path matches: `*` and `?` stay within a folder, `**` stands for any number of folders.

    >>> glob_matches("configs/a.yaml", "configs/**/*.yaml"), glob_matches("configs/b/a.yaml", "configs/*")
    (True, False)
    """
    wanted = glob.split("/")

    def passed(places: set[int]) -> set[int]:
        """Places in `wanted` that can be next, as `**` may stand for nothing."""
        found = set(places)
        for place, name in enumerate(wanted):
            if place in found and name == "**":
                found.add(place + 1)
        return found

    places = passed({0})
    for part in path.split("/"):
        open_places = {place for place in places if place < len(wanted)}
        stays = {place for place in open_places if wanted[place] == "**"}
        steps = {place + 1 for place in open_places - stays if fnmatchcase(part, wanted[place])}
        places = passed(stays | steps)
    return len(wanted) in places
