#!/usr/bin/env bash
# Runs code that is unsafe for speed under AddressSanitizer, on Linux with gcc:
#   - the tests of entropy-kernels (token entropy, matrix products) and of entropy-rows, its C library
#   - a C program that calls that library, which is linked with the sanitizer of the Rust compiler
#   - a Python program that loads that library, with the sanitizer of gcc loaded before Python
# Only the Python program needs torch; scripts/trl.sh makes its environment.
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
host=$(rustc -vV | sed -n 's/^host: //p')
built=target/sanitize/$host/debug
rows=crates/entropy-rows

# The stable compiler contains the sanitizer; RUSTC_BOOTSTRAP allows enabling it there. --target: build scripts and macros
# are built without it. A separate target directory keeps caches apart.
sanitized() {
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" "$CARGO" "$@" --locked --target-dir target/sanitize --target "$host"
}
sanitized test --lib --package entropy-kernels --package entropy-rows
sanitized build --package entropy-rows

# The static library calls the sanitizer's run-time library, which only Rust programs get by themselves.
runtime=$(rustc --print sysroot)/lib/rustlib/$host/lib/librustc-stable_rt.asan.a
gcc -std=c99 -g -fsanitize=address -c -I "$rows/include" "$rows/tests/rows.c" -o "$built/rows.o"
gcc "$built/rows.o" "$built/libentropy_rows.a" -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive \
    -lm -lpthread -ldl -o "$built/rows"
"$built/rows"

# Python itself leaks memory when it ends.
scripts/trl.sh .venv/trl
LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=1 \
    .venv/trl/bin/python "$rows/tests/rows.py" docs/library.md "$built/libentropy_rows.so" | tail -n 1
