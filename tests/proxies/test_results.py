"""The results file: whole lines only, every run once, one writer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.proxies.results import open_results, sort_lines

COLUMNS = ("run", "loss")
LINES = b"run,loss\na,1.5\nb,nan\n"


@given(cut=st.integers(0, len(LINES)))
def test_wherever_a_file_is_cut_off_whole_lines_stay_and_the_rest_is_made_again(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "results.csv"
    path.write_bytes(LINES[:cut])
    with open_results(path, COLUMNS) as results:
        for name, loss in (("a", 1.5), ("b", float("nan"))):
            if name not in results.done:
                results.append({"run": name, "loss": loss})
    assert path.read_bytes() == LINES


def test_a_run_is_never_written_twice(tmp_path: Path) -> None:
    with open_results(tmp_path / "results.csv", COLUMNS) as results:
        results.append({"run": "a", "loss": 1.5})
        with pytest.raises(ValueError, match="a is in the results already"):
            results.append({"run": "a", "loss": 1.5})


def test_two_sweeps_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with (
        open_results(path, COLUMNS),
        pytest.raises(ValueError, match="another sweep is writing it"),
        open_results(path, COLUMNS),
    ):
        pass


@pytest.mark.parametrize("result", [{"run": "a"}, {"run": "a", "nats": 1.5}])
def test_a_result_with_other_columns_is_refused(tmp_path: Path, result: dict[str, object]) -> None:
    with (
        open_results(tmp_path / "results.csv", COLUMNS) as results,
        pytest.raises(ValueError, match="are not the file's"),
    ):
        results.append(result)


def test_a_file_of_another_trainer_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(LINES)
    with pytest.raises(ValueError, match="has other columns"), open_results(path, ("run", "nats")):
        pass
    assert path.read_bytes() == LINES


def test_lines_are_put_in_the_order_of_the_plan_and_foreign_ones_last(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(b"run,loss\nz,0\nb,nan\na,1.5\n")
    sort_lines(path, ["a", "b", "c"])
    assert path.read_bytes() == b"run,loss\na,1.5\nb,nan\nz,0\n"
