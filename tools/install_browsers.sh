#!/bin/sh
# install_chromium.sh — make sure that a Chromium runs here; the tests find it as tests/conftest.py does.
# Where none can be installed, the browser tests are skipped and say so; under CI that is an error.
set -eu
for name in "${TINYINFER_CHROMIUM:-chromium}" chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null && "$name" --version >/dev/null 2>&1; then
        exit 0
    fi
done
if ! "$(dirname "$0")/apt_install.sh" chromium; then
    echo "▸ no Chromium could be installed: the browser tests will not run" >&2
    [ -z "${CI:-}" ]
fi
