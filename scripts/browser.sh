#!/usr/bin/env bash
# What the tests of the page of `report` look at it with: Chromium and its driver, and a virtual environment with
# selenium; nothing when they are there already. Installing Debian's chromium takes root.
set -euo pipefail
VENV=${1:?usage: browser.sh VENV}
PYTHON=${PYTHON:-python3}
PINS=(selenium==4.51.0)

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "the tests of the report page need chromium and chromedriver in PATH: apt-get install chromium chromium-driver" >&2
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
