#!/usr/bin/env bash
# Holds the dependencies to deny.toml. Known vulnerabilities are looked up with --advisories, which fetches the
# advisory database; the rest needs no network. cargo-deny is installed below target/ when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/target/tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null; then
    nice cargo install cargo-deny --locked --version 0.20.2 --root target/tools
fi
cargo deny --locked check --hide-inclusion-graph licenses bans sources
if [ "${1:-}" = --advisories ]; then
    cargo deny --locked check advisories
else
    echo "known vulnerabilities were not looked up: scripts/audit.sh --advisories does, with a network" >&2
fi
