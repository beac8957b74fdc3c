"""memlens: memory limits for tests, measured with memray.

The names here are what test code may import. Importing this package imports neither pytest nor
memray.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memlens.stacks import LeakedObjectsFilterFunction, LeaksFilterFunction, Stack, StackFrame

__all__ = ["LeakedObjectsFilterFunction", "LeaksFilterFunction", "Stack", "StackFrame"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # When asked for, since pytest imports this package in every run of every project.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from memlens import stacks

    return getattr(stacks, name)
