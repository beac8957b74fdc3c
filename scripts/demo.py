"""Runs the example project's tests as a user would, and shows what terminal and editor say.

Exits 0 when, and only when, exactly the tests that should fail did.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from memlens.store import ResultsError, ResultsReader, TestRecord, database_path

EXAMPLES = Path(__file__).parent.parent / "examples"
INTENDED = {
    "tests/test_catalog.py::test_thumbnails_stay_small",
    "tests/test_orders.py::test_report_of_a_year",
    "tests/test_sessions.py::test_sessions_are_forgotten",
}


def say(text: str = "") -> None:
    """Print *text* now, before what a child prints next."""
    print(text, flush=True)


def run(*command: str) -> int:
    """Run one of our commands in the example project, showing it."""
    say(f"\n$ cd examples && {' '.join(command)}")
    return subprocess.run([sys.executable, "-m", *command], cwd=EXAMPLES, check=False).returncode


def measured() -> tuple[list[TestRecord], int | None]:
    """Return the tests that the last run measured, and how many it was to run."""
    try:
        with ResultsReader(database_path(EXAMPLES)) as results:
            last = results.runs()[0]
            return [t for t in results.latest_tests() if t.run == last.id], last.collected
    except ResultsError:
        return [], None


def main() -> int:
    """Run the demo."""
    say("A small shop, whose tests declare how much memory they may take.")
    say("Three of them fail on purpose: two are over their limit, one leaks.")
    # Results of earlier runs are nothing to judge this one by.
    shutil.rmtree(database_path(EXAMPLES).parent, ignore_errors=True)
    status = run("pytest", "--memray")

    say("\nWhat your editor shows on these lines (its problem matchers read this form):")
    run("memlens", "check")

    tests, collected = measured()
    failed = {test.nodeid for test in tests if test.outcome == "failed"}
    say()
    if status == 1 and failed == INTENDED and len(tests) == collected:
        say("Exactly the three intended tests failed: memlens works here.")
        say("Now open the folder examples/ in your editor: README.md, section Editors.")
        return 0
    say("This is not what should have happened. These tests should fail, and no others:")
    for nodeid in sorted(INTENDED | failed):
        verdict = "failed" if nodeid in failed else "did not fail"
        say(f"  {nodeid}: {verdict}{'' if nodeid in INTENDED else ', and should not have'}")
    say(f"  measured {len(tests)} of {collected} tests, pytest's exit status was {status}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
