"""Fields set in other people's texts: the standard parsers see what was set, and nothing else changed."""

from __future__ import annotations

import ast
import copy
import difflib
import json
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hptransfer.errors import InputError
from hptransfer.trainers.syntax import FLAGS, JSON, PYTHON, TOML, YAML, Scalar, Syntax
from hptransfer.trainers.syntax.editing import stale, with_fields, without

NAMES = ("lr", "betas", "eps", "params", "name", "optim")
scalars = (
    st.integers(-(10**6), 10**6) | st.floats(1e-9, 1e9) | st.booleans() | st.text("ab c#:'\"", max_size=5)
)
trees = st.dictionaries(
    st.sampled_from(NAMES),
    st.recursive(
        scalars,
        lambda below: (
            st.dictionaries(st.sampled_from(NAMES), below, min_size=1, max_size=3)
            | st.lists(scalars, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def changes(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Scalar], dict[str, Any]]:
    """Draw a tree, fields to set in it (there or new), and the tree with them."""
    tree = draw(trees)
    after: Any = copy.deepcopy(tree)
    fields: dict[str, Scalar] = {}
    for _ in range(draw(st.integers(1, 4))):
        into, path = after, []
        while True:
            name = draw(st.sampled_from(NAMES))
            path.append(name)
            if not isinstance(into.get(name), dict):
                break
            into = into[name]
        if isinstance(into.get(name), list):
            continue
        into[name] = fields[".".join(path)] = draw(scalars)
    return tree, fields, after


def _set(text: str, syntax: Syntax, fields: dict[str, Scalar]) -> str:
    once = with_fields(syntax.parse(text, "x"), syntax, fields)
    assert with_fields(syntax.parse(once, "x"), syntax, fields) == once  # the second time nothing changes
    return once


@given(drawn=changes(), indent=st.sampled_from([None, 1, 2, 4]))
@settings(deadline=None)
def test_json_is_what_its_parser_sees_with_the_fields_set(
    drawn: tuple[dict[str, Any], dict[str, Scalar], dict[str, Any]], indent: int | None
) -> None:
    tree, fields, after = drawn
    text = _set(json.dumps(tree, indent=indent), JSON, fields)
    assert json.loads(text) == after
    if indent is not None:  # and it looks as if it had been written so
        assert len(text.splitlines()) == len(json.dumps(after, indent=indent).splitlines())


@given(drawn=changes(), flow=st.sampled_from([True, False, None]), windows=st.booleans())
@settings(deadline=None)
def test_yaml_is_what_its_parser_sees_with_the_fields_set(
    drawn: tuple[dict[str, Any], dict[str, Scalar], dict[str, Any]], flow: bool | None, windows: bool
) -> None:
    tree, fields, after = drawn
    dumped = yaml.safe_dump(tree, default_flow_style=flow, sort_keys=False)
    text = _set(dumped.replace("\n", "\r\n") if windows else dumped, YAML, fields)
    assert yaml.safe_load(text) == after
    assert not windows or text.count("\r\n") == text.count("\n")


def test_an_empty_json_object_is_filled() -> None:
    assert _set('{"a": {}, "b": 1}', JSON, {"a.x": 1, "a.y": 2}) == '{"a": {"x": 1, "y": 2}, "b": 1}'


def _changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


COMMENTED = """\
# head

optim:      # about it
  "lr" : 3e-4   # peak
  betas: [0.9,0.999]  # both
  name: 'adamw'
# tail of optim

other: {x: 1,  y: 2}
"""


def test_yaml_keeps_comments_quotes_space_and_the_missing_line_end() -> None:
    fields: dict[str, Scalar] = {
        "optim.lr": 1e-3,
        "optim.betas.0": 0.9,
        "optim.betas.1": 0.95,
        "optim.name": "sgd",
        "optim.eps": 1e-8,
        "other.z": 3,
    }
    after = _set(COMMENTED.rstrip("\n"), YAML, fields)
    assert after == COMMENTED.rstrip("\n").replace("3e-4", "1.0e-03").replace("0.999", "0.95").replace(
        "'adamw'\n", "'sgd'\n  eps: 1.0e-08\n"
    ).replace("y: 2}", "y: 2, z: 3}")


def test_yaml_values_that_are_equal_stay_as_they_are_written() -> None:
    text = "lr: 3.0e-04\nsteps: 1_000\nclip: 1\n"
    assert _set(text, YAML, {"lr": 3e-4, "steps": 1000, "clip": 1.0}) == text


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        # an alias is replaced by a value of its own: the anchor's place stays
        ("a: &x 1\nlr: *x\n", {"lr": 2}, "a: &x 1\nlr: 2\n"),
        # the anchor moves to the first place that uses it
        ("lr: &x 1  # c\na: *x\nb: *x\n", {"lr": 2}, "lr: 2  # c\na: &x 1\nb: *x\n"),
        # what is inherited is overridden where it is inherited
        (
            "d: &d\n  lr: 1\n  e: 2\no:\n  <<: *d\n",
            {"o.lr": 3},
            "d: &d\n  lr: 1\n  e: 2\no:\n  <<: *d\n  lr: 3\n",
        ),
        # a mapping that is an alias becomes one that merges it
        ("d: &d {lr: 1, e: 2}\no: *d # c\n", {"o.lr": 3}, "d: &d {lr: 1, e: 2}\no: {<<: *d, lr: 3} # c\n"),
        # a list that is an alias becomes one of its own
        ("b: &b [1, 2]\nbetas: *b\n", {"betas.1": 3}, "b: &b [1, 2]\nbetas: [1, 3]\n"),
        # nothing becomes something
        ("o:\nx: 1\n", {"o.lr": 3}, "o: {lr: 3}\nx: 1\n"),
        ("o: null # c\n", {"o.lr": 3, "o.b.0": 1, "o.b.1": 2}, "o: {lr: 3, b: [1, 2]} # c\n"),
        # a block becomes a value
        ("s:\n  type: x\n  k: 1\nlr: 1\n", {"s": "cosine"}, "s: cosine\nlr: 1\n"),
        # a list of another length
        ("betas: [1]\n", {"betas.0": 1, "betas.1": 2}, "betas: [1, 2]\n"),
        ("betas:\n- 1\nlr: 1\n", {"betas.0": 1, "betas.1": 2}, "betas: [1, 2]\nlr: 1\n"),
        # several mappings that end at one place
        (
            "a:\n  b:\n    c: 1\n",
            {"d": 1, "a.e": 2, "a.b.f": 3},
            "a:\n  b:\n    c: 1\n    f: 3\n  e: 2\nd: 1\n",
        ),
    ],
)
def test_yaml_anchors_merges_and_odd_places(text: str, fields: dict[str, Scalar], expected: str) -> None:
    assert _set(text, YAML, fields) == expected
    for path, value in fields.items():
        found: Any = yaml.safe_load(expected)
        for name in path.split("."):
            found = found[int(name) if name.isdecimal() else name]
        assert found == value


def test_toml_keeps_comments_and_finds_the_right_table() -> None:
    before = (
        'top = 1\r\n[[data]]\r\nlr = 9\r\n\r\n[optimizer] # o\r\nname = "AdamW"\r\nlr   = 3e-4  # peak\r\n'
        "betas = [\r\n  0.9,\r\n  0.95,\r\n]\r\n\r\n# about training\r\n[training]\r\nsteps = 10\r\n"
    )
    after = _set(
        before, TOML, {"optimizer.lr": 1e-3, "optimizer.eps": 1e-8, "new.x": 1, "training.steps": 10}
    )
    expected = before.replace("3e-4", "1.0e-03").replace("]\r\n\r\n#", "]\r\neps = 1.0e-08\r\n\r\n#")
    assert after == expected.removesuffix("\r\n") + "\r\n\r\n[new]\r\nx = 1\r\n"
    assert tomllib.loads(after)["optimizer"] == {
        "name": "AdamW",
        "lr": 1e-3,
        "betas": [0.9, 0.95],
        "eps": 1e-8,
    }


@pytest.mark.parametrize("text", ["optimizer = {lr = 1}\n", "optimizer.lr = 1\n"])
def test_toml_that_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"Write `name = value` lines under \[optimizer\]"):
        _set(text, TOML, {"optimizer.eps": 1e-8})


