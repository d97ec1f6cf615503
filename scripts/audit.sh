#!/usr/bin/env bash
# Checks the dependencies of all crates against deny.toml. --advisories also looks up known vulnerabilities, which
# downloads the advisory database; the rest needs no network. Installs cargo-deny into target/tools if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/target/tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null; then
    nice cargo install cargo-deny --locked --version 0.20.2 --root target/tools
fi
cargo deny --locked --workspace check --hide-inclusion-graph licenses bans sources
if [ "${1:-}" = --advisories ]; then
    cargo deny --locked --workspace check advisories
else
    echo "known vulnerabilities were not checked: run scripts/audit.sh --advisories with a network" >&2
fi
