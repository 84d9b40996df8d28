"""Checks of the law behind a config: still the same, applicable, trustworthy here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hptransfer.checks.base import Check, Deviation, Subject, Value, beyond, shown, times
from hptransfer.config import config_from_plan
from hptransfer.errors import HptransferError, plain
from hptransfer.files import SETTINGS_FILE
from hptransfer.law import Law
from hptransfer.planning import SAME_SCALE

_SHORT = len("sha256:") + 8


def _law(subject: Subject) -> Law:
    assert subject.law is not None  # noqa: S101 - these checks need a law
    return subject.law


def _stale_law(subject: Subject) -> Iterator[Deviation]:
    recorded, present = subject.settled.law.digest, _law(subject).digest()
    if recorded != present:
        text = (
            f"the law in use is not the one this was planned with: its digest is {present[:_SHORT]}..., "
            f"recorded is {plain(recorded[:_SHORT])}..."
        )
        yield Deviation("law.digest", text, present, plain(recorded))


def _params_kinds_differ(subject: Subject) -> bool:
    if subject.settled.plan.anchors:  # counted as the anchors are: a ratio needs no more
        return False
    kinds = {_law(subject).params_kind, subject.settled.target.params_kind}
    return len(kinds - {"unspecified"}) == 2


def _params_kind(subject: Subject) -> Iterator[Deviation]:
    if _params_kinds_differ(subject):
        got, expected = subject.settled.target.params_kind, _law(subject).params_kind
        text = f"target.params counts {got} params, the law counts {expected} ones."
        yield Deviation("target.params_kind", text, expected, got)


def _law_refuses(subject: Subject) -> Iterator[Deviation]:
    if subject.refusal is not None and not _params_kinds_differ(subject):
        yield Deviation("law", f"the law cannot answer for this config: {subject.refusal}")


def _experimental(subject: Subject) -> Iterator[Deviation]:
    if _law(subject).experimental:
        yield Deviation("law", "the law rests on coefficients that are recalled or uncertain.")


def _outside_fitted_range(subject: Subject) -> Iterator[Deviation]:
    plan, limit = subject.as_asked, subject.tolerances.reach_factor
    far = [] if plan is None else [name for name, reach in plan.reach.items() if reach.factor > limit]
    for note in () if plan is None else plan.warnings:
        if note.code == "outside-fitted-range" and note.message.split()[0] in far:
            yield Deviation("target", plain(note.message, limit=400))


def _other_target(subject: Subject) -> Iterator[Deviation]:
    """The target of a config against what hptransfer.toml says its file is to train."""
    if subject.wanted is None:
        return
    for name in ("params", "tokens"):
        got, wanted = getattr(subject.settled.target, name), getattr(subject.wanted, name)
        if beyond(got, wanted, SAME_SCALE):
            text = (
                f"target.{name} {shown(got)} is {times(got, wanted)} the {shown(wanted)} that "
                f"{SETTINGS_FILE} names for this file."
            )
            yield Deviation(f"target.{name}", text, wanted, got)


DOUBTS = (
    "not-identifiable",
    "prior-outweighs-data",
    "cell-disagrees",
    "unit-slip",
    "two-settings",
    "mislabelled-rows",
    "lack-of-fit",
    "surface-failed",
)
"""Warnings of a fit which say that the proxies are no fair picture of the law, by code."""


def _proxies_not_representative(subject: Subject) -> Iterator[Deviation]:
    for note in _law(subject).warnings:
        if note.code in DOUBTS:
            yield Deviation("law", plain(f"{note.code}: {note.message}", limit=400))


RECORDED = ("optimum", "planned", "reach")
"""Parts of a config that its law and what was asked of it determine."""


def _record_differs(subject: Subject) -> Iterator[Deviation]:
    """What a config records of its plan against the plan made again, as long as the law is the same."""
    config, plan = subject.settled, subject.as_asked
    if plan is None or config.law.digest != _law(subject).digest():
        return
    try:
        again = config_from_plan(plan, config.law, anchors=config.plan.anchors)
    except HptransferError:  # what the law gives now cannot be run: other checks say so
        return
    same_version = config.hptransfer_version == again.hptransfer_version
    parts = (*RECORDED, "origin") if same_version else RECORDED
    recorded, made = (dict(_leaves(one.model_dump(include=set(parts)), "")) for one in (config, again))
    for name in dict.fromkeys([*made, *recorded]):
        got, expected = recorded.get(name), made.get(name)
        is_number = isinstance(got, int | float) and isinstance(expected, int | float)
        if (is_number or same_version) and _differ(got, expected, subject.tolerances.edited):
            text = (
                f"{name} is recorded as {plain(shown(got), limit=300)}, the law and the plan make "
                f"it {plain(shown(expected), limit=300)}."
            )
            yield Deviation(name, text, expected, got)


def _leaves(value: object, path: str) -> Iterator[tuple[str, Value]]:
    """Every plain value inside mappings and sequences, by dotted path."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from _leaves(item, f"{path}.{place}")
    elif value is None or isinstance(value, float | int | str):
        yield path, value


