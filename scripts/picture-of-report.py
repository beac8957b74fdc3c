"""Makes docs/images/report.svg: what `memlens report` shows of examples/ in a terminal.

Runs the tests of a copy twice, first as they might have been before they grew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURE = REPOSITORY / "docs" / "images" / "report.svg"
WIDTH = 116


def main() -> None:
    """Run, and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        ignored = shutil.ignore_patterns(".*", "__pycache__")
        shutil.copytree(REPOSITORY / "examples", shop, ignore=ignored)
        grown = shop / "tests" / "test_orders.py"
        text = grown.read_text(encoding="utf-8")
        earlier = text.replace("365", "180")
        assert earlier != text, "the example has changed"
        for content in (earlier, text):
            grown.write_text(content, encoding="utf-8")
            pytest = [sys.executable, "-m", "pytest", "-q", "--memray", "-p", "no:cacheprovider"]
            subprocess.run(pytest, cwd=shop, stdout=subprocess.DEVNULL, check=False)
        shown = subprocess.run(
            [sys.executable, "-m", "memlens", "report"],
            cwd=shop,
            env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(Text("$ memlens report", style="bold"))
        console.print(Text.from_ansi(shown))
    picture = console.export_svg(title="memlens report")
    # A picture loads nothing: whoever shows it has a font of fixed width.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    PICTURE.write_text(picture, encoding="utf-8")
    print(PICTURE)


if __name__ == "__main__":
    main()
