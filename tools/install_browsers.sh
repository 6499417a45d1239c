#!/bin/sh
# install_browsers.sh [chromium|firefox|webkit]… — make sure that these browsers run here (default: all of them).
# The tests find them as tests/conftest.py and tests/browsers.py do. Those of a browser that cannot be installed are
# skipped and say so; under CI that is an error.
set -eu
[ $# -gt 0 ] || set -- chromium firefox webkit

answers() {
    command -v "$1" >/dev/null && "$1" --version >/dev/null 2>&1
}

is_here() {
    case $1 in
        chromium)
            for name in "${TINYINFER_CHROMIUM:-chromium}" chromium-browser google-chrome google-chrome-stable; do
                ! answers "$name" || return 0
            done
            return 1 ;;
        firefox) answers firefox-esr || answers firefox ;;
        webkit) command -v xvfb-run && ls /usr/lib/*/webkit2gtk-4.*/MiniBrowser ;;
    esac
}

packages() {
    case $1 in
        chromium) echo chromium ;;
        firefox) echo firefox-esr ;;
        webkit) echo webkit2gtk-driver xvfb xauth ;; # WebKitGTK's library, which has a small browser, comes with its driver
        *) echo "install_browsers: '$1' is none of chromium, firefox, webkit" >&2; exit 2 ;;
    esac
}

missing=
for browser in "$@"; do
    wanted=$(packages "$browser")
    # shellcheck disable=SC2086
    if ! is_here "$browser" >/dev/null 2>&1 && ! "$(dirname "$0")/apt_install.sh" $wanted; then
        missing="$missing $browser"
    fi
done
if [ -n "$missing" ]; then
    echo "▸ not installed:$missing; the tests in those browsers will not run" >&2
    [ -z "${CI:-}" ]
fi
