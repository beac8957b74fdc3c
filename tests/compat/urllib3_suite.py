"""Runs urllib3's own `test/test_response.py` with pytest-memlens in place of pytest-memray.

urllib3 uses `limit_memory(…, current_thread_only=True)`. Its source distribution comes from the
package index; two virtual environments get everything that its tests need, one pytest-memray and
the other this checkout. The same tests then run in both, and their outcomes are compared:

- as they are, where every limit holds;
- with every limit lowered to 1 KB, where a plugin that does not enforce them is found out.

    python tests/compat/urllib3_suite.py [--folder build/compat] [--urllib3 2.8.*]

Exit status 0: each test has the same outcome, and where it is over its limit the same peak, with
both. Needs downloads and about two minutes, so it is not part of `make test`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

REPOSITORY = Path(__file__).resolve().parents[2]
#: What urllib3's `dev` group adds to its `test` group for the tests, save pytest-memray.
ALSO_NEEDED = ("cryptography", "idna", "pyopenssl", "trustme")
TESTS = "test/test_response.py"
LOWERED_TESTS = "test/test_response_lowered.py"
#: How either plugin says what a test took: "but allocated 12.1MiB", "Peak memory of 12.1 MiB".
PEAK = re.compile(r"(?:but allocated|Peak memory of(?: this thread of)?) ([\d.]+) ?([KMGT]?i?B)\b")


@dataclass(frozen=True)
class Outcome:
    """What one plugin made of one test."""

    outcome: str
    message: str

    @property
    def compared(self) -> tuple[str, ...]:
        """What has to be the same with both."""
        peak = PEAK.search(self.message)
        return (self.outcome, *(peak.groups() if peak else ()))


def run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True)


def source_of_urllib3(folder: Path, version: str) -> Path:
    """Return the folder of the unpacked source distribution."""
    run(
        *(sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--no-binary", "urllib3"),
        *("--dest", folder, f"urllib3=={version}"),
    )
    archive = max(folder.glob("urllib3-*.tar.gz"), key=lambda path: path.stat().st_mtime)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    source = folder / archive.name.removesuffix(".tar.gz")
    text = (source / TESTS).read_text(encoding="utf-8")
    lowered, count = re.subn(r'limit_memory\(\s*"[^"]+"', 'limit_memory("1 KB"', text)
    print(f"{source.name}: {count} tests with limit_memory")
    (source / LOWERED_TESTS).write_text(lowered, encoding="utf-8")
    return source


def environment(folder: Path, source: Path, *plugin: str) -> Path:
    """Return the Python of a fresh virtual environment with urllib3's tests and *plugin*."""
    run(sys.executable, "-m", "venv", "--clear", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-qq", "--upgrade", "pip>=25.1")  # for --group
    run(
        *(python, "-m", "pip", "install", "-qq", ".[brotli,h2,socks,zstd]", "--group", "test"),
        *ALSO_NEEDED,
        *plugin,
        cwd=source,
    )
    return python


def outcomes(python: Path, source: Path, tests: str, report: Path) -> dict[str, Outcome]:
    """Run *tests* and return the outcome of each by its name."""
    report.unlink(missing_ok=True)
    finished = subprocess.run(
        [
            *(python, "-m", "pytest", "-q", "--memray", "--hide-memray-summary"),
            *("-p", "no:cacheprovider", f"--junitxml={report}", tests),
        ],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    report.with_suffix(".log").write_text(finished.stdout + finished.stderr, encoding="utf-8")
    if not report.exists():
        sys.exit(f"{python} wrote no report:\n{finished.stdout}{finished.stderr}")
    print(f"  {report.stem}: {finished.stdout.strip().splitlines()[-1]}")
    found = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        outcome, message = "passed", ""
        for kind in ("skipped", "failure", "error"):
            element = case.find(kind)
            if element is not None:
                outcome, message = kind, element.get("message", "") or (element.text or "")
        found[f"{case.get('classname')}::{case.get('name')}"] = Outcome(
            outcome, message.strip().partition("\n")[0]
        )
    return found


def differences(ours: dict[str, Outcome], theirs: dict[str, Outcome]) -> list[str]:
    """Return one line for each test that is not the same with both."""
    missing = Outcome("not run", "")
    return [
        f"{name}: {one.outcome} with memlens ({one.message}),"
        f" {other.outcome} with pytest-memray ({other.message})"
        for name in sorted(ours.keys() | theirs.keys())
        if (one := ours.get(name, missing)).compared
        != (other := theirs.get(name, missing)).compared
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "compat")
    parser.add_argument("--urllib3", default="2.8.*", help="which version (default: 2.8.*)")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    source = source_of_urllib3(folder, options.urllib3)
    theirs = environment(folder / "with-pytest-memray", source, "pytest-memray")
    ours = environment(folder / "with-memlens", source, str(REPOSITORY))
    different = 0
    for what, tests in (("as they are", TESTS), ("every limit 1 KB", LOWERED_TESTS)):
        print(f"{tests}, {what}")
        stem = Path(tests).stem
        found = {
            plugin: outcomes(python, source, tests, folder / f"{stem}-{plugin}.xml")
            for plugin, python in (("pytest-memray", theirs), ("memlens", ours))
        }
        lines = differences(found["memlens"], found["pytest-memray"])
        counts = Counter(outcome.outcome for outcome in found["memlens"].values())
        print(f"  {len(lines)} differences in {sum(counts.values())} tests {dict(counts)}")
        for line in lines:
            print(f"    {line}")
        different += len(lines)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
