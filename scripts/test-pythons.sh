#!/usr/bin/env bash
# test-pythons.sh [TESTS…]: runs tests, all of Python's if none are named (options of pytest may be
# among them), with every other CPython that memlens supports and that is here (on PATH or under
# pyenv): the oldest of them with pytest 8, the others with pytest 9. .venv's own Python is
# `make test-python`'s.
# Each gets a virtual environment in build/pythons, made anew when pyproject.toml changes.
set -euo pipefail
cd "$(dirname "$0")/.."

supported=(3.10 3.11 3.12 3.13)
home=build/pythons
[ $# -gt 0 ] || set -- tests/plugin tests/store tests/lsp_server
tests=("$@")
export PYTHONDONTWRITEBYTECODE=1

# Whether $1 really is a CPython of version $2 (what pyenv puts on PATH may refuse to start), and
# one with a global interpreter lock: memray has no build for the other kind.
is_python() {
  "$1" - "$2" 2>/dev/null <<'PYTHON'
import sys, sysconfig
wanted = tuple(map(int, sys.argv[1].split(".")))
fits = sys.implementation.name == "cpython" and sys.version_info[:2] == wanted
sys.exit(not fits or bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
PYTHON
}

# Prints the path of CPython $1, or nothing.
find_python() {
  local pyenv candidate
  pyenv=$(pyenv root 2>/dev/null || echo "${PYENV_ROOT:-}")
  {
    type -aP "python$1" || true
    [ -z "$pyenv" ] || find "$pyenv/versions" -path "*/$1.*/bin/python" -maxdepth 3 2>/dev/null | sort -rV
  } | while read -r candidate; do
    if is_python "$candidate" "$1"; then
      echo "$candidate"
      break
    fi
  done
}

# Runs the tests with the interpreter $1 of version $2 and pytest of major version $3.
run() {
  local python=$1 folder="$home/$2-pytest$3" state
  state=$("$python" -VV && cat pyproject.toml scripts/test-pythons.sh)
  if [ "$(cat "$folder/installed" 2>/dev/null)" != "$state" ]; then
    rm -rf "$folder"
    scripts/make-venv.sh "$python" "$folder" -e '.[test]' "pytest>=$3,<$(($3 + 1))" >"$folder.log" 2>&1 ||
      { cat "$folder.log" && return 1; }
    echo "$state" >"$folder/installed"
  fi
  scripts/compile-plugins.sh "$folder/bin/python"
  if "$folder/bin/python" -m pytest -q -p no:cacheprovider -n 2 \
    "${tests[@]}" >"$folder.log" 2>&1; then
    echo "CPython $2 with pytest $3: $(tail -n 1 "$folder.log")"
  else
    echo "CPython $2 with pytest $3 failed:"
    cat "$folder.log"
    return 1
  fi
}

mkdir -p "$home"
tested=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
oldest='' absent=() failed=0
for version in "${supported[@]}"; do
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    [ "$version" = "$tested" ] || absent+=("$version")
    continue
  fi
  if [ -z "$oldest" ]; then
    oldest=$version
    run "$python" "$version" 8 || failed=1
  elif [ "$version" != "$tested" ]; then
    run "$python" "$version" 9 || failed=1
  fi
done
[ ${#absent[@]} -eq 0 ] || echo "Not here, so not tested: CPython ${absent[*]}"
exit $failed
