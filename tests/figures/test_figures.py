"""What figures show, read back and held to the law by other ways of computing it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hptransfer.drawing.cells import runs_beyond, runs_by_group
from hptransfer.figures.cells import CellFigure, cell_figures, useful_range
from hptransfer.figures.evaluating import QUANTITIES
from hptransfer.figures.losses import FLOPS_PER_PARAM_TOKEN, cost_figures, loss_figure
from hptransfer.figures.optima import OptimumFigure, cell_points, optimum_figures
from hptransfer.figures.schedules import planned_schedule, schedule_figure
from hptransfer.law import Law
from hptransfer.planning import Plan, Target, plan
from hptransfer.plans.cost import cost_of_being_wrong
from hptransfer.published import published_law
from hptransfer.sweep import Sweep


@pytest.fixture(scope="module")
def cells(sweep: Sweep, law: Law) -> list[CellFigure]:
    return cell_figures(sweep, law)


@pytest.fixture(scope="module")
def optima(cells: list[CellFigure], law: Law, planned: Plan) -> list[OptimumFigure]:
    return optimum_figures(cells, law, planned, published=["step-law"])


def test_every_run_is_in_one_cell(sweep: Sweep, cells: list[CellFigure]) -> None:
    assert sum(len(cell.lr) for cell in cells) == sweep.n_runs
    assert len(cells) == sweep.n_cells
    assert sum(int(cell.diverged.sum()) for cell in cells) == int(sweep.diverged.sum())


def test_excess_is_over_the_best_of_the_cell(cells: list[CellFigure]) -> None:
    for cell in cells:
        finished = cell.loss[~cell.diverged]
        np.testing.assert_allclose(cell.excess[~cell.diverged], finished / finished.min() - 1.0, atol=1e-12)
        assert np.isnan(cell.excess[cell.diverged]).all()


def test_contours_are_the_laws_bowl(cells: list[CellFigure], law: Law) -> None:
    """The polynomial written out, point by point, on a cell of many batches."""
    bowl = law.bowl
    assert bowl is not None
    cell = max((one for one in cells if one.surface is not None), key=lambda one: len(one.lr))
    assert cell.surface is not None
    assert cell.optimum is not None
    assert cell.optimum.batch_tokens is not None
    logs = {"params": math.log(cell.params), "tokens": math.log(cell.tokens)}
    amplitude = math.exp(sum(a * (logs[k] - bowl.centre[k]) for k, a in bowl.log_amplitude.items()))
    inside = 0
    for row in range(0, 61, 7):
        for column in range(0, 61, 7):
            u = math.log(cell.surface.lr[column] / cell.optimum.peak_lr)
            v = math.log(cell.surface.batch_tokens[row] / cell.optimum.batch_tokens)
            shown = cell.surface.excess[row, column]
            if bowl.trusted_u[0] <= u <= bowl.trusted_u[1] and bowl.trusted_v[0] <= v <= bowl.trusted_v[1]:
                cost = sum(t * u**i * v**j for (i, j), t in zip(bowl.powers, bowl.terms, strict=True))
                assert shown == pytest.approx(math.expm1(amplitude * cost), abs=1e-12)
                inside += 1
            else:
                assert math.isnan(shown)
    assert inside > 10


def test_the_fan_is_what_plan_says(optima: list[OptimumFigure], law: Law, planned: Plan) -> None:
    """Along each axis, every 15th point against a plan of its own."""
    assert len(optima) == 4
    for figure in optima:
        fan = figure.fan
        assert fan is not None
        assert fan.low is not None
        assert fan.high is not None
        for i in range(0, len(fan.x), 15):
            at = {"params": planned.target.params, "tokens": planned.target.tokens, figure.axis: fan.x[i]}
            one = plan(law, Target(**at))
            interval = getattr(one, f"{figure.quantity}_interval")
            assert fan.value[i] == pytest.approx(getattr(one, figure.quantity), rel=1e-9)
            assert (fan.low[i], fan.high[i]) == pytest.approx(interval, rel=1e-9)


def test_the_fan_passes_through_the_plan(optima: list[OptimumFigure]) -> None:
    for figure in optima:
        assert figure.fan is not None
        assert figure.target is not None
        at = np.interp(math.log(figure.target[0]), np.log(figure.fan.x), np.log(figure.fan.value))
        assert math.exp(at) == pytest.approx(figure.target[1], rel=1e-6)


def test_the_published_line_is_step_laws_equation(optima: list[OptimumFigure], planned: Plan) -> None:
    """Step Law, arXiv:2503.04715, Eq. 1: 1.79 N^-0.713 D^0.307."""
    figure = next(one for one in optima if (one.quantity, one.axis) == ("peak_lr", "params"))
    line = figure.published["step-law"]
    expected = 1.79 * line.x**-0.713 * planned.target.tokens**0.307
    np.testing.assert_allclose(line.value, expected, rtol=1e-3)


def test_ratios_compare_a_cells_own_optimum_with_the_law(cells: list[CellFigure], law: Law) -> None:
    for quantity in QUANTITIES:
        points = cell_points(cells, law, quantity)
        assert points is not None
        one = plan(law, Target(params=points.params[0], tokens=points.tokens[0]))
        assert points.ratio[0] == pytest.approx(points.value[0] / getattr(one, quantity))
        assert (points.low <= points.high).all()


def test_the_loss_figure_ends_at_the_plan(cells: list[CellFigure], law: Law, planned: Plan) -> None:
    figure = loss_figure(cells, law, planned)
    assert figure is not None
    assert figure.target is not None
    compute = FLOPS_PER_PARAM_TOKEN * planned.target.params * planned.target.tokens
    assert figure.target_point == (compute, planned.loss)
    at = np.interp(math.log(compute), np.log(figure.target.x), figure.target.value)
    assert at == pytest.approx(planned.loss, rel=1e-4)
    best = min(cell.loss[cell.best] for cell in cells if cell.best is not None)
    assert figure.loss.min() == best


def test_the_cost_figure_is_what_plan_says_of_being_wrong(planned: Plan) -> None:
    """At every factor that `plan` prices: excess, interval, compute, and what is a lower bound."""
    figures = cost_figures(planned)
    cost = cost_of_being_wrong(planned)
    assert cost is not None
    assert [figure.quantity for figure in figures] == ["peak_lr", "batch_tokens"]
    for figure, curve in zip(figures, (cost.peak_lr, cost.batch_tokens), strict=True):
        assert figure.low is not None
        assert figure.high is not None
        assert figure.wasted is not None
        for one in curve:
            assert one.interval is not None

            at = int(np.abs(np.log(figure.factor / one.factor)).argmin())
            assert figure.factor[at] == pytest.approx(one.factor)
            assert figure.x[at] == pytest.approx(one.value)
            assert figure.excess[at] == pytest.approx(one.excess, abs=1e-12)
            assert (figure.low[at], figure.high[at]) == pytest.approx(one.interval, abs=1e-12)
            assert figure.wasted[at] == pytest.approx(one.excess_flops, abs=1e-12)
            assert bool(figure.beyond_runs[at]) is one.at_least


def test_the_plateau_ends_where_a_quarter_percent_is_lost(planned: Plan) -> None:
    figure = cost_figures(planned)[1]
    assert figure.plateau is not None
    ends = np.interp(np.log(figure.plateau), np.log(figure.x), figure.excess)
    assert ends == pytest.approx([0.0025, 0.0025], rel=0.05)


def test_a_stray_run_does_not_squeeze_the_others(cells: list[CellFigure]) -> None:
    """The shipped sweep tried LRs up to 32.8 in its shortest cells; contours and axes leave them out."""
    cell = next(one for one in cells if one.lr.max() > 30)
    assert cell.lr_shown == (cell.lr.min(), max(cell.lr[cell.lr < 0.4]))
    assert cell.surface is not None
    assert cell.surface.lr.max() < 0.2
    assert runs_beyond(cell) == sum(cell.lr > 0.2) > 0
    groups = runs_by_group(cell)
    assert sorted(np.concatenate(list(groups.values()))) == list(range(len(cell.lr)))
    assert "diverged-right" in groups


def test_a_coarse_grid_has_no_strays() -> None:
    """Steps of a factor of 10 are the grid's own; a single value is shown as it is."""
    lr = np.array([1e-5, 1e-4, 1e-3, 1e-2])
    assert useful_range(lr, np.array([0.08, 0.04, 0.0, 0.09])) == (1e-5, 1e-2)
    assert useful_range(lr[:1], np.zeros(1)) == (1e-5, 1e-5)
    assert useful_range(lr, np.full(4, np.nan)) == (1e-5, 1e-2)


def test_a_grid_is_shown_whole(cells: list[CellFigure]) -> None:
    cell = max(cells, key=lambda one: one.params * one.tokens)
    assert cell.lr_shown == (cell.lr.min(), cell.lr.max())


def test_the_schedule_of_the_plan(planned: Plan) -> None:
    made = planned_schedule(planned)
    assert made is not None
    steps, lr = schedule_figure({"planned": made}).curves["planned"]
    assert steps[-1] == planned.rounded.steps
    assert lr.max() == pytest.approx(planned.rounded.peak_lr)
    assert planned.final_lr_ratio is not None
    assert lr[-1] == pytest.approx(lr.max() * planned.final_lr_ratio, rel=1e-6)


def test_a_law_without_bowl_or_interval_leaves_them_out(sweep: Sweep) -> None:
    """Step Law states neither."""
    step_law = published_law("step-law")
    shown = cell_figures(sweep, step_law)
    assert all(cell.surface is None and cell.optimum is not None for cell in shown)
    planned = plan(step_law, Target(params=1e9, tokens=1e11))
    assert cost_figures(planned) == []
    fan = optimum_figures(shown, step_law, planned)[0].fan
    assert fan is not None
    assert fan.low is None
