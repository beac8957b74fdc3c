"""Starts the language server on the libraries that the extension carries."""

import sys
from pathlib import Path

# The extension's folder may be read-only, and is replaced whole at every update.
sys.dont_write_bytecode = True
# In this process only, never by PYTHONPATH: the tests that the server starts must see the user's
# own packages. First, in place of this script's folder: the user's pygls may be another one.
sys.path[0] = str(Path(__file__).resolve().parent / "libs")

from memlens_lsp.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
