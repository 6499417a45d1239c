#!/bin/sh
# install_chromium.sh — make sure that a Chromium runs here; the tests find it as tests/conftest.py does.
set -eu
for name in "${TINYINFER_CHROMIUM:-chromium}" chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null && "$name" --version >/dev/null 2>&1; then
        exit 0
    fi
done
exec "$(dirname "$0")/apt_install.sh" chromium