TITAN = '''\
"""A run."""

def run():
    return Trainer.Config(
        optimizer=default_adamw(
            lr=8e-4,  # peak
            eps=1e-8  # µ
        ),
        training=TrainingConfig(seq_len=8 * 1024, steps=STEPS),
        checkpoint=Checkpoint(),
    )
'''


def test_python_calls_keep_their_comments_and_layout() -> None:
    fields: dict[str, Scalar] = {
        "optimizer.lr": 1e-3,
        "optimizer.weight_decay": 0.1,
        "training.seq_len": 8192,
        "training.steps": 7,
        "training.max_norm": 1.0,
        "checkpoint.interval": 5,
    }
    after = _set(TITAN, PYTHON, fields)
    ast.parse(after)
    expected = TITAN.replace("lr=8e-4", "lr=1.0e-03").replace("STEPS)", "7, max_norm=1.0)")
    expected = expected.replace("Checkpoint()", "Checkpoint(interval=5)")
    assert after == expected.replace("eps=1e-8  # µ\n", "eps=1e-8,  # µ\n            weight_decay=0.1,\n")


def test_python_assignments_go_behind_those_of_their_kind() -> None:
    text = "# run\nlr = 6e-4  # max\nwd = 1e-1\n\nout_dir = 'x'\n"
    assert _set(text, PYTHON, {"lr": 1e-3, "wd": 0.1, "clip": 1.0}) == (
        "# run\nlr = 1.0e-03  # max\nwd = 1e-1\nclip = 1.0\n\nout_dir = 'x'\n"
    )
    assert _set("out = 'x'", PYTHON, {"lr": 1e-3}) == "out = 'x'\nlr = 1.0e-03"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr = 1\nlr = 2\n", r"line 2, lr: is given twice \(first in line 1\)"),
        ("lr = 1\nif True:\n    lr = 2\n", "line 3, lr: gets its value here in a way that cannot be edited"),
        ("lr = 1\nlr *= 2\n", "line 2, lr: gets its value"),
        ("lr = wd = 1\n", "line 1, lr: gets its value"),
        ("def a():\n    return C(lr=1)\ndef b():\n    return C(lr=2)\n", r"line 4, lr: is given twice"),
    ],
)
def test_python_names_with_several_values_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _set(text, PYTHON, {"lr": 3})


