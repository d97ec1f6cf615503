#!/usr/bin/env bash
# Installs what lies in $1 (wheel, archive, or both) as a user does, in a clean folder without a network, and uses
# it there.
set -euo pipefail
dist=$(cd "${1:?usage: smoke.sh DIST}" && pwd)
fixtures=$(cd "$(dirname "$0")/../tests/fixtures" && pwd)
PYTHON=${PYTHON:-python3}
desk=$(mktemp -d)
trap 'rm -rf "$desk"' EXIT
cd "$desk"

say() { echo "smoke: $*" >&2; }

use() { # the program in $1, with what it brought below $2
    local program=$1 prefix=$2
    mkdir -p work && cp "$fixtures"/models/qwen3-tiny_questioner_s1/*.json work/
    (
        cd work
        "$program" --version
        "$program" plot ./*.json -o curves.png
        "$program" stats ./*.json --json >stats.json
        [ "$(head -c 4 curves.png | tail -c 3)" = PNG ]
        "$PYTHON" -c 'import json; assert json.load(open("stats.json"))["runs"][0]["points"] > 10'
        # The helper is not there, and that is said.
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
    say "checksums are right"
fi

if compgen -G "$dist/*.whl" >/dev/null; then
    "$PYTHON" -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check --no-index "$dist"/*.whl
    use "$desk/venv/bin/entropy-viz" venv
    say "the wheel is installed and used"
    tried=1
fi

if compgen -G "$dist/entropy-viz-*-*.tar.gz" >/dev/null; then
    mkdir archive && tar -xzf "$dist"/entropy-viz-*-*.tar.gz -C archive --strip-components 1
    use "$desk/archive/bin/entropy-viz" archive
    for file in LICENSE README.md THIRD-PARTY-LICENSES docs/formats.md docs/images/curves.png; do
        [ -s "archive/$file" ]
    done
    "$PYTHON" -c 'import json, sys; assert len(json.load(open(sys.argv[1]))["components"]) > 100' archive/entropy-viz.cdx.json
    say "the archive is unpacked and used"
    tried=1
fi
[ "$tried" = 1 ] || { say "there is neither a wheel nor an archive in $dist"; exit 1; }
