"""Python configs as fields with places, read from the syntax tree: literals only, nothing is executed.

Fields are assignments of the module (`learning_rate = 6e-4`) and keyword arguments of the calls in what a
function returns (`return Trainer.Config(optimizer=AdamW(lr=3e-4))` gives `optimizer.lr`). Products and sums
of numbers (`5 * 8`) are worked out, anything else is kept as its text.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from hptransfer.config import number_text
from hptransfer.errors import plain
from hptransfer.trainers.syntax.source import (
    Block,
    Edit,
    Entry,
    Scalar,
    Source,
    Syntax,
    Written,
    by_home,
    nested,
    unusable,
)

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Mult: operator.mul,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_TOO_LARGE = 1e30
_UNKNOWN = object()
_REST = "**"  # stands for a call's arguments that are not written out
_END_OF_ARGUMENT = re.compile(r"(,?)[ \t]*(?:#.*)?")


def literal_value(node: ast.expr) -> Any:
    """Work out numbers, texts, booleans and None; `_UNKNOWN` for what would have to be executed."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, float | int | str | None) else _UNKNOWN
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = literal_value(node.operand)
        return (-value if isinstance(node.op, ast.USub) else value) if _is_number(value) else _UNKNOWN
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = literal_value(node.left), literal_value(node.right)
        if _is_number(left) and _is_number(right):
            try:
                return _OPERATORS[type(node.op)](left, right)
            except ZeroDivisionError:
                return _UNKNOWN
    return _UNKNOWN


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < _TOO_LARGE


class _Walker:
    """Flattens assignments and returned calls."""

    def __init__(self, source: Source, tree: ast.Module) -> None:
        self.source = source
        self.lines = source.text.encode().splitlines(keepends=True)
        self.starts = [0]
        for line in source.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        for statement in tree.body:
            self.statement(statement)

    def offset(self, line: int, column: int) -> int:
        """Offset in the text of a line (1-based) and a column that the syntax tree counts in bytes."""
        return self.starts[line - 1] + len(self.lines[line - 1][:column].decode())

    def statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            self.assignment(statement.targets[0], statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self.assignment(statement.target, statement.value)
        elif isinstance(statement, ast.FunctionDef):
            for inner in statement.body:
                if isinstance(inner, ast.Return) and inner.value is not None:
                    self.value(inner.value, "")

    def assignment(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.entry(target, value, target.id)
            self.value(value, target.id)

    def entry(self, name: ast.expr | ast.keyword, value: ast.expr, path: str) -> None:
        """Note where a name and its value stand."""
        start, end = self.offset(name.lineno, name.col_offset), self.end(value)
        self.source.entries[path] = Entry(start, self.offset(value.lineno, value.col_offset), end)

    def end(self, node: ast.expr) -> int:
        """Offset of a node's end."""
        return self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def value(self, node: ast.expr, path: str) -> None:
        if isinstance(node, ast.Call) and (node.keywords or not path):
            self.call(node, path)
        elif isinstance(node, ast.List | ast.Tuple):
            for number, item in enumerate(node.elts):
                self.value(item, f"{path}.{number}")
        elif isinstance(node, ast.Dict):
            for key, item in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self.value(item, f"{path}.{key.value}")
        elif path:
            self.scalar(node, path)

    def call(self, node: ast.Call, path: str) -> None:
        tail, indent = self.end(node.func) + 1, " "
        for keyword in node.keywords:
            inner = ".".join(filter(None, (path, keyword.arg or _REST)))
            self.entry(keyword, keyword.value, inner)
            self.value(keyword.value, inner)
            tail, indent = self.end(keyword.value), self.source.lead(self.source.entries[inner].start)
        self.source.blocks[path] = Block(tail, indent, flow=True, empty=not (node.keywords or node.args))

    def scalar(self, node: ast.expr, path: str) -> None:
        start, end = self.offset(node.lineno, node.col_offset), self.end(node)
        text = self.source.text[start:end]
        value = literal_value(node)
        self.source.add(path, Written(text if value is _UNKNOWN else value, node.lineno, text, start, end))


def parse(text: str, name: str) -> Source:
    """Read a Python config; where a field is assigned twice, the last one counts, as in Python.

    Raises:  InputError with the line when it is not Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise unusable(name, error.lineno, f"not valid Python ({plain(error.msg, limit=80)}).") from None
    except (ValueError, RecursionError, MemoryError):
        raise unusable(name, None, "not valid Python.") from None
    source = Source(text, name)
    _Walker(source, tree)
    source.blocks.setdefault("", Block(len(text), "", flow=False))
    return source


def literal(value: Scalar) -> str:
    """Write a value as a Python literal."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return number_text(value)
    return repr(value)


def compose(fields: Mapping[str, Scalar], comments: Sequence[str]) -> str:
    """Write fields as assignments."""
    lines = [f"{name} = {_shown(value)}" for name, value in nested(fields).items()]
    return "\n".join([*(f"# {line}".rstrip() for line in comments), *lines]) + "\n"


def with_imports(text: str, known: Mapping[str, Sequence[str]]) -> str:
    """A text with imports of the names that it uses and does not bind: behind its last import, else on top.

    Args:    known: modules and the names to take from each; others are not looked for.
    """
    tree = ast.parse(text)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    bound = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    bound |= {alias.asname or alias.name for node in imports for alias in node.names}
    wanted = {module: [n for n in given if n in names - bound] for module, given in known.items()}
    rows = [f"from {module} import {', '.join(missing)}" for module, missing in wanted.items() if missing]
    if not rows:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    after = (imports[-1].end_lineno or 0) if imports else _lines_before_code(tree, lines)
    head, tail = "".join(lines[:after]), "".join(lines[after:])
    return head + newline.join(rows) + newline + tail


def _lines_before_code(tree: ast.Module, lines: Sequence[str]) -> int:
    """How many lines of comments or docstring stand above the first import."""
    if ast.get_docstring(tree) is not None:
        return tree.body[0].end_lineno or 0
    return next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}": {_shown(below)}' for name, below in value.items()) + "}"
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list) else literal(value)


