"""Sizes, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24 MB", 24 * 1024**2),
        ("24MB", 24 * 1024**2),
        ("  24   mb ", 24 * 1024**2),
        ("24 MiB", 24 * 1024**2),
        ("1.5 KB", 1536),
        ("0 B", 0),
        ("7 b", 7),
        ("2 GB", 2 * 1024**3),
        ("3 TB", 3 * 1024**4),
        ("1 PB", 1024**5),
        ("9007199254740993 B", 9007199254740993),
    ],
)
def test_a_size_is_read_in_steps_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "wrong",
    [
        "24 MBananas",
        "24 XB",
        "-1 MB",
        "",
        "MB",
        "24",
        "24 iB",
        "1e3 MB",
        "٣ MB",
        "1,5 MB",
        24,
        None,
    ],
)
def test_what_is_not_a_size_is_refused_with_what_was_expected(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected a string such as '24 MB'") as caught:
        parse_size(wrong)
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (24 * 1024**2, "24.0 MiB"),
        (-3 * 1024**2, "-3.0 MiB"),
        (5000 * 1024**5, "5000.0 PiB"),
    ],
)
def test_a_size_is_shown_in_binary_units(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(min_value=0, max_value=2**60))
def test_what_is_shown_can_be_read_back_to_within_its_last_digit(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.051, abs=1)


@given(st.integers(min_value=1024, max_value=2**59))
def test_a_shown_number_never_reaches_the_next_unit(size: int) -> None:
    assert float(format_size(size).split()[0]) < 1024
