"""Code actions that put wrong markers right."""

from __future__ import annotations

import pytest
from lsprotocol import types

from memlens_lsp.features.marker_checks import marker_diagnostics

from .offered_actions import CODEC, LIMITED, MEASURED, done, offered


def fixed(marker: str) -> list[tuple[str, str]]:
    """What fixes of a decorator are called, and what they leave of it."""
    text = f"@pytest.mark.{marker}\ndef test_a(): ...\n"
    (end,) = {len(text) - len("\ndef test_a(): ...\n")}
    found = []
    for title, action in offered(text, None).items():
        assert action.kind is types.CodeActionKind.QuickFix
        after = done(action)
        assert len(marker_diagnostics(after, CODEC)) < len(marker_diagnostics(text, CODEC))
        found.append((title, after[len("@pytest.mark.") : end + len(after) - len(text)]))
    return found


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        (
            'limit_memroy("24 MB")',
            [("Change limit_memroy to limit_memory", 'limit_memory("24 MB")')],
        ),
        (
            'limit_memory("24 MB", curent_thread_only=True)',
            [
                (
                    "Change curent_thread_only to current_thread_only",
                    'limit_memory("24 MB", current_thread_only=True)',
                ),
                ("Remove curent_thread_only=True", 'limit_memory("24 MB")'),
            ],
        ),
        (
            'limit_leaks("1 MB", filter=f, filter_fn=g)',
            [("Remove filter=f", 'limit_leaks("1 MB", filter_fn=g)')],
        ),
        (
            'limit_leaks("1 MB", xyz=(1, [2]), warmups=1)',
            [("Remove xyz=(1, [2])", 'limit_leaks("1 MB", warmups=1)')],
        ),
        (
            'limit_leaks("1 MB", warmups=-1,)',
            [("Remove warmups=-1", 'limit_leaks("1 MB",)')],
        ),
        (
            'limit_memory("1 MB", memory_limit="2 MB")',
            [('Remove memory_limit="2 MB"', 'limit_memory("1 MB")')],
        ),
        (
            'limit_memory("1 MB", 2, 3, current_thread_only=True)',
            [
                (
                    "Remove the 2 arguments from 2 on",
                    'limit_memory("1 MB", current_thread_only=True)',
                )
            ],
        ),
        ("limit_leaked_objects(3,)", [("Remove 3", "limit_leaked_objects()")]),
        (
            "limit_leaked_objects(3, filter_fn=f)",
            [("Remove 3", "limit_leaked_objects(filter_fn=f)")],
        ),
        ('limit_memory("24 M")', [('Change "24 M" to "24 MB"', 'limit_memory("24 MB")')]),
        (
            "limit_memory('1,5 gigs')",
            [("Change '1,5 gigs' to \"1.5 GB\"", "limit_memory('1.5 GB')")],
        ),
        ("limit_memory(24)", [('Change 24 to "24 MB"', 'limit_memory("24 MB")')]),
        ("limit_memory(25165824)", [('Change 25165824 to "24 MB"', 'limit_memory("24 MB")')]),
        ("limit_memory(5000)", [('Change 5000 to "5000 B"', 'limit_memory("5000 B")')]),
        ("limit_memory('٣ MB')", [("Change '٣ MB' to \"3 MB\"", "limit_memory('3 MB')")]),
        (
            f"limit_memory({2**1300})",
            [(f'Change {2**1300} to "{2**1250} PB"', f'limit_memory("{2**1250} PB")')],
        ),
        (
            'limit_memory(limit="24 MB")',
            [("Change limit to memory_limit", 'limit_memory(memory_limit="24 MB")')],
        ),
        (
            "limit_leaks(limit=SIZE, warmups=1)",
            [("Change limit to location_limit", "limit_leaks(location_limit=SIZE, warmups=1)")],
        ),
        (
            'limit_memory(memory_limt="24 MB", current_thread_only=True)',
            [
                (
                    "Change memory_limt to memory_limit",
                    'limit_memory(memory_limit="24 MB", current_thread_only=True)',
                )
            ],
        ),
        ("limit_memory(xyz=1)", []),
        ("limit_memory(*sizes, xyz=1)", [("Remove xyz=1", "limit_memory(*sizes)")]),
        ('limit_memory("much")', []),
        ("limit_memory(None)", []),
        (
            'limit_leaks("1 MB",  # a limit\n    wamups=1,  # why\n    filter_fn=f)',
            [
                (
                    "Change wamups to warmups",
                    'limit_leaks("1 MB",  # a limit\n    warmups=1,  # why\n    filter_fn=f)',
                ),
                ("Remove wamups=1", 'limit_leaks("1 MB",  # a limit\n    filter_fn=f)'),
            ],
        ),
    ],
)
def test_a_wrong_marker_is_put_right(marker: str, expected: list[tuple[str, str]]) -> None:
    assert fixed(marker) == expected


def test_a_wrong_limit_is_set_from_the_peak_as_a_quick_fix() -> None:
    text = LIMITED.replace('"24 MB"', '"24 XB", wrong=1').replace(
        "@pytest", "@pytest.mark.limit_leaks()\n@pytest", 1
    )
    marks = marker_diagnostics(text, CODEC)
    action = offered(text, 6, MEASURED, marks=marks)[
        "Set the limit to 35 MB: the peak was 31.2 MiB"
    ]
    assert [mark.message[:35] for mark in action.diagnostics] == [
        "limit_memory: '24 XB' is not a memo"
    ]
    assert action.kind is types.CodeActionKind.QuickFix


def test_a_fix_answers_its_own_diagnostic_only() -> None:
    text = '@pytest.mark.limit_leaks("24 M", warmups=-1)\ndef test_a(): ...\n'
    marks = marker_diagnostics(text, CODEC)
    for title, action in offered(text, 1, marks=marks).items():
        (answered,) = action.diagnostics
        assert answered is marks["warmups" in title]
