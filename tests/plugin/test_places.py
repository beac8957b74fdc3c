"""Where code is, and whose it is."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

from memlens.places import Places, line_of_test
from memlens.stacks import Frame, MeasuredStack


def kind_and_path(places: Places, filename: str) -> tuple[str, str]:
    measured = MeasuredStack(1, 1, (Frame("f", filename, 3, native=False),))
    frame = places.stack("peak", measured).frames[0]
    return frame.kind, frame.path


def test_code_inside_the_root_is_the_projects(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    place = kind_and_path(Places(tmp_path), str(tmp_path / "shop" / "a b.py"))
    assert place == ("project", "shop/a b.py")


def test_code_reached_by_a_link_is_named_by_its_real_place(tmp_path: Path) -> None:
    root = tmp_path / "real"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    assert kind_and_path(Places(tmp_path / "link"), str(root / "a.py")) == ("project", "a.py")
    assert kind_and_path(Places(root), str(tmp_path / "link" / "a.py")) == ("project", "a.py")


def test_code_outside_the_root_is_a_librarys(tmp_path: Path) -> None:
    outside = str(tmp_path / "elsewhere" / "a.py")
    assert kind_and_path(Places(tmp_path / "root"), outside) == ("library", outside)


def test_packages_installed_inside_the_root_are_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    places = Places(tmp_path)
    installed = "lib/python3/site-packages/numpy/core.py"
    assert kind_and_path(places, str(tmp_path / installed)) == ("library", installed)
    assert kind_and_path(places, str(tmp_path / ".venv/src/x.py")) == ("library", ".venv/src/x.py")


def test_an_environment_around_the_root_does_not_make_it_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    root = tmp_path / "src"
    assert kind_and_path(Places(root), str(root / "a.py")) == ("project", "a.py")


def test_code_without_a_file_keeps_its_name(tmp_path: Path) -> None:
    assert kind_and_path(Places(tmp_path), "<string>") == ("library", "<string>")


def test_native_frames_keep_what_the_symbols_say(tmp_path: Path) -> None:
    measured = MeasuredStack(1, 1, (Frame("PyList_New", "Objects/listobject.c", 0, native=True),))
    frame = Places(tmp_path).stack("leak", measured).frames[0]
    assert (frame.kind, frame.path, frame.line) == ("native", "Objects/listobject.c", 0)


@pytest.mark.parametrize("argument", [1, 2])
@pytest.mark.usefixtures("tmp_path")
def decorated(argument: int) -> None:
    """Stand in for a test with decorators."""


async def coroutine() -> None:
    """Stand in for a test that is a coroutine."""


def wrapped() -> None:
    """Stand in for a test inside a wrapper."""


defined_elsewhere = functools.wraps  # any function of another file


def line_of(text: str) -> int:
    return next(
        number
        for number, line in enumerate(Path(__file__).read_text().splitlines(), start=1)
        if line.startswith(text)
    )


HERE = Path(__file__)


def test_a_test_is_at_its_def_and_not_at_its_first_decorator() -> None:
    assert line_of_test(HERE, decorated, "decorated", None) == line_of("def decorated")


def test_a_coroutine_test_is_at_its_async_def() -> None:
    assert line_of_test(HERE, coroutine, "coroutine", None) == line_of("async def coroutine")


def test_a_wrapped_test_is_at_its_own_def() -> None:
    wrapper = functools.wraps(wrapped)(lambda: None)
    assert line_of_test(HERE, wrapper, "wrapped", None) == line_of("def wrapped")


class Inheriting:
    """Stand in for a test class whose tests are defined in another file."""


def test_a_test_that_is_defined_elsewhere_is_at_its_class() -> None:
    assert line_of_test(HERE, defined_elsewhere, "f", Inheriting) == line_of("class Inher")
    assert line_of_test(HERE, len, "len", Inheriting) == line_of("class Inheriting")


def test_a_test_that_is_nowhere_in_its_file_is_at_its_first_line() -> None:
    assert line_of_test(HERE, defined_elsewhere, "f", None) == 1
    made = type("Made", (), {})
    assert line_of_test(HERE, len, "len", made) == 1
