#!/bin/sh
# find_python.sh [VERSION] — print the path of a CPython that runs and can make virtual environments.
#
# Without VERSION: the first of python3, python3.13 … python3.10 that is at least 3.10.
# With VERSION (such as 3.10): exactly that version, also where only pyenv has it.
# Every candidate is run, because a name on PATH may be a shim with nothing behind it.
# Prints nothing and exits 1 when there is none.
set -u
wanted=${1:-}

suits() {
    "$1" - "$wanted" 2>/dev/null <<'PY'
import sys
import ensurepip, venv
wanted = sys.argv[1]
version = sys.version_info[:2]
ok = "%d.%d" % version == wanted if wanted else version >= (3, 10)
sys.exit(0 if ok and sys.implementation.name == "cpython" else 1)
PY
}

pyenv_root=${PYENV_ROOT:-$HOME/.pyenv}
if [ -n "$wanted" ]; then
    candidates="python$wanted python3 $pyenv_root/versions/$wanted.*/bin/python"
else
    candidates="python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3"
fi
for candidate in $candidates; do # unquoted: the pyenv pattern expands here
    if suits "$candidate"; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
exit 1
