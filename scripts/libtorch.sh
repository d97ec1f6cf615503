#!/usr/bin/env bash
# Provides libtorch 2.11, which tch 0.24 needs. Uses $LIBTORCH if it is set; else makes .libtorch a link to the torch of
# the current python3, or to a private copy (1.2 GB, CPU only) in .venv/libtorch, which it downloads.
# On a machine with a CUDA GPU, run `pip install torch==2.11.0` first: that torch, with CUDA, is then used.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
WANTED=2.11

version() { # prints the version of the libtorch in $1, or nothing
    if [ -f "$1/version.py" ]; then
        sed -n "s/^__version__ = '\([^']*\)'/\1/p" "$1/version.py"
    elif [ -f "$1/build-version" ]; then
        cat "$1/build-version"
    fi
}

fits() { [ -e "$1/lib/libtorch_cpu.so" ] && [[ "$(version "$1")" == "$WANTED".* ]]; }

if [ -n "${LIBTORCH:-}" ]; then
    fits "$LIBTORCH" || { echo "libtorch $WANTED is needed, \$LIBTORCH is '$(version "$LIBTORCH")'" >&2; exit 1; }
    exit 0
fi
fits .libtorch && exit 0

theirs=$("$PYTHON" -I -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")')
if [ -z "$theirs" ] || ! fits "$theirs"; then
    echo "downloading libtorch $WANTED into .venv/libtorch" >&2
    "$PYTHON" -m venv .venv/libtorch
    # Not all of CUDA (4 GB): libtorch_cpu opens only these two of its libraries.
    .venv/libtorch/bin/pip install --quiet --disable-pip-version-check --no-deps torch==2.11.0
    .venv/libtorch/bin/pip install --quiet --disable-pip-version-check 'cuda-toolkit[cudart,cupti]==13.0.2'
    theirs=$(echo .venv/libtorch/lib/python3*/site-packages/torch)
    fits "$theirs" || { echo "the download is not libtorch $WANTED: $theirs" >&2; exit 1; }
fi
ln -sfn "$theirs" .libtorch
