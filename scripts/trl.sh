#!/usr/bin/env bash
# Creates the virtual environment $1 with TRL, which trains a tiny model on the CPU in the tests, and with what the lists
# of packages in the further arguments name. Does nothing if it exists with these versions.
#
# torch is not downloaded again: it is the one that libtorch.sh found or downloaded. That copy may lack the CUDA
# libraries (4 GB). `import torch` fails without them although it calls none, so empty stand-ins are made.
set -euo pipefail
VENV=${1:?usage: trl.sh VENV [LIST…]}
PYTHON=${PYTHON:-python3}
root=$(cd "$(dirname "$0")/.." && pwd)
pins=("$root/tests/trl/requirements.txt" "${@:2}")

cat "${pins[@]}" | cmp --quiet - "$VENV/pins" && exit 0

rm -rf "$VENV"
"$PYTHON" -m venv "$VENV"
# The lists are complete; resolving dependencies would pull in torch and CUDA.
"$VENV/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps "${pins[@]/#/--requirement=}"
packages=$(echo "$VENV"/lib/python3*/site-packages)

imports() { "$VENV/bin/python" -c 'import torch' 2>/dev/null; }

lend() { # makes the torch of .libtorch importable, with stand-ins for missing CUDA libraries
    local torch library
    torch=$(readlink -f "$root/.libtorch") && [ -e "$torch/__init__.py" ] || return 1
    dirname "$torch" >"$packages/torch.pth"
    imports && return
    mkdir "$VENV/lib/no-cuda"
    for library in "$torch"/lib/*.so; do
        readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(lib\(cu\|nccl\|nvshmem\).*\)\]/\1/p'
    done | sort -u | while read -r library; do
        gcc -shared -Wl,-soname,"$library" -x c /dev/null -o "$VENV/lib/no-cuda/$library"
    done
    # cudart and cupti, which libtorch_cpu calls, are part of the copy; the driver is loaded only when needed.
    rm -f "$VENV"/lib/no-cuda/lib{cuda,cudart,cupti}.so.*
    # Loaded before torch needs them. Symbols are resolved lazily, at a call, and none is ever called.
    cat >"$packages/sitecustomize.py" <<'PYTHON'
import ctypes, os, pathlib, sys
for library in pathlib.Path(sys.prefix, "lib", "no-cuda").iterdir():
    ctypes.CDLL(str(library))
sys.setdlopenflags(os.RTLD_LAZY)
PYTHON
    imports
}

if ! lend; then
    rm -f "$packages/torch.pth" "$packages/sitecustomize.py"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check torch==2.11.0
fi
cat "${pins[@]}" >"$VENV/pins"
