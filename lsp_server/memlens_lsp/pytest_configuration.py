"""What a project's pytest configuration says of how its tests are called.

Read as pytest reads it, without pytest: the server runs where that is not installed. What it cannot
read it takes for pytest's defaults; pytest itself says what is wrong with it.
"""

from __future__ import annotations

import configparser
import importlib
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from memlens_lsp.tests_in_source import CollectionRules
from memlens_lsp.watching import Look, look_at

#: Where a file keeps pytest's settings: the names of a table, of a section.
_Places = tuple[tuple[str, ...], ...]

_OWN_TABLE: _Places = (("pytest",),)
_OWN_SECTION: _Places = (("pytest",),)
#: In the order in which pytest looks for them in a folder, whether it counts without settings, and
#: where it has them (https://docs.pytest.org/en/stable/reference/customize.html).
_FILES: Mapping[str, tuple[bool, _Places]] = {
    "pytest.toml": (True, _OWN_TABLE),
    ".pytest.toml": (True, _OWN_TABLE),
    "pytest.ini": (True, _OWN_SECTION),
    ".pytest.ini": (True, _OWN_SECTION),
    "pyproject.toml": (False, (("tool", "pytest"), ("tool", "pytest", "ini_options"))),
    "tox.ini": (False, _OWN_SECTION),
    "setup.cfg": (False, (("tool:pytest",),)),
}
#: How many files' settings are kept.
_MOST_FILES = 256


class PytestConfigurations:
    """The configurations of all projects. Reads a file again only when it has changed.

    For any thread.
    """

    def __init__(self) -> None:
        #: None for a file that does not configure pytest.
        self._known: dict[Path, tuple[Look, CollectionRules | None]] = {}

    def rules_for(self, path: Path) -> CollectionRules:
        """Return the rules by which pytest would collect tests from the file *path*.

        Those of the nearest folder around it that has a configuration
        (https://docs.pytest.org/en/stable/reference/customize.html#finding-the-rootdir).
        """
        for folder in path.parents:
            for name in _FILES:
                rules = self._rules_in(folder / name)
                if rules is not None:
                    return rules
        return CollectionRules()

    def _rules_in(self, file: Path) -> CollectionRules | None:
        look = look_at(file)
        if look == (None,):
            self._known.pop(file, None)
            return None
        known = self._known.get(file)
        if known is None or known[0] != look:
            if len(self._known) >= _MOST_FILES:
                self._known.clear()
            known = self._known[file] = (look, read_rules(file))
        return known[1]


def read_rules(file: Path) -> CollectionRules | None:
    """Return what the configuration *file* says, or None if it is not one of pytest's."""
    always, places = _FILES[file.name]
    none_said = CollectionRules() if always else None
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError):
        return none_said
    read = _toml_tables if file.suffix == ".toml" else _ini_sections
    tables = [table for place in places if (table := read(text, place)) is not None]
    if not tables:
        return none_said
    said: dict[str, Any] = {}
    for table in tables:
        said.update(table)
    rules = {
        name: values
        for name in CollectionRules._fields
        if (values := _words(said.get(name))) is not None
    }
    return CollectionRules(**rules)


def _words(value: object) -> tuple[str, ...] | None:
    """Return a setting of pytest's type "args", or None if there is none."""
    if isinstance(value, list):
        return tuple(word for word in value if isinstance(word, str))
    if not isinstance(value, str):
        return None
    try:
        return tuple(shlex.split(value))
    except ValueError:
        return tuple(value.split())


def _ini_sections(text: str, place: tuple[str, ...]) -> Mapping[str, Any] | None:
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, allow_no_value=True, default_section=""
    )
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    (section,) = place
    return dict(parser[section]) if parser.has_section(section) else None


