#!/usr/bin/env bash
# Runs the tests of the helper's kernels (token entropy, products of few rows) under AddressSanitizer, without libtorch.
# The sanitizer comes with the stable compiler; that it may be switched on there is what RUSTC_BOOTSTRAP says.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
# A target of its own: build scripts and macros run without the sanitizer.
exec "${CARGO:-cargo}" test --locked --lib --manifest-path tests/sanitize/Cargo.toml --target-dir target/sanitize \
    --target "$(rustc -vV | sed -n 's/^host: //p')"
