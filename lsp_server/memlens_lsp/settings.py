"""The client's settings, structured once at the edge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from os.path import expanduser
from typing import Any, get_args

from memlens.findings import DEFAULT_THRESHOLDS, Code, Thresholds
from memlens.sizes import parse_size

#: The section that a client keeps our settings in (`workspace/configuration`).
SECTION = "memlens"
#: What a diagnostic may be shown as.
SEVERITIES = ("error", "warning", "information", "hint", "off")


def _setting(name: str, check: Callable[[Any], Any], expected: str, *, default: Any) -> Any:
    """A setting that the client calls *name*; *check* returns its value or raises ValueError."""
    return field(
        default_factory=lambda: default,
        metadata={"name": name, "check": check, "expected": expected},
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    return tuple(_text(item) for item in value)


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _percentage(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError
    return float(value)


def _variables(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError
    for name in value:
        if not _text(name) or "=" in name:
            raise ValueError
    return {name: _text(text) for name, text in value.items()}


def _severities(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError
    for code, severity in value.items():
        if code not in get_args(Code) or severity not in SEVERITIES:
            raise ValueError
    return dict(value)


@dataclass(frozen=True)
class Settings:
    """What a user can choose."""

    #: The Python that runs tests; "" for the one that runs this server.
    interpreter: str = _setting("interpreter", _text, "a string", default="")
    #: Arguments to pytest before the test.
    pytest_args: tuple[str, ...] = _setting("pytestArgs", _texts, "a list of strings", default=())
    #: The folder to run tests in, relative to the workspace folder; "" for the project's.
    working_folder: str = _setting("workingFolder", _text, "a string", default="")
    #: Environment variables for test runs, besides those of the server.
    environment: Mapping[str, str] = _setting(
        "environment", _variables, "an object of strings", default={}
    )
    #: Whether a test file's tests are run when it is saved.
    run_on_save: bool = _setting("runOnSave", _yes_or_no, "true or false", default=False)
    #: Whether code lenses, inlay hints and diagnostics are shown at all.
    code_lenses: bool = _setting("codeLens.enabled", _yes_or_no, "true or false", default=True)
    inlay_hints: bool = _setting("inlayHints.enabled", _yes_or_no, "true or false", default=True)
    diagnostics: bool = _setting("diagnostics.enabled", _yes_or_no, "true or false", default=True)
    #: What diagnostics are shown as, by their code, where not as they come.
    severities: Mapping[str, str] = _setting(
        "diagnostics.severity",
        _severities,
        f"an object from codes ({', '.join(get_args(Code))}) to one of {', '.join(SEVERITIES)}",
        default={},
    )
    #: A test is near its limit if no more than this share of the limit is left, in percent.
    near_limit: float = _setting(
        "diagnostics.nearLimit",
        _percentage,
        "a number from 0 to 100",
        default=DEFAULT_THRESHOLDS.near_limit,
    )
    #: A line is a hotspot if it holds at least this share of a failing test's peak, in percent.
    hotspot: float = _setting(
        "diagnostics.hotspot",
        _percentage,
        "a number from 0 to 100",
        default=DEFAULT_THRESHOLDS.hotspot,
    )
    #: A line is hot if some test's peak has at least this much of it, in bytes, …
    hot_size: int = _setting(
        "hotLines.minimumSize", parse_size, "a size such as '1 MB'", default=1024 * 1024
    )
    #: … and at least this share, in percent.
    hot_share: float = _setting(
        "hotLines.minimumShare", _percentage, "a number from 0 to 100", default=10.0
    )

    @property
    def thresholds(self) -> Thresholds:
        """From where on findings are worth telling."""
        return Thresholds(self.near_limit, self.hotspot)

    @property
    def python(self) -> str:
        """The command that starts the interpreter."""
        if not self.interpreter.strip():
            return sys.executable
        # Not `Path`, which would make "python" of "./python".
        return expanduser(self.interpreter)  # noqa: PTH111


def read_settings(raw: object) -> tuple[Settings, list[str]]:
    """Return the settings in *raw*, a client's JSON, and what is wrong with it in plain words.

    A dotted name is an object in an object, or a name with a dot. What is wrong or missing keeps
    its default. Settings that we do not know are someone else's.
    """
    if raw is None:
        return Settings(), []
    if not isinstance(raw, Mapping):
        return Settings(), [f"the settings of {SECTION} are {raw!r}: expected an object"]
    values: dict[str, Any] = {}
    problems = []
    for setting in fields(Settings):
        name = setting.metadata["name"]
        value = _find(raw, name)
        if value is None:
            continue
        try:
            values[setting.name] = setting.metadata["check"](value)
        except (ValueError, TypeError):
            expected = setting.metadata["expected"]
            problems.append(f"the setting {SECTION}.{name} is {value!r}: expected {expected}")
    return Settings(**values), problems


def _find(raw: Mapping[str, Any], name: str) -> object:
    if name in raw:
        return raw[name]
    group, dot, rest = name.partition(".")
    inside = raw.get(group)
    return _find(inside, rest) if dot and isinstance(inside, Mapping) else None
