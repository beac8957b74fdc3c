#!/usr/bin/env bash
# Makes sure that what the end-to-end tests need from the system is there: installs it where it may
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
)
missing=()
for need in "${needs[@]}"; do
  what=${need%%:*}
  case "$what" in
    /*) [ -e "$what" ] || missing+=("${need##*:}") ;;
    *) command -v "$what" >/dev/null || missing+=("${need##*:}") ;;
  esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing system packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "The editor tests need these packages (their names on Debian): ${missing[*]}" >&2
  echo "Install them, or run only 'make test-python test-extension'." >&2
  exit 1
fi
