"""What a plan would have cost, and what loss to expect, in tables and as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hptransfer.cli.render import interval, percent, say, table
from hptransfer.errors import plain
from hptransfer.losses.law import loss_formula
from hptransfer.quantities import short_count

if TYPE_CHECKING:
    from hptransfer.evidence.backtesting import Backtest, MethodResult, Selection
    from hptransfer.law import LossLaw, Note
    from hptransfer.losses.fitting import LossBacktest
    from hptransfer.losses.law import Forecast


def show_backtest(result: Backtest) -> None:
    """Print a table a split with a row a method, and the verdict."""
    columns = ("plans by", "cells#", "mean excess#", "worst#", "off grid#", "90 % held#", "refused~")
    for split in result.splits:
        left = f"{split.training_cells} cells left to fit"
        table(f"Excess loss, held out: {plain(split.name)} ({left})", columns, map(_priced, split.methods))
    say(result.verdict)


def _priced(method: MethodResult) -> tuple[str, ...]:
    """What one method's plans lost, and how often its intervals held."""
    held = [c for cell in method.cells for c in (cell.lr_covered, cell.batch_covered) if c is not None]
    return (
        plain(method.method),
        str(len(method.cells)),
        percent(method.mean_excess),
        percent(method.worst_excess),
        str(sum(cell.clamped for cell in method.cells)),
        f"{sum(held)} of {len(held)}" if held else "-",
        plain(method.refused or "", limit=300),
    )


def show_selection(selection: Selection) -> None:
    """Print one row a form, and the verdict."""
    rows = (
        (
            score.form.name + (" (chosen)" if score.form == selection.chosen else ""),
            percent(score.mean_excess),
            percent(score.difference) if score.difference else "-",
            percent(score.deviation) if score.deviation else "-",
            str(score.cells),
            plain(score.refused or "", limit=60),
        )
        for score in selection.scores
    )
    columns = ("form", "mean excess#", "minus default#", "deviation#", "cells#", "refused somewhere~")
    table("Forms on the same held-out cells", columns, rows)
    say(selection.verdict)


def loss_content(
    law: LossLaw, *, warnings: Iterable[Note], target: Forecast | None, backtest: LossBacktest | None
) -> dict[str, Any]:
    """A loss law, what it predicts and how it did on held-out compute, as JSON content."""
    return {
        "law": law.model_dump(mode="json"),
        "target": None if target is None else dataclasses.asdict(target),
        "hold_out": None if backtest is None else dataclasses.asdict(backtest),
        "warnings": [{"code": note.code, "message": note.message} for note in warnings],
    }


def show_loss_law(law: LossLaw, *, target: Forecast | None, backtest: LossBacktest | None) -> None:
    """Print a loss law: its formula, coefficients with intervals, the evidence and a forecast."""
    fit = law.fit
    rows = [("floor", "", f"{law.floor:.4g}", "floor")]
    for term in law.terms:
        name = term.input
        rows.append((f"{name} term", "coefficient", f"{term.coefficient:.4g}", f"{name}_term"))
        rows.append(("", "exponent", f"{term.exponent:.4f}", f"{name}_exponent"))
    if law.outer_exponent != 1.0:
        rows.append(("both terms", "outer exponent", f"{law.outer_exponent:.4f}", "outer_exponent"))
    if law.interaction is not None:
        rows.append(
            ("tokens term", "level exponent", f"{law.interaction.level_exponent:.4f}", "level_exponent")
        )
        rows.append(("", "growth of exponent", f"{law.interaction.growth:.4f}", "growth"))
    intervals = {} if fit is None else fit.intervals
    cells = ((a, b, value, interval(intervals.get(key), "{:.4g}".format)) for a, b, value, key in rows)
    say(f"Loss = {loss_formula(law)}\n")
    table("Coefficients", ("", "", "value#", "90 % interval"), cells)
    if fit is not None:
        held = "-" if fit.held_out_error is None else f"{fit.held_out_error:.2%}"
        say(
            f"{fit.points} points, form {fit.form}; 90 % of losses lie within {1.645 * fit.residual_std:.2%} "
            f"of the fit; mean error at larger compute held out: {held}."
        )
    if backtest is not None:
        say(_loss_backtest(backtest))
    if target is not None:
        where = f"{short_count(target.params)} params, {short_count(target.tokens)} tokens"
        far = "inside" if target.beyond == 0 else f"{math.exp(target.beyond):.3g}x beyond"
        say(
            f"Expected loss at {where}: {target.loss:.4f}, 90 % interval "
            f"{interval(target.interval, '{:.4f}'.format)} ({far} the points); "
            f"10 % more compute is worth {-math.log(1.1) * target.slope:.4f}."
        )


def _loss_backtest(result: LossBacktest) -> str:
    covered = "-" if result.covered is None else f"{result.covered:.0%}"
    return (
        f"Largest compute held out: {result.held_out} points predicted from {result.fitted} (form "
        f"{result.form}), mean error {result.mean_error:+.2%}, RMS {result.rms_error:.2%}, inside their 90 % "
        f"interval: {covered}."
    )
