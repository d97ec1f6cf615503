#!/usr/bin/env bash
# Checks the Python package in python/.
#   python.sh lint    format, ruff, and types by mypy --strict, with the tools in .venv/python-lint
#   python.sh quick   tests that need Python's standard library alone
#   python.sh test    all tests, in .venv/python: TRL, verl, Lightning, notebooks, and Triton's interpreter
#   python.sh measure compares the time and memory of entropy_from_logits with those of verl's and TRL's, on the CPU
# The tests use the program and the C library that cargo built; `quick` and `test` need target/debug, `measure` target/release.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
PINS=(ruff==0.17.6 mypy==2.4.1)

lint() {
    local venv=.venv/python-lint
    if [ "$(cat "$venv/pins" 2>/dev/null)" != "${PINS[*]}" ]; then
        rm -rf "$venv"
        "$PYTHON" -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "${PINS[@]}"
        echo "${PINS[*]}" >"$venv/pins"
    fi
    "$venv/bin/ruff" format --quiet --check
    "$venv/bin/ruff" check --quiet
    "$venv/bin/mypy"
}

built() { # PROFILE: exports the program and the library of a profile
    local library
    export ENTROPY_VIZ_PROGRAM=$PWD/target/$1/entropy-viz PYTHONPATH=$PWD/python
    [ -x "$ENTROPY_VIZ_PROGRAM" ] || { echo "target/$1/entropy-viz is not built" >&2; exit 1; }
    for library in target/"$1"/deps/libentropy_rows.{so,dylib} target/"$1"/libentropy_rows.{so,dylib}; do
        if [ -e "$library" ]; then export ENTROPY_VIZ_ROWS=$PWD/$library; fi
    done
}

unittests() { # PYTHON PATTERN
    "$1" -m unittest discover --start-directory tests/python --pattern "$2"
}

case ${1:-} in
lint) lint ;;
quick)
    built debug
    unittests "$PYTHON" 'test_[hr]*.py' # hooks, reading, recorder
    ;;
test)
    built debug
    [ -n "${ENTROPY_VIZ_ROWS:-}" ] || { echo "target/debug has no libentropy_rows" >&2; exit 1; }
    scripts/trl.sh .venv/python tests/python/requirements.txt
    TRITON_INTERPRET=1 unittests .venv/python/bin/python 'test_*.py'
    ;;
measure)
    built release
    scripts/trl.sh .venv/python tests/python/requirements.txt
    .venv/python/bin/python benches/entropy_from_logits.py
    ;;
*)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