def test_python_calls_that_are_missing_or_hide_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="optimizer: is not there, and lr are its arguments"):
        _set("def run():\n    return C(x=1)\n", PYTHON, {"optimizer.lr": 3})
    with pytest.raises(InputError, match="line 1, optimizer: takes arguments that cannot be seen"):
        _set("optimizer = adamw(**common)\n", PYTHON, {"optimizer.lr": 3})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # an array, a flag a line
        (
            "A=(\n    --lr 1  # c\n    --wd=2\n)\nB=(--z 1)\n",
            "A=(\n    --lr 3  # c\n    --eps 4\n    --wd=2\n)\nB=(--z 1)\n",
        ),
        # a command continued over lines
        ("run \\\n  --lr 1 \\\n  --z 1\n", "run \\\n  --lr 3 \\\n  --eps 4 \\\n  --z 1\n"),
        ("run --z 1 \\\n  --lr 1\necho\n", "run --z 1 \\\n  --lr 3 --eps 4\necho\n"),
        # several numbers
        ("A=(--lr 1 2 3)\n", "A=(--lr 3 2 3 --eps 4)\n"),
        # one line
        ("run --lr 1 --z 'a b' # --eps 3\n", "run --lr 3 --eps 4 --z 'a b' # --eps 3\n"),
    ],
)
def test_flags_go_behind_those_of_their_kind(text: str, expected: str) -> None:
    assert _set(text, FLAGS, {"lr": 3, "eps": 4}) == expected


