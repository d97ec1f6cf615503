#!/usr/bin/env bash
# Fuzzes the log readers, FUZZ_SECONDS per target (default 20):
#   scripts/fuzz.sh [TARGET…]
# The fixtures are the seeds. A failing input is kept in fuzz/artifacts; its path is printed and the exit code is 1.
#
# Stable Rust is enough: coverage needs only -C flags; only sanitizers need nightly. No sanitizer is used, because
# the readers have no unsafe code, overflow and memory use are checked without one (overflow-checks, debug
# assertions, fuzz/src/limit.rs), and AddressSanitizer would halve the speed.
set -euo pipefail
cd "$(dirname "$0")/.."
fixtures=tests/fixtures

export PATH="$PWD/target/tools/bin:$PATH"
if ! command -v cargo-fuzz > /dev/null; then
    nice cargo install cargo-fuzz --locked --version 0.13.2 --root target/tools
fi
options=(--sanitizer none --target-dir target/fuzz)
nice cargo fuzz build "${options[@]}"

seed() { # TARGET PATH…: copies the first 64 KiB of each file below the paths into the target's corpus
    local target=$1 file
    shift
    mkdir -p "fuzz/corpus/$target"
    while IFS= read -r -d '' file; do
        head -c 65536 "$file" > "fuzz/corpus/$target/seed-$(printf %s "$file" | cksum | cut -d' ' -f1)"
    done < <(for path; do [ ! -e "$path" ] || find "$path" -type f -size -4096k -print0; done)
}

texts=("$fixtures"/{models,verl,easyr1,jsonl,trainer_state,tensorboard-json} "$fixtures"/awkward/*.json*)
seed json "${texts[@]}"
seed csv "$fixtures/csv" "$fixtures"/awkward/*.csv
seed console "$fixtures"/*-console "$fixtures"/{console,csv,cases}
seed tensorboard "$fixtures/tensorboard" "$fixtures"/awkward/tensorboard*
seed wandb "$fixtures/wandb" "$fixtures"/awkward/wandb*
seed swanlab "$fixtures/swanlab"
seed backends "$fixtures"/{clearml,miles,tensorboardx}
seed parquet "$fixtures/parquet"
seed tokens "$fixtures/tokens"
seed pickle "$fixtures"/shards/{torch-2.6,torch-2.11,dcp-2/.metadata}
seed packed "$fixtures"/awkward/*.json*
for file in "$fixtures"/awkward/*.jsonl; do
    gzip -nc "$file" > "fuzz/corpus/packed/seed-$(basename "$file").gz"
done

[ $# -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
[ $# -eq 0 ] || targets=("$@")
found=()
for target in "${targets[@]}"; do
    longest=65536
    [ "$target" != packed ] || longest=4096 # a few bytes can unpack to megabytes
    log=target/fuzz/$target.log
    mkdir -p "fuzz/corpus/$target"
    if nice cargo fuzz run "${options[@]}" "$target" -- -max_total_time="${FUZZ_SECONDS:-20}" -timeout=20 \
        -rss_limit_mb=1024 -max_len=$longest -print_final_stats=1 > "$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
        echo "$target: no failure in $runs runs ($rate per second)"
    else
        grep -m 1 -A 2 -e 'panicked at' -e 'BUG:' -e 'ERROR: libFuzzer' "$log" | cut -c -300 >&2 || true
        found+=("$target: $(sed -n "s/.*Test unit written to //p" "$log" | tail -n 1)")
    fi
done
if [ ${#found[@]} -gt 0 ]; then
    printf 'failure in %s\n' "${found[@]}" >&2
    exit 1
fi
