"""Loss curves from files: what is read, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptransfer.curves.record import refuse_gaps
from hptransfer.errors import FileError, InputError, RefusalError, UsageError
from hptransfer.readers.curves import read_curves


def write(folder: Path, text: str) -> str:
    path = folder / "curves.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def rows(steps: list[int], run: str = "a", lr: float = 1e-3) -> str:
    return "".join(f"{run},{step},{lr},{3 - step / 1000}\n" for step in steps)


HEADER = "run,step,lr,loss\n"


def test_runs_come_apart_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Interleaved rows are fine; rows without a loss are skipped and counted."""
    text = HEADER + "b,10,1e-3,3\na,10,1e-3,3.5\nb,20,1e-3,\nb,30,5e-4,2.5\na,20,1e-3,3.2\n"
    curves = read_curves(write(tmp_path, text))
    assert [c.run for c in curves] == ["b", "a"]
    assert curves[0].steps.tolist() == [10, 30]
    assert (curves[0].skipped, curves[0].first_line, curves[0].peak_lr) == (1, 2, 1e-3)


def test_a_file_of_one_run_needs_no_run_column(tmp_path: Path) -> None:
    text = "iteration,learning_rate,val_loss\n1,1e-3,3\n2,1e-3,2.9\n"
    assert [c.run for c in read_curves(write(tmp_path, text))] == ["run"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        pytest.param(
            HEADER + rows([10, 20, 30]) + rows([10, 20]),
            "line 5, step: run a: step 10 after 30; steps must rise within a run.\nTwo runs under one id?",
            id="two runs under one id",
        ),
        pytest.param(HEADER + rows([10, 30, 20]), "step 20 after 30", id="steps that go back"),
        pytest.param(HEADER + rows([10, 10]), "step 10 after 10", id="a step twice"),
        pytest.param(HEADER + rows([10]), "1 points, need 2 or more", id="one point"),
        pytest.param(HEADER, "holds no points", id="no rows"),
        pytest.param(HEADER + "a,1,1e-3,x\na,2,1e-3,3\n", "line 2, loss: got 'x', need a number", id="text"),
        pytest.param(HEADER + "a,1,1e-3,nan\na,2,1e-3,3\n", "line 2, loss: got nan", id="diverged"),
        pytest.param(HEADER + "a,1.5,1e-3,3\na,2,1e-3,3\n", "line 2, step: got 1.5", id="half a step"),
        pytest.param(HEADER + "a,1,-1,3\na,2,1e-3,3\n", "line 2, lr: got -1", id="negative lr"),
        pytest.param(HEADER + "a,1,,3\na,2,1e-3,3\n", "line 2, lr: got nan", id="no lr"),
        pytest.param("run,step,loss\na,1,3\n", "no column for lr; add --column lr=HEADER", id="no lr column"),
        pytest.param(
            "step,lr,loss,val_loss\n1,1,3,3\n",
            "loss, val_loss could all be loss; add --column loss=",
            id="two",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(InputError) as caught:
        read_curves(write(tmp_path, text))
    assert match in str(caught.value)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + rows([1, 2]))
    with pytest.raises(UsageError, match="has no column 'los'"):
        read_curves(path, columns={"loss": "los"})
    with pytest.raises(UsageError, match="unknown name 'lss'"):
        read_curves(path, columns={"lss": "loss"})


def test_a_limit_on_rows(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="--max-rows"):
        read_curves(write(tmp_path, HEADER + rows(list(range(1, 50)))), max_rows=20)


def test_a_gap_in_which_the_lr_moved_is_refused(tmp_path: Path) -> None:
    text = HEADER + rows([10, 20, 30, 40]) + rows([400, 410, 420], lr=1e-4)
    [curve] = read_curves(write(tmp_path, text))
    with pytest.raises(RefusalError, match=r"gap between steps 40 and 400.*0.001 to 0.0001.*--allow-gaps"):
        refuse_gaps(curve, warmup_steps=None, allow_gaps=False)
    refuse_gaps(curve, warmup_steps=None, allow_gaps=True)


def test_a_gap_at_constant_lr_hides_nothing(tmp_path: Path) -> None:
    [curve] = read_curves(write(tmp_path, HEADER + rows([10, 20, 30, 400, 410, 420])))
    refuse_gaps(curve, warmup_steps=None, allow_gaps=False)


def test_a_late_start_asks_for_the_warmup(tmp_path: Path) -> None:
    [curve] = read_curves(write(tmp_path, HEADER + rows([2000, 2010, 2020])))
    with pytest.raises(RefusalError, match=r"begins at step 2,000.*--warmup-steps N"):
        refuse_gaps(curve, warmup_steps=None, allow_gaps=False)
    refuse_gaps(curve, warmup_steps=0, allow_gaps=False)
