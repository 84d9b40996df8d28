"""A law in tables and as JSON."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, TextIO

from hptransfer.batches.sizes import critical_formula
from hptransfer.cli.render import count, ratio, rough, say, table
from hptransfer.errors import plain
from hptransfer.losses.law import loss_formula
from hptransfer.quantities import short_count

if TYPE_CHECKING:
    from hptransfer.law import Choices, Fit, Law, PowerLaw, PowerSchedulerTests, Uncertainty


def law_content(law: Law) -> dict[str, Any]:
    """A law as JSON content without its bootstrap draws."""
    return law.model_dump(mode="json", exclude={"fit": {"draws"}})


def show_law(law: Law, *, stream: TextIO) -> None:
    """Print a fitted law: its formulas with intervals, the cells behind it, what was set aside and why."""
    laws = {"peak_lr": law.peak_lr, "batch_tokens": law.batch_tokens}
    if law.tau_ema is not None:
        laws["tau_ema"] = law.tau_ema
    fixed = _fixed_terms(law)
    rows = [
        row
        for name, power in laws.items()
        if power is not None
        for row in _coefficient_rows(name, power, fixed=fixed if name == "peak_lr" else ())
    ]
    table(f"Law {plain(law.id)}: {plain(law.title)}", ("", "term", "value#", "90 % interval"), rows, stream)
    if law.loss is not None:
        say(f"Loss of a well-tuned run = {loss_formula(law.loss)}\n", stream)
    _show_batch(law, stream)
    if law.fit is None:
        return
    cells = (
        (
            short_count(c.params),
            short_count(c.tokens),
            str(c.runs),
            str(c.diverged),
            f"{c.best_loss:.4f}",
            rough(c.best_lr),
            count(c.best_batch_tokens),
            ", ".join(c.edges) or "-",
        )
        for c in law.fit.cells
    )
    columns = (
        "params#",
        "tokens#",
        "runs#",
        "diverged#",
        "best loss#",
        "at lr#",
        "at batch#",
        "on the edge~",
    )
    table("Cells", columns, cells, stream)
    if law.fit.track_record is not None:
        say(f"Track record: {law.fit.track_record.verdict}\n", stream)
    if law.fit.power_scheduler is not None:
        _show_power_scheduler(law, law.fit, law.fit.power_scheduler, stream)
    if law.fit.data_share:
        _show_shares(law.fit, stream)
    if law.fit.choices is not None:
        _show_choices(law.fit.choices, stream)
    if law.fit.set_aside:
        aside = ((item.reason, str(item.runs), plain(item.example)) for item in law.fit.set_aside)
        table("Set aside", ("why", "runs#", "for example~"), aside, stream)


def _show_power_scheduler(law: Law, record: Fit, tests: PowerSchedulerTests, stream: TextIO) -> None:
    """Print the law in the Power Scheduler's units, and what the runs say about what its form fixes."""
    power, seq_len = law.peak_lr, law.seq_len
    if power is not None and seq_len is not None:
        a = math.exp(power.log_coefficient) * seq_len
        exponent = power.exponents["tokens"]
        say(f"LR = batch * {a:.4g} * tokens^{exponent:.4g}, batch in sequences of {seq_len} tokens\n", stream)
    linear = record.lr_batch
    rows = [
        ("batch in LR", "1", *(("-", "-") if linear is None else _bounded(linear.value, linear.interval)), "")
    ]
    for name, freed in (
        ("params in LR / batch", tests.params_exponent),
        ("tokens, change per e-fold of params", tests.drift),
    ):
        values = (
            ("-", "-", "")
            if freed is None
            else (*_bounded(freed.value, freed.interval), f"{freed.p_value:.2g}")
        )
        rows.append((name, "0", *values))
    title = f"What the form fixes, let free ({tests.cells} cells)"
    table(title, ("exponent", "fixed at#", "found#", "90 % interval", "p#"), rows, stream)