def _differ(got: Value, expected: Value, tolerance: float) -> bool:
    if isinstance(got, int | float) and isinstance(expected, int | float):
        return abs(got - expected) > tolerance * abs(expected)
    return got != expected


CHECKS = (
    Check(
        id="HPT401",
        slug="stale-law",
        title="The law has changed since the plan",
        why="Values planned with an older fit look right and are not what the law says now.",
        source="SHA-256 of the law's numbers and setting, recorded in the config",
        fix="Plan again, check with the law that was used (--law), or say why under "
        "`override: {stale-law: reason}`.",
        severity="error",
        needs="law",
        look=_stale_law,
    ),
    Check(
        id="HPT402",
        slug="params-kind",
        title="Params counted in another way than the law counts them",
        why="Embeddings counted or not move the LR of small models with large vocabularies by up to a third.",
        source="Step Law counts non-embedding params, arXiv:2503.04715",
        fix="Plan again with params counted the law's way.",
        severity="error",
        needs="law",
        look=_params_kind,
    ),
    Check(
        id="HPT403",
        slug="law-refuses",
        title="The law cannot answer for this config",
        why="A law fitted at one scale in some direction says nothing about others.",
        source="hptransfer's own refusals when planning",
        fix="Fit a sweep that covers what is asked, or use another law.",
        severity="error",
        needs="law",
        look=_law_refuses,
    ),
    Check(
        id="HPT404",
        slug="experimental-law",
        title="A law with recalled or uncertain coefficients",
        why="Its numbers were not verified in a primary source.",
        source="the law's own certainty entries",
        fix="Prefer a verified law, or fit a sweep of your own.",
        severity="warning",
        needs="law",
        look=_experimental,
    ),
    Check(
        id="HPT405",
        slug="outside-fitted-range",
        title="The target lies outside what the law has seen",
        why="Extrapolated optima grow uncertain with the distance.",
        source="the law's fitted_on ranges",
        fix="Add runs nearer to the target, or accept the wider interval: `--reach-factor` says how far.",
        severity="warning",
        needs="law",
        look=_outside_fitted_range,
    ),
    Check(
        id="HPT406",
        slug="other-target",
        title="The config is for another target than the project says",
        why="A plan for another size or budget can be right in itself and still be the wrong plan.",
        source="hptransfer.toml, [[configs]] target",
        fix="Plan for the target in hptransfer.toml, or correct it there.",
        severity="error",
        needs="config",
        look=_other_target,
    ),
    Check(
        id="HPT407",
        slug="record-differs",
        title="A record of the plan is not what the plan was",
        why="Optima, intervals, origins and reach are what a reader trusts; edits there hide others.",
        source="the plan made again from the law and what the config says was asked of it",
        fix="Plan again; nothing under optimum, planned, origin and reach is meant to be edited.",
        severity="error",
        needs="plan",
        look=_record_differs,
    ),
    Check(
        id="HPT408",
        slug="proxies-not-representative",
        title="The runs behind the law are no fair picture of it",
        why="A law fitted on runs that contradict each other, or that cannot tell params from tokens, looks "
        "as smooth as any other.",
        source="warnings that `fit` recorded in the law; what each means: docs/diagnostics.md",
        fix="See `hptransfer doctor SWEEP`, mend or add the runs it names, fit again.",
        severity="warning",
        needs="law",
        look=_proxies_not_representative,
    ),
)
