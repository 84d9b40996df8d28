"""What we write for LLaMA-Factory and axolotl: every field is one of their released records."""

from __future__ import annotations

import dataclasses

import pytest

from hptransfer.trainers import FORMATS, write_config
from tests.trainers.conformance.curves import CURVES, MACHINE, with_curve
from tests.trainers.conformance.wheels import WHEELS, annotated_names

pytestmark = pytest.mark.trainers


def records(pattern: str) -> set[str]:
    """Fields of all records in the files of an unpacked wheel."""
    files = list(WHEELS.glob(pattern))
    assert files, f"no {pattern} in {WHEELS}: run make test-trainers"
    return set().union(*(annotated_names(file.read_text()) for file in files))


def written(name: str, text: str) -> set[str]:
    """Top-level fields of a file."""
    source = FORMATS[name].syntax.parse(text, "x")
    return {path.partition(".")[0] for path in source.fields}


@pytest.mark.parametrize("curve", CURVES)
def test_axolotl_has_every_field(curve: str) -> None:
    text = write_config(with_curve(curve), FORMATS["axolotl"], MACHINE).text
    assert written("axolotl", text) - records("axolotl/utils/schemas/*.py") == set()


@pytest.mark.parametrize("curve", CURVES)
def test_llama_factory_has_every_field(curve: str) -> None:
    from transformers import TrainingArguments

    inherited = {field.name for field in dataclasses.fields(TrainingArguments)}
    text = write_config(with_curve(curve), FORMATS["llama-factory"], MACHINE).text
    assert written("llama-factory", text) - records("llamafactory/hparams/*.py") - inherited == set()
