"""Configs of real trainers, written and read: one file a trainer, one table of formats.

A recipe (our values) becomes a trainer's config by `write_config`, a trainer's config our values by
`read_text_as`, each with the field and line that it stands in. Nothing here knows how a plan was made.
"""

from __future__ import annotations

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.trainers.axolotl import AXOLOTL
from hptransfer.trainers.base import Format, GroupReading, Machine, Reading, Trap, Value
from hptransfer.trainers.deepspeed import DEEPSPEED
from hptransfer.trainers.gpt_neox import GPT_NEOX
from hptransfer.trainers.hf import HF
from hptransfer.trainers.levanter import LEVANTER
from hptransfer.trainers.litgpt import LITGPT
from hptransfer.trainers.llama_factory import LLAMA_FACTORY
from hptransfer.trainers.megatron import MEGATRON
from hptransfer.trainers.merging import merged_config
from hptransfer.trainers.nanogpt import NANOGPT, NANOGPT_MUP
from hptransfer.trainers.nanotron import NANOTRON
from hptransfer.trainers.olmo_core import OLMO_CORE
from hptransfer.trainers.param_groups import PARAM_GROUPS
from hptransfer.trainers.reading import detect as _detect
from hptransfer.trainers.reading import planned_for, read_text_as, recipe_from
from hptransfer.trainers.recipe import Curve, Recipe, provenance_of, recipe_of
from hptransfer.trainers.torchtitan import TORCHTITAN_PY, TORCHTITAN_TOML
from hptransfer.trainers.writing import Output, write_config

_ALL = (
    HF,
    MEGATRON,
    OLMO_CORE,
    TORCHTITAN_TOML,
    TORCHTITAN_PY,
    LITGPT,
    NANOGPT,
    NANOGPT_MUP,
    NANOTRON,
    DEEPSPEED,
    LEVANTER,
    LLAMA_FACTORY,
    AXOLOTL,
    GPT_NEOX,
    PARAM_GROUPS,
)
FORMATS: dict[str, Format] = {form.name: form for form in _ALL}
"""Every format by its name."""
_CALLED = {"huggingface": "hf", "transformers": "hf", "trainingarguments": "hf", "trl": "hf"}
"""Names that people have for a format, in small letters and without dashes, that are not near its own."""

__all__ = [
    "FORMATS",
    "Curve",
    "Format",
    "GroupReading",
    "Machine",
    "Output",
    "Reading",
    "Recipe",
    "Trap",
    "Value",
    "detect",
    "find_format",
    "merged_config",
    "planned_for",
    "provenance_of",
    "read_text_as",
    "recipe_from",
    "recipe_of",
    "require_base",
    "write_config",
]


def find_format(name: str) -> Format:
    """Return a format.

    Raises:  UsageError naming the nearest one.
    """
    if name not in FORMATS:
        meant = _CALLED.get(name.lower().replace("-", "").replace("_", ""), name.lower())
        hint = did_you_mean(meant, FORMATS)
        msg = f"no format is called {plain(name)!r}.{hint} Formats: {', '.join(FORMATS)}."
        raise UsageError(msg)
    return FORMATS[name]


def detect(path: str, text: str) -> list[Format]:
    """All formats that a file can be; none and several are both possible."""
    return _detect(path, text, FORMATS.values())


def require_base(form: Format, path: str, text: str) -> None:
    """Refuse a base file that is another trainer's config.

    Raises:  UsageError naming what it reads as.
    """
    found = detect(path, text)
    akin = [other for other in found if (other.keys, other.syntax) == (form.keys, form.syntax)]
    if found and not akin:
        names = " or ".join(other.name for other in found)
        msg = f"{plain(path)} reads as {names}, not as {form.name}: nothing of it is changed."
        raise UsageError(msg)
