"""Reading pytest's settings from a project's files."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memlens_lsp.pytest_configuration import PytestConfigurations, read_rules
from memlens_lsp.tests_in_source import CollectionRules

DEFAULT = CollectionRules()
CHECKS = CollectionRules(python_files=("check_*.py",))


def rules(folder: Path, name: str, text: str) -> CollectionRules | None:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read_rules(file)


@pytest.fixture(params=["with a TOML reader", "without"])
def toml(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        for name in ("tomllib", "tomli"):
            # What an import of a module that is not there comes to.
            monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\npython_files = check_*.py\n"),
        (".pytest.ini", "# ours\n[pytest]\naddopts = -q\npython_files: check_*.py\n"),
        ("pytest.ini", "[pytest]\npython_files =\n\n    # more\n    check_*.py\n\n[other]\nx=1\n"),
        ("tox.ini", "[tox]\nenvlist = py3{10,11}\n[pytest]\npython_files=check_*.py\n"),
        ("setup.cfg", "[metadata]\nname = 50%\n[tool:pytest]\npython_files = check_*.py\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\npython_files = "check_*.py"\n'),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = ''\npython_files = 'check_*.py'"),
        ("pyproject.toml", '[tool.pytest]\npython_files = ["check_*.py"]\n[tool.x]\ny = 1\n'),
        ("pytest.toml", "[pytest]\npython_files = [\n  # ours\n  'check_*.py', # only\n]\n"),
        (".pytest.toml", '\ufeff[pytest]\r\npython_files = ["check_*.py"]\r\n'),
    ],
)
@pytest.mark.usefixtures("toml")
def test_settings_are_read_wherever_pytest_looks_for_them(
    tmp_path: Path, name: str, text: str
) -> None:
    assert rules(tmp_path, name, text) == CHECKS


def test_several_names_are_several_patterns(tmp_path: Path) -> None:
    ini = "[pytest]\npython_classes = Check *Suite\npython_functions =\n  it_*\n  'has space'\n"
    expected = CollectionRules(
        python_classes=("Check", "*Suite"), python_functions=("it_*", "has space")
    )
    assert rules(tmp_path, "pytest.ini", ini) == expected
    toml = "[tool.pytest.ini_options]\npython_classes = 'Check *Suite'\n"
    toml += "python_functions = ['it_*', 'has space']\n"
    assert rules(tmp_path, "pyproject.toml", toml) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[tool.other]\npython_files = 'check_*.py'\n"),
        ("pyproject.toml", "[tool.pytest.ini_options\n"),
        ("pyproject.toml", "tool = 3\n"),
        ("tox.ini", "[tox]\npython_files = check_*.py\n"),
        ("setup.cfg", "[pytest]\npython_files = check_*.py\n"),
        ("tox.ini", "no section\n"),
    ],
)
@pytest.mark.usefixtures("toml")
def test_files_that_do_not_configure_pytest_do_not_count(
    tmp_path: Path, name: str, text: str
) -> None:
    assert rules(tmp_path, name, text) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", ""),
        ("pytest.ini", "broken"),
        ("pytest.toml", "[[["),
        ("pytest.toml", "[pytest]\npython_files = 3\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\npython_files = {a = 1}\n"),
        ("tox.ini", "[pytest]\npython_files\n"),
    ],
)
@pytest.mark.usefixtures("toml")
def test_what_says_nothing_sensible_leaves_pytests_defaults(
    tmp_path: Path, name: str, text: str
) -> None:
    assert rules(tmp_path, name, text) == DEFAULT


def test_a_file_that_is_no_text_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_bytes(b"[pytest]\npython_files = \xff\n")
    assert read_rules(tmp_path / "pytest.ini") == DEFAULT


def test_the_nearest_configuration_counts_and_in_a_folder_pytests_first(tmp_path: Path) -> None:
    inside = tmp_path / "package" / "tests"
    inside.mkdir(parents=True)
    configurations = PytestConfigurations()

    def known() -> tuple[str, ...]:
        return configurations.rules_for(inside / "test_a.py").python_files

    (tmp_path / "pytest.ini").write_text("[pytest]\npython_files = above.py\n")
    assert known() == ("above.py",)
    (tmp_path / "package" / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    assert known() == ("above.py",)
    (tmp_path / "package" / "setup.cfg").write_text("[tool:pytest]\npython_files = cfg.py\n")
    assert known() == ("cfg.py",)
    (tmp_path / "package" / "tox.ini").write_text("[pytest]\npython_files = tox.py\n")
    assert known() == ("tox.py",)
    (tmp_path / "package" / "pytest.ini").write_text("")
    assert known() == DEFAULT.python_files
    (tmp_path / "package" / "pytest.toml").write_text("[pytest]\npython_files = ['toml.py']\n")
    assert known() == ("toml.py",)


def test_a_configuration_is_read_again_when_it_has_changed_or_gone(tmp_path: Path) -> None:
    file = tmp_path / "pytest.ini"
    configurations = PytestConfigurations()
    for name in ("a_*.py", "longer_*.py"):
        file.write_text(f"[pytest]\npython_files = {name}\n")
        assert configurations.rules_for(tmp_path / "a.py").python_files == (name,)
    file.unlink()
    assert configurations.rules_for(tmp_path / "a.py") == DEFAULT


# Python 3.10 has no TOML reader of its own, but pytest brings one to where these tests run.
_loads = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads

_words = st.text("ab*[]#,='\\ \t\u00e9\U0001f600", max_size=8)
_strings = st.one_of(
    _words.map(json.dumps),
    _words.filter(lambda word: "'" not in word).map(lambda word: f"'{word}'"),
    _words.map(lambda word: f'"""\n{json.dumps(word)[1:-1]}"""'),
    _words.filter(lambda word: "'" not in word).map(lambda word: f"'''{word}'''"),
    _words.map(lambda word: f'"""\\\n   {json.dumps(word)[1:-1]}"""'),
)
_lists = st.lists(_strings).map(lambda items: "[ # ]\n" + ",\n".join(items) + "]")


@given(
    st.dictionaries(st.sampled_from(CollectionRules._fields), st.one_of(_strings, _lists)),
    st.sampled_from(["[tool.pytest.ini_options]", '[ tool . "pytest".ini_options ] # x']),
)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_without_a_toml_reader_the_same_is_read(
    tmp_path: Path, said: dict[str, str], table: str
) -> None:
    text = "\n".join(
        ["[other]", "python_files = 'no'", table, "addopts = '-q'"]
        + [f"{name} = {value}" for name, value in said.items()]
        + ["[more]", "python_classes = ['no']", ""]
    )
    # Not json.dumps' surrogates, which TOML has none of.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    text = text.replace("\\ud83d\\ude00", "\U0001f600")
    _loads(text)
    expected = rules(tmp_path, "pyproject.toml", text)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tomllib", "tomli"):
            patch.setitem(sys.modules, name, None)
        assert rules(tmp_path, "pyproject.toml", text) == expected
