"""Getting on with pytest-memray and with tests that use memray themselves.

pytest-memray has the same flags, ini keys and markers, and memray allows one tracker a process, so
only one of the two can measure. Whoever has ours installed beside it wants ours. Which of them
pytest loads first is up to the environment (entry points come in no order that one could rely on,
``-p`` comes before them all, a ``conftest.py`` after), so `take_over` has to cope with both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

#: pytest-memray's entry point, and the modules that people load it by.
_NAMES = ("memray", "pytest_memray", "pytest_memray.plugin")
#: Its group of options, as ``pytest --help`` shows it.
_GROUP = "memray"


class _Placeholder:
    """Holds a name of pytest-memray's.

    Blocking the name would not do: ``-p memray`` unblocks it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<memlens in place of {self._name}>"


def take_over(parser: pytest.Parser, manager: pytest.PytestPluginManager) -> None:
    """Take pytest-memray's place, whether it is loaded already or would be later.

    Call it before our own options are declared.
    """
    loaded = [
        name
        for name, plugin in manager.list_name_plugin()
        if plugin is not None
        and (name in _NAMES or getattr(plugin, "__name__", "").startswith("pytest_memray"))
    ]
    for name in loaded:
        manager.unregister(name=name)
    if loaded:
        _withdraw(parser.getgroup(_GROUP), manager)
    for name in _NAMES:
        # What the user has blocked by ``-p no:…`` stays blocked.
        if not manager.is_blocked(name):
            manager.register(_Placeholder(name), name)


def _withdraw(group: pytest.OptionGroup, manager: pytest.PytestPluginManager) -> None:
    """Forget the options of *group* and the defaults they have left."""
    config: Any = manager.get_plugin("pytestconfig")
    for option in group.options:
        if config is not None:
            vars(config.option).pop(option.dest, None)
        # pytest 9 and newer hand an option to argparse at once, older ones when they parse.
        action: Any = getattr(option, "_action", None)
        if action is not None:
            action.container._remove_action(action)  # noqa: SLF001
            for name in action.option_strings:
                action.container._option_string_actions.pop(name, None)  # noqa: SLF001
    group.options.clear()


def header_lines(manager: pytest.PytestPluginManager) -> Sequence[str]:
    """Return what the head of the session says about pytest-memray: a line if it is installed."""
    if not isinstance(manager.get_plugin(_NAMES[0]), _Placeholder):
        return ()  # blocked by the user, who knows
    from importlib.util import find_spec  # only now: importing it takes a while

    if find_spec("pytest_memray") is None:
        return ()
    return (
        "memlens: pytest-memray is installed too and was not loaded, since memlens measures and"
        " enforces in its place; uninstall it, or run with -p no:memlens",
    )


def explain_clash(error: BaseException) -> str | None:
    """Return what to tell of a measured test that raised *error*, if that comes from a tracker.

    memray refuses to be started twice in a process, so a test that starts a tracker of its own
    cannot be measured too.
    """
    if not isinstance(error, RuntimeError) or "Tracker" not in str(error):
        return None
    return (
        "This test starts a memray.Tracker of its own while memlens measures it, and memray allows"
        " only one at a time.\nRun it without --memray and without memlens markers, or with"
        " '-p no:memlens'."
    )
