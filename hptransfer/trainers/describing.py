"""What formats can say, found by writing: no list beside the code that could go stale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from hptransfer.trainers import FORMATS
from hptransfer.trainers.base import NOT_EXPRESSED, PROOFS, Format, Machine
from hptransfer.trainers.recipe import Curve, Recipe
from hptransfer.trainers.writing import write_config

EXAMPLE: Final = Recipe(
    peak_lr=3e-4,
    curve=Curve("cosine", warmup_steps=100, final_ratio=0.1),
    batch_tokens=524_288,
    seq_len=2048,
    steps=10_000,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.95,
    eps=1e-8,
    grad_clip=1.0,
)
EXAMPLE_MACHINE: Final = Machine(world_size=8, micro_batch=4, seq_len=2048)
CURVES: Final = {
    "cosine": Curve("cosine", 100, 0.1),
    "linear": Curve("linear", 100, 0.1),
    "d2z": Curve("linear", 100, 0.0),
    "constant": Curve("constant", 100, 1.0),
    "inverse-sqrt": Curve("inverse-sqrt", 100, 0.1),
    "wsd (linear)": Curve("wsd", 100, 0.1, decay="linear", decay_steps=2000),
    "wsd (cosine)": Curve("wsd", 100, 0.1, decay="cosine", decay_steps=2000),
    "wsd (1-sqrt)": Curve("wsd", 100, 0.1, decay="1-sqrt", decay_steps=2000),
}
"""The schedules that formats are asked about, by the words to show."""


def schedules_held(form: Format) -> list[str]:
    """Which schedules a format can say without leaving anything out."""
    return [name for name, curve in CURVES.items() if _is_held(form, curve)]


def _is_held(form: Format, curve: Curve) -> bool:
    notes = write_config(replace(EXAMPLE, curve=curve), form, EXAMPLE_MACHINE).notes
    return all(note.code != NOT_EXPRESSED for note in notes)


def field_names(form: Format) -> dict[str, str]:
    """Our values to the format's fields, for those that are one field."""
    return {key.ours: key.field for key in form.keys}


CONFORMANCE: Final = "tests/trainers/conformance"
"""Where the tests that `proven` names stand."""

_INTRODUCTION = f"""\
# Trainers

`hptransfer plan --format NAME` writes a plan as a trainer's config, `hptransfer convert FILE --to NAME`
turns a plan's config or one trainer's into another's, `hptransfer formats` lists them, `hptransfer check`
reads them.

```sh
hptransfer plan --law step-law --params 1e9 --tokens 1e11 --format litgpt -o run.yaml
hptransfer plan --law step-law --params 2e9 --tokens 1e11 --format litgpt --base run.yaml
hptransfer plan --law step-law --params 2e9 --tokens 1e11 --format litgpt --base run.yaml --write
hptransfer convert run.yaml --to nanogpt -o train_config.py
```

- A batch that does not divide over ranks and micro-steps is an error that names the batches that do; with
  `--fit-batch` the nearest is taken, and the LR follows: the law's own in a plan, the square-root rule
  (arXiv:2205.10287) in a conversion.
- What a format cannot say (WSD in litgpt, an LR for each tensor class in Hugging Face) is told on stderr as
  `not-expressed`, in a comment where the format has them, and `FILE.hptransfer.json` beside the file has
  all values.
- A µP plan's LR, weight decay and epsilon by tensor class are OLMo-core's `group_overrides` and torchtitan
  0.3's `param_groups`, by patterns of the parameter names of their dense transformers; classes with the same
  values are one group. A pattern that takes no parameter is an error in both, so a pipeline stage without
  embeddings refuses torchtitan's. Norms and biases are torchtitan's last group and stand for the base values.
  Megatron-LM and nanoGPT-mup scale by their own rules and take no others; `convert` works these out where
  the file says the sizes (Megatron-LM's `--hidden-size`). Init std and multipliers are the model's: they are
  said, and in the sidecar.
- `convert --from-world-size` says for how many ranks the file is, where a batch per device needs it and what
  is written is for others (`--world-size`): the batch in tokens stays. So it does under `--seq-len`, where
  the file, or the sidecar beside it, says a sequence length of its own. The micro batch stays where it
  divides.
- Betas, epsilon and clipping are written wherever there is a field: the trainers' defaults differ.
- Weight decay is PyTorch's: a step shrinks weights by LR times weight decay.
- `--base FILE` puts a plan into a config that you have: its hyperparameters only, comments, order, quotes and
  line ends kept. The change is shown as a diff, `--write` makes it, `-o OUT` writes the whole elsewhere. What
  would say something else beside the plan's (a fraction of warm-up beside its steps, the options of
  another scheduler, the LR of some tensors) is taken out. An anchored value changes in its own place only;
  refused are fields written twice, whatever would change another field along, and a file that its trainer
  would still read as something else than the plan. Every format takes one. Its micro batch, world size and
  sequence length count where no option says others.
- Reading takes a missing field for the trainer's own default, executes nothing, and names field and line of
  what it read. Conversion keeps the curve, not the label: a schedule that the other format lacks is never
  replaced by a similar one.

## What is proven

`make test-trainers` installs pinned releases and asks them; what has no release is compared with what its
source says, in `make test`. The tests are in `{CONFORMANCE}`. What is not listed as proven was read in the
trainer's source and documentation, and no code of the trainer has seen it.
"""


def trainers_page() -> str:
    """The page about trainers: what is proven, which schedules each holds, which fields stand for what."""
    forms = list(FORMATS.values())
    sections = [
        _INTRODUCTION,
        *(f"- *{name}*: {what}." for name, what in PROOFS.items()),
        "",
        *_table(
            ("format", "trainer and version", "proven", "differences left"),
            (
                (f"`{form.name}`", form.version, _proofs(form), "; ".join(form.differences) or "-")
                for form in forms
            ),
        ),
        "\n## What each can say\n",
        *_table(("format", "files", "needs", "schedules", "LR"), (_abilities(form) for form in forms)),
        "\n## Fields that are one of our values as it is\n",
        *(_fields(form) for form in forms),
    ]
    return "\n".join(sections)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows)]


def _proofs(form: Format) -> str:
    """Proofs with links to their tests."""
    links = []
    for name, test in form.proven.items():
        file = test.partition("::")[0]
        links.append(f"[{name}](../{CONFORMANCE}/{file})")
    return ", ".join(links) or "nothing"


def _abilities(form: Format) -> tuple[str, ...]:
    needs = ", ".join(f"`--{name.replace('_', '-')}`" for name in form.needs) or "-"
    return (
        f"`{form.name}`",
        form.syntax.suffixes[0],
        needs,
        ", ".join(schedules_held(form)) or "-",
        form.lr_of,
    )


def _fields(form: Format) -> str:
    fields = "; ".join(f"{ours} `{field}`" for ours, field in field_names(form).items())
    return f"- {form.title}: {fields}. Use: `{form.usage}`"
