#!/usr/bin/env bash
# Installs what the browser tests need: Chromium and its driver, and the virtual environment $1 with selenium. Does
# nothing if they are installed. Installing Debian's chromium needs root.
set -euo pipefail
VENV=${1:?usage: browser.sh VENV}
PYTHON=${PYTHON:-python3}
PINS=(selenium==4.51.0)

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "the browser tests need chromium and chromedriver in PATH: apt-get install chromium chromium-driver" >&2
        exit 1
    fi
    echo "installing chromium" >&2
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
fi

[ "$(cat "$VENV/pins" 2>/dev/null)" != "${PINS[*]}" ] || exit 0

rm -rf "$VENV"
"$PYTHON" -m venv "$VENV"
"$VENV/bin/pip" install --quiet --disable-pip-version-check "${PINS[@]}"
echo "${PINS[*]}" >"$VENV/pins"
