#!/usr/bin/env bash
# Makes sure that what the tests in browsers and editors need from the system is there: installs it where it may
# (root on Debian or Ubuntu), else says what is missing.
set -euo pipefail

# command or header to look for : Debian package
needs=(
  "chromium:chromium"
  "g++:g++"
  "pkg-config:pkg-config"
  "/usr/include/krb5.h:libkrb5-dev"
  "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core"
  "git:git"
  "nvim:neovim"
  "emacs:emacs-nox"
)
missing=()
for need in "${needs[@]}"; do
  what=${need%%:*}
  case "$what" in
    /*) [ -e "$what" ] || missing+=("${need##*:}") ;;
    *) command -v "$what" >/dev/null || missing+=("${need##*:}") ;;
  esac
done
# Part of Emacs from 29 on, a package before.
emacs --batch --eval "(progn (package-initialize) (require 'eglot))" >/dev/null 2>&1 ||
  missing+=(elpa-eglot)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing system packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  there=()
  for package in "${missing[@]}"; do
    if [ "$package" != elpa-eglot ] || apt-cache show elpa-eglot >/dev/null 2>&1; then
      there+=("$package")
    fi
  done
  apt-get install -y -qq --no-install-recommends "${there[@]}" >/dev/null
else
  echo "The editor tests need these packages (their names on Debian): ${missing[*]}" >&2
  echo "Install them, or run only 'make test-python test-extension'." >&2
  exit 1
fi
