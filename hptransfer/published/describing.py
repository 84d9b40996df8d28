"""What an entry of `laws.toml` says, in words: formulas as the paper writes them, ranges, certainty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hptransfer.published import QUANTITIES
from hptransfer.quantities import short_count

PARTS = (*QUANTITIES, "loss")
_MEANING = {
    "peak_lr": "peak LR",
    "batch_tokens": "batch",
    "critical_batch": "critical batch",
    "tau_ema": "AdamW timescale",
    "loss": "loss",
}


def predicts(entry: Mapping[str, Any]) -> str:
    """What an entry predicts.

    >>> from hptransfer.published import entries
    >>> predicts(entries()["step-law"])
    'peak LR, batch'
    """
    return ", ".join(meaning for name, meaning in _MEANING.items() if name in entry)


def certainty(entry: Mapping[str, Any]) -> str:
    """Certainty of an entry: of its parts where they differ."""
    by_part = {_MEANING[name]: entry[name]["certainty"] for name in PARTS if name in entry}
    if len(set(by_part.values())) == 1:
        return str(next(iter(by_part.values())))
    return ", ".join(f"{name} {how}" for name, how in by_part.items())


def formulas(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Parts of an entry: name, formula in the paper's own constants, certainty and source.

    >>> from hptransfer.published import entries
    >>> [formula for _, formula, _ in formulas(entries()["power-lines"])]
    ['0.0306 · 2048 · tokens^0.383', '1.084 · tokens_per_param^-0.527']
    """
    for name in PARTS:
        if name in entry:
            part = entry[name]
            text = _loss(part) if name == "loss" else _formula(part)
            yield name, text, f"{part['certainty']}; {part['source']}"


def _formula(part: Mapping[str, Any]) -> str:
    if part.get("form") == "linear-in-log":
        return f"{part['coefficient']:g}" + "".join(f" {v:+g} · ln({k})" for k, v in part["slopes"].items())
    level = f"e^{part['log_coefficient']:g}" if "log_coefficient" in part else f"{part['coefficient']:g}"
    units = part.get("units", {})
    inputs = {name: f"({name}/{units[name]:g})" if name in units else name for name in part["exponents"]}
    terms = [f"{inputs[name]}^{exponent:.4g}" for name, exponent in part["exponents"].items()]
    return " · ".join([level, *([f"{part['times']}"] if "times" in part else []), *terms])


def _loss(part: Mapping[str, Any]) -> str:
    terms = [
        f"({term['scale']:g}/{term['input']})^{term['exponent']:g}"
        if "scale" in term
        else f"{term['coefficient']:g}/{term['input']}^{term['exponent']:g}"
        for term in part["terms"]
    ]
    text = " + ".join(terms)
    if part.get("outer_exponent", 1.0) != 1.0:
        text = f"({text})^{part['outer_exponent']:g}"
    return f"{part['floor']:g} + {text}" if "floor" in part else text


def ranges(entry: Mapping[str, Any]) -> str:
    """Where an entry was fitted, on one line.

    >>> from hptransfer.published import entries
    >>> ranges(entries()["step-law"])
    'params 60M to 1.07B, tokens 2B to 100B'
    """
    spans = [f"{k} {short_count(low)} to {short_count(high)}" for k, (low, high) in _spans(entry)]
    return "; ".join(text for text in (", ".join(spans), entry.get("range_note", "")) if text)


def _spans(entry: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float, float]]]:
    """Ranges that say something: a lower end of 1 stands for one that nobody states."""
    for name, (low, high) in entry.get("fitted_on", {}).items():
        if low > 1 or name == "active_ratio":
            yield name, (low, high)


def goldens(entry: Mapping[str, Any]) -> Iterator[str]:
    """Golden values of an entry, a line each."""
    for golden in entry.get("golden", []):
        known = {k: v for k, v in golden.items() if k not in ("inputs", "where", "digits")}
        at = ", ".join(f"{name} {value:g}" for name, value in golden["inputs"].items())
        values = ", ".join(f"{name} = {value:.7g}" for name, value in known.items())
        yield f"at {at}: {values} ({golden['where']})"


def setting(entry: Mapping[str, Any]) -> str:
    """How the runs behind an entry were trained, as far as its sources say."""
    return ", ".join(f"{name} {value}" for name, value in entry.get("setting", {}).items()) or "not stated"


def law_page(law_id: str, entry: Mapping[str, Any]) -> str:
    """Everything about a law as Markdown, under a heading of the second level."""
    lines = [f"## `{law_id}`: {entry['title']}", ""]
    lines += [f"- `{name} = {text}` — {source}" for name, text, source in formulas(entry)]
    lines += [f"- fitted on: {ranges(entry)}", f"- setting: {setting(entry)}"]
    lines += [f"- counts: {name}: {text}" for name, text in entry["counts"].items()]
    if "parent" in entry:
        lines.append(f"- rests on the runs or the text of `{entry['parent']}`")
    lines += [f"- pitfall: {pitfall}" for pitfall in entry["pitfalls"]]
    lines += [f"- golden: {line}" for line in goldens(entry)]
    return "\n".join([*lines, ""])
