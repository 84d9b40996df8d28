"""Entries to numbers and labels."""

from __future__ import annotations

import numpy as np

from hptransfer.readers.values import LabelColumn, numbers


def test_the_fast_and_the_slow_path_agree() -> None:
    plain = ["1e-3", "0.5", " 7 ", "nan", "-inf", "524_288"]
    mixed = numbers([*plain, "", "7B", "fast", "N/A"])
    np.testing.assert_array_equal(mixed.values[: len(plain)], numbers(plain).values)
    assert mixed.values[7] == 7e9
    assert mixed.is_missing.tolist() == [False] * 6 + [True, False, False, True]
    assert [index for index, _ in mixed.problems] == [8]


def test_json_numbers_pass_and_truth_values_do_not() -> None:
    column = numbers([1, 2.5, "true"])
    assert column.values[:2].tolist() == [1.0, 2.5]
    assert [index for index, _ in column.problems] == [2]


def test_labels_are_numbered_as_they_come_and_equal_numbers_are_one() -> None:
    column = LabelColumn()
    assert column.codes(["cosine", "cosine"]).tolist() == [0, 0]
    assert column.codes(["0.1", "wsd", "", "0.10", 0.1, "cosine"]).tolist() == [1, 2, -1, 1, 1, 0]
    assert column.labels == ["cosine", 0.1, "wsd"]