def _toml_tables(text: str, place: tuple[str, ...]) -> Mapping[str, Any] | None:
    loads = _toml_reader() or _texts_in_toml
    try:
        table = loads(text)
    except (ValueError, RecursionError):  # their own errors are the first
        return None
    for name in place:
        table = table.get(name)
        if not isinstance(table, Mapping):
            return None
    # An empty "tool.pytest" is only what is around "tool.pytest.ini_options".
    return table if table.keys() - {"ini_options"} or place[-1] == "ini_options" else None


def _toml_reader() -> Callable[[str], Any] | None:
    # Python 3.10 has none; pytest brings one there.
    for name in ("tomllib", "tomli"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        loads: Callable[[str], Any] = module.loads
        return loads
    return None


# Without a TOML reader

_NAME = r"""[ \t]*(?:"[^"\r\n]*"|'[^'\r\n]*'|[\w-]+)[ \t]*"""
_NAMES = rf"{_NAME}(?:\.{_NAME})*"
_REST = r"[ \t]*(?:\#[^\r\n]*)?(?:\r?\n|\Z)"
#: What begins a line outside of values (https://toml.io/en/v1.0.0#keyvalue-pair).
_LINE = re.compile(
    rf"[ \t]*\[(?P<table>{_NAMES})\]{_REST}|[ \t]*\[\[(?P<item>{_NAMES})\]\]{_REST}"
    rf"|(?P<key>{_NAMES})=[ \t]*|{_REST}"
)
#: A string, a comment, or what is around them (https://toml.io/en/v1.0.0#string).
_PIECE = re.compile(
    r'"""(?:\r?\n)?(?P<long>(?:[^"\\]|\\.|"(?!""))*)"""'
    r"|'{3}(?:\r?\n)?(?P<long_raw>.*?)'{3}"
    r'|"(?P<short>(?:[^"\\\r\n]|\\.)*)"'
    r"|'(?P<raw>[^'\r\n]*)'"
    r"|(?P<end>\r?\n)|\#[^\r\n]*|(?P<open>[\[{])|(?P<close>[\]}])|[^\"'\#\[\]{}\r\n]+",
    re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<joined>[ \t]*\r?\n\s*)|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})"
    r"|(?P<letter>.))"
)
_LETTERS = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def _texts_in_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML document, and what in them is a string or a list of strings.

    Raises:
        ValueError: it is no TOML.
    """
    document: dict[str, Any] = {}
    table: tuple[str, ...] = ()
    position = 0
    while position < len(text):
        line = _LINE.match(text, position)
        if line is None:
            raise ValueError(f"no TOML at character {position}")
        position = line.end()
        if line["key"] is None:
            if line["table"] or line["item"]:
                table = _names(line["table"] or line["item"])
                _table(document, table)
            continue
        *around, key = _names(line["key"])
        position, value = _value(text, position)
        _table(document, (*table, *around))[key] = value
    return document


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip(" \t\"'") for name in re.findall(_NAME, dotted))


def _table(document: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    for name in names:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            raise ValueError(f"{name} is no table")
    return document


def _value(text: str, position: int) -> tuple[int, str | list[str] | None]:
    """Return where the value at *position* ends with its line, and what it is."""
    is_list = text.startswith("[", position)
    strings: list[str] = []
    depth = 0
    while piece := _PIECE.match(text, position):
        position = piece.end()
        depth += bool(piece["open"]) - bool(piece["close"])
        if piece["end"] and depth <= 0:
            break
        for name in ("long", "short"):
            if piece[name] is not None:
                strings.append(_ESCAPE.sub(_unescaped, piece[name]))
        for name in ("long_raw", "raw"):
            if piece[name] is not None:
                strings.append(piece[name])
    if depth > 0:
        raise ValueError("a list that is not closed")
    return position, strings if is_list else next(iter(strings), None)


def _unescaped(escape: re.Match[str]) -> str:
    if escape["joined"]:
        return ""
    number = escape["short"] or escape["long"]
    if number:
        code = int(number, 16)
        return chr(code) if code <= 0x10FFFF else "\ufffd"
    letter: str = escape["letter"]
    return _LETTERS.get(letter, letter)
