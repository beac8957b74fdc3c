"""memlens: memory limits for tests, measured with memray.

The names here are what test code may import. Importing this package imports neither pytest nor
memray.
"""

from memlens.stacks import LeakedObjectsFilterFunction, LeaksFilterFunction, Stack, StackFrame

__all__ = ["LeakedObjectsFilterFunction", "LeaksFilterFunction", "Stack", "StackFrame"]
__version__ = "0.1.0"
