"""Tables that fit: numbers whole, words uncut, remarks beside or under their rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.cli.layout import Column, cells, lay_out

NAMES = ("law", "critical batch#", "differs in~")
ROWS = [("step-law", "4,125,038", "-"), ("power-lines", "12", "schedule linear; params kind not stated")]
COLUMNS = [Column.named(name) for name in NAMES]


def lines(width: int) -> list[str]:
    laid = lay_out(COLUMNS, ROWS, width)
    return [*laid.head, *laid.body]


def test_with_room_all_stands_in_one_row() -> None:
    assert lines(80) == [
        "law           critical batch   differs in",
        "step-law           4,125,038   -",
        "power-lines               12   schedule linear; params kind not stated",
    ]


def test_without_room_remarks_go_under_their_rows() -> None:
    assert lines(40) == [
        "law           critical batch",
        "step-law           4,125,038",
        "power-lines               12",
        "    differs in: schedule linear; params",
        "      kind not stated",
    ]


def test_headings_fold_before_words_are_broken() -> None:
    assert lines(22)[:4] == [
        "              critical",
        "law              batch",
        "step-law     4,125,038",
        "power-lines         12",
    ]


def test_numbers_stay_whole_where_nothing_fits() -> None:
    assert any("4,125,038" in line for line in lines(10))


def test_remarks_that_nobody_made_have_no_column() -> None:
    laid = lay_out(COLUMNS, [("step-law", "1", "")], 80)
    assert laid.head == ["law        critical batch"]


def test_wide_characters_are_folded_by_the_columns_they_take() -> None:
    rows = [["法則法則法則 法則法則", "長い 説明 の 文章 です 長い 説明 の 文章 です"]]
    laid = lay_out([Column.named("名前"), Column.named("説明")], rows, 24)
    assert max(map(cells, laid.head + laid.body)) <= 24
    said = "".join("".join(laid.body).split())
    assert sorted(said) == sorted("".join(rows[0]).replace(" ", ""))  # nothing is lost


def test_wide_characters_take_two_columns() -> None:
    laid = lay_out([Column.named("run"), Column.named("n#")], [("法則", "1"), ("law", "22")], 80)
    assert laid.body == ["法則    1", "law    22"]


def test_a_table_without_rows_is_its_heading() -> None:
    assert lay_out(COLUMNS[:2], [], 80).head == ["law   critical batch"]


words = st.lists(st.text("abc", min_size=1, max_size=7), max_size=6).map(" ".join)
numbers = st.integers(0, 10**9).map("{:,}".format)


@given(rows=st.lists(st.tuples(words, numbers, numbers, words), max_size=5), width=st.integers(50, 200))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, str, str, str]], width: int) -> None:
    columns = [Column.named(name) for name in ("what", "one#", "two more#", "why~")]
    laid = lay_out(columns, rows, width)
    shown = [*laid.head, "-" * laid.rule_width, *laid.body]
    assert max(map(cells, shown)) <= width
    assert all(line == line.rstrip() for line in shown)
    for row in rows:
        assert all(any(number in line for line in shown) for number in row[1:3])


@pytest.mark.parametrize("width", [30, 80, 200])
def test_no_word_is_lost(width: int) -> None:
    text = " ".join(lines(width))
    assert all(word in text for row in ROWS for cell in row if cell != "-" for word in cell.split())