def test_flags_in_quotes_are_refused() -> None:
    with pytest.raises(InputError, match="line 2, --lr: stands in quotes"):
        _set('run --z 1\nARGS="--lr 1 --wd 2"\n', FLAGS, {"lr": 3})
    assert _set('A="\n  --lr 1 --wd 2\n"\n', FLAGS, {"lr": 3}) == 'A="\n  --lr 3 --wd 2\n"\n'


@pytest.mark.parametrize(
    ("syntax", "text", "path", "expected"),
    [
        (JSON, '{"a": 1, "b": 2, "c": 3}', "a", '{"b": 2, "c": 3}'),
        (JSON, '{"a": 1, "b": 2, "c": 3}', "b", '{"a": 1, "c": 3}'),
        (JSON, '{"a": 1, "b": 2}', "b", '{"a": 1}'),
        (JSON, '{"b": 2}', "b", "{}"),
        (JSON, '{\n  "a": 1,\n  "b": {\n    "c": 2\n  },\n  "d": 3\n}', "b", '{\n  "a": 1,\n  "d": 3\n}'),
        (JSON, '{\n  "a": 1,\n  "b": 2\n}', "b", '{\n  "a": 1\n}'),
        (YAML, "a: x,\nb: 2  # two\nc: 3\n", "b", "a: x,\nc: 3\n"),
        (YAML, "a: 1\nb:\n  - 1\n  - 2\n# c\nc: 3\n", "b", "a: 1\n# c\nc: 3\n"),
        (YAML, "a: 1\r\nb: 2", "b", "a: 1\r\n"),
        (YAML, "a: {b: 1, c: 2}\n", "a.b", "a: {c: 2}\n"),
        (TOML, "[a]\nb = 1 # x\nc = 2\n", "a.b", "[a]\nc = 2\n"),
        (PYTHON, "a = 1\nb = 2  # x\nc = 3\n", "b", "a = 1\nc = 3\n"),
        (PYTHON, "a = C(\n    x=1,  # one\n    y=2,\n)\n", "a.x", "a = C(\n    y=2,\n)\n"),
        (PYTHON, "a = C(x=1, y=2)\n", "a.y", "a = C(x=1)\n"),
        (FLAGS, "--a 1 --b 2 --c", "b", "--a 1 --c"),
        (FLAGS, "--a 1\n--b 16 16 585\n--c x y", "b", "--a 1\n--c x y"),
        (FLAGS, "x \\\n  --a 1 \\\n  --b 2 \\\n  --c\n", "b", "x \\\n  --a 1 \\\n  --c\n"),
        (FLAGS, "x \\\n  --a 1 \\\n  --b 2\necho\n", "b", "x \\\n  --a 1\necho\n"),
        (FLAGS, "A=(\n  --a 1\n  --b 2 # x\n)\n", "b", "A=(\n  --a 1\n)\n"),
    ],
)
def test_taking_out_an_entry_leaves_no_comma_and_no_empty_line(
    syntax: Syntax, text: str, path: str, expected: str
) -> None:
    assert without(syntax.parse(text, "x"), path) == expected


def test_what_may_not_stand_beside_the_fields_is_found_as_few_entries() -> None:
    source = YAML.parse("k: {a: 1, b: 2}\nw: 0.1\nn: null\nm: {x: {y: 1}}\nl: [{p: 1}]\n", "x")
    assert stale(source, ["k.a", "l.0.q"], ["k", "w", "n", "m", "l"]) == ["k.b", "w", "m", "l"]


def test_only_the_lines_of_changed_fields_change() -> None:
    after = _set(COMMENTED, YAML, {"optim.lr": 1e-3})
    assert _changed_lines(COMMENTED, after) == ['-   "lr" : 3e-4   # peak\n', '+   "lr" : 1.0e-03   # peak\n']