def shown(value: Any, lead: str) -> str:  # noqa: ARG001 - on one line, wherever it stands
    """Write a value on one line."""
    return _shown(value)


def insert(source: Source, fields: Mapping[str, Scalar], after: int | None) -> list[Edit]:
    """Add arguments to calls, and assignments behind the last of their kind.

    Raises:  InputError where a call is missing, takes arguments that nobody can see (`**common`), or a name
             gets its value in another way than by one assignment.
    """
    release(source, fields)
    edits: list[Edit] = []
    for above, new in by_home(source, _below_empty_calls(source, fields, edits)).items():
        block, tree = source.blocks[above], nested(new)
        if f"{above}.{_REST}" in source.fields:
            line = source.fields[f"{above}.{_REST}"].line
            msg = f"takes arguments that cannot be seen here. Write out {', '.join(tree)}."
            raise unusable(source.name, line, msg, above)
        if block.flow and not any(isinstance(value, dict) for value in tree.values()):
            edits += _arguments(source, block, tree)
        elif above or any(isinstance(value, dict) for value in tree.values()):
            missing = next(name for name, value in tree.items() if isinstance(value, dict))
            msg = f"is not there, and {', '.join(tree[missing])} are its arguments. Add a call without any."
            raise unusable(source.name, None, msg, f"{above}.{missing}".lstrip("."))
        else:
            edits.append(_assignments(source, tree, after))
    return edits


def _below_empty_calls(
    source: Source, fields: Mapping[str, Scalar], edits: list[Edit]
) -> Mapping[str, Scalar]:
    """Put arguments into calls that have none; return the other fields."""
    calls: dict[str, dict[str, Scalar]] = {}
    for path, value in fields.items():
        parts = path.split(".")
        above = next((p for n in range(1, len(parts)) if (p := ".".join(parts[:n])) in source.fields), "")
        if above and source.fields[above].text.endswith("()"):
            calls.setdefault(above, {})[path.removeprefix(f"{above}.")] = value
    for above, new in calls.items():
        inside = source.fields[above].end - 1
        arguments = ", ".join(f"{name}={_shown(value)}" for name, value in nested(new).items())
        edits.append(Edit(inside, inside, arguments))
    below = {f"{above}.{name}" for above, new in calls.items() for name in new}
    return {path: value for path, value in fields.items() if path not in below}


def _arguments(source: Source, block: Block, tree: Mapping[str, Any]) -> list[Edit]:
    """Arguments behind the last one: on lines of their own, behind its comment, where that has its own."""
    rows = [f"{name}={_shown(value)}" for name, value in tree.items()]
    end = source.line_end(block.tail)
    rest = _END_OF_ARGUMENT.fullmatch(source.text, block.tail, end)
    if block.indent == " " or rest is None:
        lead = "," + block.indent
        return [Edit(block.tail, block.tail, ("" if block.empty else lead) + lead.join(rows))]
    comma = [] if rest.group(1) else [Edit(block.tail, block.tail, ",")]
    return [*comma, Edit(end, end, "".join(f"{block.indent}{row}," for row in rows))]


def _assignments(source: Source, tree: Mapping[str, Any], after: int | None) -> Edit:
    rows = [f"{name} = {_shown(value)}" for name, value in tree.items()]
    at = len(source.text.rstrip("\r\n")) if after is None else source.line_end(after)
    lead = source.newline
    return Edit(at, at, (lead if at else "") + lead.join(rows))


def release(source: Source, paths: Collection[str]) -> list[Edit]:
    """Nothing to edit.

    Raises:  InputError for names that get their values in other ways as well, such as `lr *= 2`.
    """
    names = {path.partition(".")[0] for path in paths}
    spans = {entry.start for entry in source.entries.values()}
    walker = _Walker(Source(source.text, source.name), tree := ast.parse(source.text))
    set_names = (n for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))
    for node in set_names:
        if node.id in names and walker.offset(node.lineno, node.col_offset) not in spans:
            msg = "gets its value here in a way that cannot be edited. Write one plain assignment."
            raise unusable(source.name, node.lineno, msg, node.id)
    return []


PYTHON = Syntax("Python", (".py",), parse, compose, insert, literal, shown, release)
