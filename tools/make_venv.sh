#!/bin/sh
# make_venv.sh DIRECTORY [VERSION] — make a virtual environment, with the Python that find_python.sh chooses.
set -eu
here=$(dirname "$0")
if ! python=$("$here/find_python.sh" "${2:-}"); then
    # Debian's python3 comes without the venv module.
    "$here/apt_install.sh" python3-venv || true
    python=$("$here/find_python.sh" "${2:-}") || {
        echo "make_venv: found no Python ${2:-of at least 3.10} that can make virtual environments" >&2
        exit 1
    }
fi
echo "▸ $1: $("$python" -V)"
rm -rf "$1"
"$python" -m venv "$1"
