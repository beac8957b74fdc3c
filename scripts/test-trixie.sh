#!/usr/bin/env bash
# test-trixie.sh [TESTS…]: runs tests, those of the plugin and the store if none are named, in a
# Debian 13 ("trixie") of their own: limit_leaked_objects needs CPython 3.13.3, and it has 3.13.5. It
# also has a newer Neovim than Debian 12.
# Debian is unpacked once, into a folder beside the other caches; a run lives in mount and process
# namespaces of its own, so nothing of it stays behind.
# Needs Linux, root and debootstrap. Without them it says so, which is a failure only if CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${MEMLENS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memlens}"
root="$cache/trixie"
python=.venv/bin/python
wheels=build/trixie
packages=python3,python3-venv,ca-certificates,git,neovim

not_run() {
  echo "The tests of limit_leaked_objects were not run: $1"
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

in_namespaces() {
  unshare --mount --pid --fork --kill-child "$@"
}

# Runs a command in the chroot. The shell in between stays, as the init of its process namespace.
in_trixie() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  in_namespaces bash -euc '
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    mount -t tmpfs tmpfs "$0/tmp"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
      chroot "$0" sh -euc '\''cd /memlens && "$@"'\'' sh "$@"
  ' "$root" "$@"
}

# Prints the Debian mirror that this machine's apt uses, if it uses one.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    sed -nE 's#^(URIs:|deb( \[[^]]*\])?) *(https?://[^ ]+/debian)/?( .*)?$#\3#p' | sed 1q
}

[ "$(id -u)" = 0 ] || not_run "unpacking a Debian needs root"
in_namespaces true 2>/dev/null || not_run "this machine does not let root make namespaces (unshare)"
is_complete() {
  [ "$(cat "$root/.complete" 2>/dev/null)" = "$packages" ]
}

if ! is_complete && ! command -v debootstrap >/dev/null; then
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap; } \
    >/dev/null 2>&1 || not_run "debootstrap is not here and could not be installed"
fi

mkdir -p "$cache" "$wheels"
exec 9>"$cache/trixie.lock"
flock 9

if ! is_complete; then
  echo "Unpacking Debian 13 into $root (a minute at most)"
  rm -rf "$root"
  # Without a mirror, debootstrap has its own default.
  # shellcheck disable=SC2046 # no mirror, no argument
  in_namespaces debootstrap --variant=minbase --include="$packages" \
    trixie "$root" $(mirror) >"$wheels/debootstrap.log" 2>&1 9>&- ||
    { tail -n 20 "$wheels/debootstrap.log" && not_run "Debian 13 could not be unpacked"; }
  echo "$packages" >"$root/.complete"
fi

# pip runs out here, where it is set up for this machine's network; in there it only unpacks.
rm -f "$wheels"/pytest_memlens-*.whl
"$python" -m pip wheel --quiet --quiet --no-deps --wheel-dir "$wheels" .
wheel=$(echo "$wheels"/pytest_memlens-*.whl)
rm -rf "$root/memlens/project" "$root/memlens/wheels"
mkdir -p "$root/memlens/project/tests" "$root/memlens/wheels"
cp "$wheel" "$root/memlens/wheels"
cp -r pyproject.toml examples scripts docs "$root/memlens/project"
cp -r tests/conftest.py tests/plugin tests/store tests/clients "$root/memlens/project/tests"

if ! cmp -s pyproject.toml "$root/memlens/installed"; then
  rm -rf "$root/memlens/venv"
  platforms=(--platform any)
  for minor in $(seq 5 41); do # the versions of glibc that a wheel for this Debian may ask for
    platforms+=(--platform "manylinux_2_${minor}_$(uname -m)")
  done
  "$python" -m pip download --quiet --quiet --dest "$root/memlens/wheels" --only-binary :all: \
    --implementation cp --python-version 3.13 "${platforms[@]}" "$wheel[test]"
  in_trixie python3 -m venv venv
  in_trixie venv/bin/python -m pip install --quiet --no-index --find-links wheels 'pytest-memlens[test]'
  cp pyproject.toml "$root/memlens/installed"
else
  in_trixie venv/bin/python -m pip install --quiet --no-index --find-links wheels --no-deps \
    --force-reinstall pytest-memlens
fi

[ $# -gt 0 ] || set -- tests/plugin tests/store
# A test that hangs must not hold the lock, and so the next run, for ever.
in_trixie sh -euc 'cd project && ../venv/bin/python --version
  exec timeout 900 ../venv/bin/python -m pytest -q -p no:cacheprovider -n 2 "$@"' sh "$@"
