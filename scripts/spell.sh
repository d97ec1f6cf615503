#!/usr/bin/env bash
# Checks the spelling of all tracked text with typos; exceptions are in typos.toml. A wheel installs it in seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=.venv/spell
VERSION=1.52.0
if [ "$("$VENV/bin/typos" --version 2>/dev/null)" != "typos-cli $VERSION" ]; then
    "${PYTHON:-python3}" -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "typos==$VERSION"
fi
"$VENV/bin/typos"
