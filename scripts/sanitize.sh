#!/usr/bin/env bash
# Runs the tests of the kernels (token entropy, products of few rows) under AddressSanitizer, without libtorch.
# The sanitizer comes with the stable compiler; RUSTC_BOOTSTRAP allows switching it on there.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
# A target directory of its own: build scripts and macros run without the sanitizer.
exec "${CARGO:-cargo}" test --locked --lib --package entropy-kernels --target-dir target/sanitize \
    --target "$(rustc -vV | sed -n 's/^host: //p')"
