#!/usr/bin/env bash
# Creates the virtual environment $1 with TensorBoard, wandb and pyarrow, which read back what `convert` writes
# (tests/peers). Does nothing if it exists with these versions.
set -euo pipefail
VENV=${1:?usage: peers.sh VENV}
PYTHON=${PYTHON:-python3}
PINS=(
    tensorboard==2.21.0
    wandb==0.31.0
    pyarrow==26.0.1
    numpy==2.4.6
    protobuf==7.36.2
    setuptools==84.2.1
)

[ "$(cat "$VENV/pins" 2>/dev/null)" != "${PINS[*]}" ] || exit 0

rm -rf "$VENV"
"$PYTHON" -m venv "$VENV"
"$VENV/bin/pip" install --quiet --disable-pip-version-check "${PINS[@]}"
echo "${PINS[*]}" >"$VENV/pins"
