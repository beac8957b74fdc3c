"""The commands of `memlens`, one a module.

Each has `add`, which declares its options, and `run`, which does it and returns the exit status.
"""
