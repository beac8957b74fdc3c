"""`python -m memlens_lsp`: the language server."""

import sys

from memlens_lsp.main import main

sys.exit(main())
