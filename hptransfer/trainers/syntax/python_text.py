"""Python configs as fields with places, read from the syntax tree: literals only, nothing is executed.

Fields are assignments of the module (`learning_rate = 6e-4`) and keyword arguments of the calls in what a
function returns (`return Trainer.Config(optimizer=AdamW(lr=3e-4))` gives `optimizer.lr`). Products and sums
of numbers (`5 * 8`) are worked out, anything else is kept as its text.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hptransfer.config import number_text
from hptransfer.errors import plain
from hptransfer.trainers.syntax.source import Block, Scalar, Source, Syntax, Written, nested, unusable

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Mult: operator.mul,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_TOO_LARGE = 1e30
_UNKNOWN = object()


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
            self.value(value, target.id)

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
        tail, column = self.offset(node.func.end_lineno or 1, node.func.end_col_offset or 0) + 1, None
        for keyword in node.keywords:
            if keyword.arg is not None:
                self.value(keyword.value, f"{path}.{keyword.arg}" if path else keyword.arg)
            end = keyword.value
            tail = self.offset(end.end_lineno or 1, end.end_col_offset or 0)
            column = keyword.col_offset if keyword.lineno > node.lineno else None
        indent = " " if column is None else self.source.newline + " " * column
        self.source.blocks[path] = Block(tail, indent, flow=True, empty=not (node.keywords or node.args))

    def scalar(self, node: ast.expr, path: str) -> None:
        start = self.offset(node.lineno, node.col_offset)
        end = self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
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


def with_calls(
    calls: Mapping[str, str], *, imports: Sequence[str]
) -> Callable[[Mapping[str, Scalar], Sequence[str]], str]:
    """A `compose` that writes `name = Call(field=value, ...)` for the names in `calls`."""

    def composed(fields: Mapping[str, Scalar], comments: Sequence[str]) -> str:
        parts = [*(f"# {line}".rstrip() for line in comments), *imports]
        for name, values in nested(fields).items():
            inner = [f"    {key}={_shown(value)}," for key, value in values.items()]
            parts += ["", f"{name} = {calls[name]}(", *inner, ")"]
        return "\n".join(parts) + "\n"

    return composed


def _shown(value: Any) -> str:
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list) else literal(value)


def insert(source: Source, fields: Mapping[str, Scalar]) -> str:
    """Add assignments at the end of the text."""
    text = source.text
    if text and not text.endswith("\n"):
        text += source.newline
    return text + "".join(f"{name} = {literal(value)}{source.newline}" for name, value in fields.items())


PYTHON = Syntax("Python", (".py",), parse, compose, insert, literal)
