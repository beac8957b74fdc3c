#!/usr/bin/env bash
# compile-plugins.sh PYTHON: keeps compiled what the many processes that tests start import: memlens,
# and pytest's plugins as pytest rewrites them. Where PYTHONDONTWRITEBYTECODE is set, as in many
# containers, each of these processes would compile it anew, a third of the time it takes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/$1
unset PYTHONDONTWRITEBYTECODE

"$python" -m compileall -q plugin lsp_server
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
cat >"$project/test_it.py" <<'PYTHON'
from importlib import import_module
from pkgutil import walk_packages

import memlens


def test_every_module_can_be_imported():
    for module in walk_packages(memlens.__path__, "memlens."):
        if not module.name.endswith(".__main__"):
            import_module(module.name)
PYTHON
cd "$project"
"$python" -m pytest -q -n 1 --memray --cov=. >"$project/log" 2>&1 || { cat "$project/log" && exit 1; }
