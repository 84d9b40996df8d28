"""What shells offer for the values of options: ids of laws, names of formats, schedules, ...

Each function gets what has been typed and returns what begins with it, with a word of help where there is
one. Where nothing does, shells fall back to file names, so that `--law law.json` completes as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Offers = list[tuple[str, str]]
Complete = Callable[[str], Offers]


def laws(incomplete: str) -> Offers:
    """Ids of published laws, with their titles."""
    from hptransfer.published import entries

    return _beginning(incomplete, {law_id: entry["title"] for law_id, entry in entries().items()})


def priors(incomplete: str) -> Offers:
    """What `--prior` takes."""
    own = {"weak": "exponents as papers spread them", "none": "the data alone"}
    return _beginning(incomplete, own) + laws(incomplete)


def estimators(incomplete: str) -> Offers:
    """Names of estimators."""
    offers = {"surface": "", "near-optimal": "the Step Law paper's recipe", "power-scheduler": "LR / batch"}
    return _beginning(incomplete, offers)


def formats(incomplete: str) -> Offers:
    """Trainers' formats, with their titles."""
    from hptransfer.trainers import FORMATS

    return _beginning(incomplete, {name: form.title for name, form in FORMATS.items()})


def schedules(incomplete: str) -> Offers:
    """Names of schedules, and after `decay=` the shapes of a decay."""
    from hptransfer.schedules import DECAYS, KINDS

    before, given, shape = incomplete.rpartition("decay=")
    if given:
        return _beginning(
            incomplete, {f"{before}{given}{name}": "" for name in DECAYS if name.startswith(shape)}
        )
    return _beginning(incomplete, {name: kind.title for name, kind in KINDS.items()})


def decays(incomplete: str) -> Offers:
    """Shapes of a decay."""
    from hptransfer.schedules import DECAYS

    return _beginning(incomplete, dict.fromkeys(DECAYS, ""))


def batch_rules(incomplete: str) -> Offers:
    """What `--batch-rule` takes."""
    from hptransfer.batches.rules import OWN, RULES

    offers = {OWN: "as the law's runs showed", **{name: rule.formula for name, rule in RULES.items()}}
    return _beginning(incomplete, offers)


def rule_sets(incomplete: str) -> Offers:
    """Rule sets of the muP family."""
    from hptransfer.parametrizations import rule_set_ids

    return _beginning(incomplete, dict.fromkeys(rule_set_ids(), ""))


def checks(incomplete: str) -> Offers:
    """Ids of checks, with what they look for."""
    from hptransfer.checks import CHECKS

    return _beginning(incomplete, {"all": "list them", **{check.id: check.title for check in CHECKS}})


def one_of(choices: Iterable[str]) -> Complete:
    """Offer a few fixed words."""
    known = dict.fromkeys(choices, "")
    return lambda incomplete: _beginning(incomplete, known)


def _beginning(incomplete: str, known: Mapping[str, str]) -> Offers:
    return [(name, said) for name, said in known.items() if name.startswith(incomplete)]
