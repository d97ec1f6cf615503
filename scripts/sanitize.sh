#!/usr/bin/env bash
# Runs the tests of entropy-kernels (token entropy, matrix products with few rows) under AddressSanitizer, without
# libtorch. The stable compiler contains the sanitizer; RUSTC_BOOTSTRAP allows enabling it there.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
# --target: build scripts and macros are built without the sanitizer. A separate target directory keeps caches apart.
exec "${CARGO:-cargo}" test --locked --lib --package entropy-kernels --target-dir target/sanitize \
    --target "$(rustc -vV | sed -n 's/^host: //p')"
