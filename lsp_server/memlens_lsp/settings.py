"""The client's settings, structured once at the edge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from os.path import expanduser
from typing import Any

import cattrs

#: The section that a client keeps our settings in (`workspace/configuration`).
SECTION = "memlens"


@dataclass(frozen=True)
class Settings:
    """What a user can choose."""

    #: The Python that runs tests; "" for the one that runs this server.
    interpreter: str = field(default="", metadata={"name": "interpreter", "kind": "a string"})
    #: Arguments to pytest before the test.
    pytest_args: tuple[str, ...] = field(
        default=(), metadata={"name": "pytestArgs", "kind": "a list of strings"}
    )

    @property
    def python(self) -> str:
        """The command that starts the interpreter."""
        if not self.interpreter.strip():
            return sys.executable
        # Not `Path`, which would make "python" of "./python".
        return expanduser(self.interpreter)  # noqa: PTH111


def read_settings(raw: object) -> tuple[Settings, list[str]]:
    """Return the settings in *raw*, a client's JSON, and what is wrong with it in plain words.

    What is wrong or missing keeps its default. Settings that we do not know are someone else's.
    """
    if raw is None:
        return Settings(), []
    if not isinstance(raw, Mapping):
        return Settings(), [f"the settings of {SECTION} are {raw!r}: expected an object"]
    values: dict[str, Any] = {}
    problems = []
    for setting in fields(Settings):
        name = setting.metadata["name"]
        value = raw.get(name)
        if value is None:
            continue
        try:
            values[setting.name] = _converter.structure(value, _TYPES[setting.name])
        except (cattrs.BaseValidationError, TypeError, ValueError):
            kind = setting.metadata["kind"]
            problems.append(f"the setting {SECTION}.{name} is {value!r}: expected {kind}")
    return Settings(**values), problems


def _only_str(value: object, _: object) -> str:
    # cattrs would turn any value into its string.
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value


def _only_list(value: object, _: object) -> tuple[str, ...]:
    # cattrs would take a string for a list of its characters.
    if not isinstance(value, list):
        raise TypeError
    return tuple(_only_str(item, str) for item in value)


_TYPES: dict[str, Any] = {"interpreter": str, "pytest_args": tuple[str, ...]}
_converter = cattrs.Converter()
_converter.register_structure_hook(str, _only_str)
_converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _only_list)
