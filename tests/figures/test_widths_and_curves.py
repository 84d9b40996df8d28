"""Frames of a width sweep and of loss curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hptransfer.curves.simulation import simulate_curves_csv
from hptransfer.curves.study import study_curves
from hptransfer.figures.curves import curves_figure
from hptransfer.figures.widths import width_panels
from hptransfer.parametrizations.widths import WidthSweep, width_transfer
from hptransfer.readers.curves import read_curves

LR = 2.0 ** np.arange(-10, -3)


def _sweep() -> WidthSweep:
    """Parabolas in log2 LR whose vertex halves with every doubling of the width; one run diverges."""
    widths = np.repeat([64.0, 128.0, 256.0], len(LR))
    lr = np.tile(LR, 3)
    vertex = -6.0 - np.log2(widths / 64.0)
    loss = 2.0 + 0.02 * (np.log2(lr) - vertex) ** 2
    loss[len(LR) - 1] = np.nan
    return WidthSweep(widths, np.full(len(lr), np.nan), lr, loss, ["sp"] * len(lr))


def test_a_panel_has_a_line_a_width_without_diverged_runs() -> None:
    sweep = _sweep()
    panels = width_panels(sweep, width_transfer(sweep))
    assert [panel.name for panel in panels] == ["sp"]
    curves = panels[0].curves
    assert [curve.name for curve in curves] == ["width 64", "width 128", "width 256"]
    assert [len(curve.lr) for curve in curves] == [len(LR) - 1, len(LR), len(LR)]
    assert all((np.diff(curve.lr) > 0).all() for curve in curves)
    np.testing.assert_allclose(curves[0].best or (), (2.0**-6, 2.0), rtol=1e-6)


def test_curves_are_thinned_between_their_true_ends(tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text(simulate_curves_csv(seed=0))
    curves = read_curves(str(tmp_path / "curves.csv"))
    study = study_curves(
        curves, fit_on=["cosine"], law="annealing", warmup_steps=0, specs=["d2z"], steps=None, unfinished=None
    )
    figure = curves_figure(curves, study)
    assert set(figure.logged) == {curve.run for curve in curves}
    for curve in curves:
        steps, loss = figure.logged[curve.run]
        assert len(steps) <= 600
        assert (steps[0], steps[-1], loss[-1]) == (curve.steps[0], curve.steps[-1], curve.loss[-1])
    assert figure.predicted["d2z"][1][-1] == study.predictions["d2z"].final_loss