def _bounded(value: float, interval: tuple[float, float]) -> tuple[str, str]:
    return f"{value:+.3f}", f"{interval[0]:+.3f} to {interval[1]:+.3f}"


def _show_batch(law: Law, stream: TextIO) -> None:
    """Print how the LR follows the batch, and the critical batch, where the runs showed them."""
    texts = []
    if law.fit is not None and law.fit.lr_batch is not None:
        texts.append(f"Best LR at fixed params and tokens: {law.fit.lr_batch.verdict}.")
    if law.critical_batch is not None:
        formula = critical_formula(law.critical_batch)
        texts.append(f"Critical batch = {formula}, E_min the fewest that reach the loss.")
    if texts:
        say("\n".join(texts) + "\n", stream)


def _show_shares(record: Fit, stream: TextIO) -> None:
    """Print what the data and the prior brought to each exponent, and how the cells' optima bend."""
    rows = []
    for name, share in record.data_share.items():
        bend = record.bend.get(name)
        bent = "-" if bend is None else f"{bend.value:+.3f} +- {bend.std:.3f}"
        rows.append((name, f"{share:.0%}", f"{1 - share:.0%}", bent))
    columns = ("exponent", "from data#", "from prior#", "bend per e-fold")
    table(f"Exponents (prior {plain(record.prior)})", columns, rows, stream)


def _show_choices(choices: Choices, stream: TextIO) -> None:
    """Print what was averaged and how it did on cells left out of its fit."""
    rows = (
        (m.family, f"{m.fade:.1e}", f"{100 * math.expm1(min(m.excess, 1.0)):.3f} %", f"{m.weight:.0%}")
        for m in choices.members
    )
    scatter = ", ".join(f"{name} {value:.0%}" for name, value in choices.offset_std.items())
    title = (
        f"Averaged (noise {100 * choices.noise_std:.2g} % of the loss; cells off the law by {scatter}; "
        f"backtest on {choices.runs} runs)"
    )
    table(title, ("fit", "fade#", "lost on left-out cells#", "weight#"), rows, stream)


def _fixed_terms(law: Law) -> tuple[str, ...]:
    """Exponents of the LR that the form sets, not the runs; their spread is doubt about the form."""
    is_power = law.fit is not None and law.fit.power_scheduler is not None
    return ("batch_tokens", "params") if is_power else ()


def _coefficient_rows(
    name: str, power: PowerLaw, *, fixed: Collection[str] = ()
) -> Iterable[tuple[str, ...]]:
    stds: list[float | None] = [None] * (1 + len(power.exponents))
    quantile = 0.0
    if power.uncertainty is not None:
        stds = [math.sqrt(row[i]) for i, row in enumerate(power.uncertainty.covariance)]
        quantile = _quantile(power.uncertainty)
    yield (
        name,
        "coefficient",
        ratio(math.exp(power.log_coefficient)),
        _spread(power, 0, exponential=True),
    )
    for i, (term, exponent) in enumerate(power.exponents.items(), start=1):
        std = stds[i]
        text = "-" if std is None else f"{exponent - quantile * std:.3f} to {exponent + quantile * std:.3f}"
        yield ("", f"{term} exponent", f"{exponent:.4f}", "fixed" if term in fixed else text)


def _quantile(spread: Uncertainty) -> float:
    """95 % quantile of a coefficient's own error."""
    from hptransfer.plans.prediction import student_95

    return spread.quantile if spread.cell_df is None else float(student_95(spread.cell_df))


def _spread(power: PowerLaw, i: int, *, exponential: bool) -> str:
    spread = power.uncertainty
    if spread is None or not exponential:
        return "-"
    half = _quantile(spread) * math.sqrt(spread.covariance[i][i])
    if half > 600:
        return "not determined"
    return f"{math.exp(power.log_coefficient - half):.3g} to {math.exp(power.log_coefficient + half):.3g}"
