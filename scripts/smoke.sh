#!/usr/bin/env bash
# Installs the wheels, the archive, or all from directory $1 as a user does, in a temporary directory, and uses the
# program there. Only the wheel of the helper of `compute` needs a network: it is tried with the package torch.
set -euo pipefail
dist=$(cd "${1:?usage: smoke.sh DIST}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
fixtures=$here/../tests/fixtures
PYTHON=${PYTHON:-python3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

say() { echo "smoke: $*" >&2; }

use() { # PROGRAM PREFIX: runs the program; checks the manual pages and completions below the prefix
    local program=$1 prefix=$2
    mkdir -p work && cp "$fixtures"/models/qwen3-tiny_questioner_s1/*.json work/
    (
        cd work
        "$program" --version
        "$program" plot ./*.json -o curves.png
        "$program" stats ./*.json --json >stats.json
        [ "$(head -c 4 curves.png | tail -c 3)" = PNG ]
        "$PYTHON" -c 'import json; assert json.load(open("stats.json"))["runs"][0]["points"] > 10'
        # Without the helper, `compute` fails and says how to build it.
        if ENTROPY_VIZ_COMPUTE= PATH=/nowhere "$program" compute --model . --prompts none.jsonl 2>said; then exit 1; fi
        grep -q 'make compute' said
    )
    rm -r work
    grep -q '^\.TH entropy-viz' "$prefix/share/man/man1/entropy-viz-plot.1"
    bash -c "source '$prefix/share/bash-completion/completions/entropy-viz' && complete -p entropy-viz" >/dev/null
    grep -q '^#compdef entropy-viz' "$prefix/share/zsh/site-functions/_entropy-viz"
    grep -q 'complete -c entropy-viz' "$prefix/share/fish/vendor_completions.d/entropy-viz.fish"
}

tried=0
if [ -e "$dist/SHA256SUMS" ]; then
    (cd "$dist" && sha256sum --quiet --check SHA256SUMS)
    say "checksums match"
fi

at_most() { # MEGABYTES FILE…: fails if a file is larger
    local megabytes=$1 file
    for file in "${@:2}"; do
        [ "$(wc -c <"$file")" -lt $((megabytes * 1000000)) ] || { say "$file is larger than $megabytes MB"; exit 1; }
    done
}

if compgen -G "$dist/entropy_viz-*.whl" >/dev/null; then
    at_most 12 "$dist"/entropy_viz-*.whl
    "$PYTHON" -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check --no-index "$dist"/entropy_viz-*.whl
    use "$tmp/venv/bin/entropy-viz" venv
    mkdir package
    (cd package && ../venv/bin/python "$here/../tests/python/smoke.py" "$fixtures"/models/qwen3-tiny_questioner_s1/*.json)
    say "the wheel works"
    tried=1
fi

if compgen -G "$dist/entropy_viz_compute-*.whl" >/dev/null; then
    at_most 20 "$dist"/entropy_viz_compute-*.whl
    venv/bin/pip install --quiet --disable-pip-version-check --no-index --no-deps "$dist"/entropy_viz_compute-*.whl
    # Of torch's dependencies only those that libtorch opens on a CPU: all of CUDA would be 4 GB.
    venv/bin/pip install --quiet --disable-pip-version-check --no-deps torch==2.11.0
    venv/bin/pip install --quiet --disable-pip-version-check 'cuda-toolkit[cudart,cupti]==13.0.2'
    mkdir compute
    (cd compute && ../venv/bin/python -I "$here/../tests/python/smoke_compute.py" "$fixtures")
    say "the wheel of the helper works"
fi

if compgen -G "$dist/entropy-viz-*-*.tar.gz" >/dev/null; then
    mkdir archive && tar -xzf "$dist"/entropy-viz-*-*.tar.gz -C archive --strip-components 1
    use "$tmp/archive/bin/entropy-viz" archive
    for file in LICENSE README.md THIRD-PARTY-LICENSES docs/formats.md docs/images/curves.png; do
        [ -s "archive/$file" ]
    done
    "$PYTHON" -c 'import json, sys; assert len(json.load(open(sys.argv[1]))["components"]) > 100' archive/entropy-viz.cdx.json
    say "the archive works"
    tried=1
fi
[ "$tried" = 1 ] || { say "no wheel and no archive in $dist"; exit 1; }
