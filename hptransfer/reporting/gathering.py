"""Everything a report shows, collected before a line of it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hptransfer.comparison.at_target import Comparison, compare
from hptransfer.errors import HptransferError
from hptransfer.evidence.additions import Addition, additions
from hptransfer.evidence.backtesting import Backtest
from hptransfer.evidence.diagnosis import diagnose
from hptransfer.figures.cells import CellFigure, cell_figures
from hptransfer.figures.evaluating import QUANTITIES, Quantity
from hptransfer.figures.factors import FactorFigure, factor_figure
from hptransfer.figures.losses import CostFigure, LossFigure, cost_figures, loss_figure
from hptransfer.figures.optima import OptimumFigure, Points, cell_points, laws_beside, optimum_figures
from hptransfer.figures.schedules import ScheduleFigure, planned_schedule, schedule_figure
from hptransfer.findings.record import Finding
from hptransfer.law import Law, Note
from hptransfer.planning import Plan
from hptransfer.sweep import Sweep

SHOWN_ADDITIONS = 6


@dataclass(frozen=True)
class Material:
    """What a report is made of. None or empty where the inputs do not say.

    `findings` are what `check` found in the config of the plan; `commands` reproduce the page.
    """

    sweep: Sweep
    law: Law
    plan: Plan | None
    backtest: Backtest | None
    cells: Sequence[CellFigure]
    points: dict[Quantity, Points]
    optima: Sequence[OptimumFigure]
    loss: LossFigure | None
    costs: Sequence[CostFigure]
    schedule: ScheduleFigure | None
    factors: FactorFigure | None
    published: Sequence[Comparison]
    additions: Sequence[Addition]
    notes: Sequence[Note]
    findings: Sequence[Finding] = ()
    commands: Sequence[str] = ()
    config: str | None = None


def gather(
    sweep: Sweep,
    law: Law,
    plan: Plan | None = None,
    *,
    backtest: Backtest | None = None,
    findings: Sequence[Finding] = (),
    commands: Sequence[str] = (),
    config: str | None = None,
) -> Material:
    """Collect a report's numbers; the plan's own law (anchored, say) is the one that is drawn."""
    law = law if plan is None else plan.law
    beside = laws_beside(law)
    cells = cell_figures(sweep, law)
    points = {
        quantity: found for quantity in QUANTITIES if (found := cell_points(cells, law, quantity)) is not None
    }
    made = None if plan is None else planned_schedule(plan)
    return Material(
        sweep=sweep,
        law=law,
        plan=plan,
        backtest=backtest,
        cells=cells,
        points=points,
        optima=optimum_figures(cells, law, plan, published=beside),
        loss=loss_figure(cells, law, plan),
        costs=[] if plan is None else cost_figures(plan),
        schedule=None if made is None else schedule_figure({made.name: made}),
        factors=None if plan is None or plan.param_groups is None else factor_figure(plan.param_groups),
        published=[] if plan is None else compare(plan.target, ids=beside),
        additions=_additions(sweep),
        notes=[*_other_law(sweep, law), *(law.warnings if plan is None else plan.warnings)],
        findings=findings,
        commands=commands,
        config=config,
    )


def _additions(sweep: Sweep) -> Sequence[Addition]:
    """Runs that would help most; nothing where the sweep cannot be judged."""
    try:
        return additions(diagnose(sweep, settings={}))[:SHOWN_ADDITIONS]
    except HptransferError:
        return ()


def _other_law(sweep: Sweep, law: Law) -> list[Note]:
    """Warn where the runs shown are not those that the law was fitted to."""
    shown = {source.sha256 for source in sweep.sources}
    behind = {source.sha256 for source in law.fit.sources} if law.fit is not None else set()
    if not behind or shown == behind:
        return []
    names = ", ".join(source.file for source in law.fit.sources) if law.fit is not None else ""
    message = f"law {law.id} was fitted on other data ({names}) than the runs shown: compare, do not confuse."
    return [Note(code="other-law", message=message)]
