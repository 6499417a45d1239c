#!/bin/sh
# apt_install.sh PACKAGE… — install Debian packages, through sudo where the user is not root.
set -eu
command -v apt-get >/dev/null || { echo "apt_install: no apt-get here; install $* by other means" >&2; exit 1; }
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "apt_install: root or sudo is needed to install $*" >&2; exit 1; }
    as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "▸ apt-get install $*"
if ! { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
