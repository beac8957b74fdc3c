"""The memory CPython takes for small objects, which is in the peak of whoever needs it next."""

from __future__ import annotations

#: How much it takes at once, in bytes, since 3.10.
ARENA = 1024**2

#: For programs that are measured, so that no test is the one for which Python takes another arena.
ROOM = """
room = []

# Blocks of each size, and empty pools for any size in arenas that are kept by the few that stay.
def make_room():
    room.extend([bytes(size) for size in range(0, 512, 16) for _ in range(400)])
    del room[::2]
    room.extend([bytes(400) for _ in range(8000)][::300])

make_room()
"""
