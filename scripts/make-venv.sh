#!/usr/bin/env bash
# make-venv.sh PYTHON FOLDER PIP-ARGUMENTS…: makes a virtual environment if it is not there yet, and
# installs into it.
set -euo pipefail
python=$1 folder=$2
shift 2

if ! command -v "$python" >/dev/null; then
  echo "memlens needs Python 3.10 or newer, and '$python' is not there (make PYTHON=… names another)" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
  echo "memlens needs Python 3.10 or newer; '$python' is $("$python" --version) (make PYTHON=… names another)" >&2
  exit 1
fi
if [ ! -x "$folder/bin/python" ]; then
  echo "Making the virtual environment $folder"
  "$python" -m venv "$folder" || {
    rm -rf "$folder"
    echo "the venv module does not work: on Debian and Ubuntu, install the package python3-venv" >&2
    exit 1
  }
fi
echo "Installing into $folder (a minute at most)"
# pip lists every extra package index it looks at as a warning; only errors are news here.
"$folder/bin/python" -m pip install --quiet --quiet --disable-pip-version-check "$@"
