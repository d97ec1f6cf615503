"""Compares how fast `entropy-viz tokens` reads a token dump with pandas, and with pyarrow and NumPy.

A dump of two steps with 16 responses to each prompt is written once, in target/bench, as JSON lines and as Parquet. Each file is read
and analysed by `entropy-viz tokens --json`, alternately with a program of a few lines that computes the basic sums alone: the mean
entropy of each step, its 80 % quantile, and the mean covariance of log-prob and advantage. Both must find the same numbers. Times and
peaks are those of whole processes, start and imports included; user + system time tells more than wall time on a busy machine.

A report, not a test: a missed goal does not change the exit status, only a program that fails or another number does. Linux only; the
virtual environment needs a network once.

    python3 benches/tokens.py target/release/entropy-viz [--runs N] [--tokens N]
"""
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

# This process imports nothing large: a child's reported peak RSS is never below that of its parent.
from run import REPO, prepare_venv

VENV = REPO / ".venv" / "bench-tokens"
PINS = {"numpy": "2.4.6", "pandas": "3.1.1", "pyarrow": "26.0.1"}
DUMPS = REPO / "target" / "bench"
MIB = 1024
GOALS = {"jsonl": (4.0, 300), "parquet": (1.0, 300)}  # seconds on two cores, MiB

WRITE = r"""
import json, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
directory, tokens = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(0)
length, group = 1000, 16
rows = tokens // length
with open(directory + "/tokens.jsonl.part", "w") as file:
    writer = None
    for start in range(0, rows, 512):
        table = []
        for row in range(start, min(start + 512, rows)):
            entropies = np.round(rng.exponential(0.4, length) * (rng.random(length) < 0.5), 6)
            table.append({
                "step": 10 * (1 + 2 * row // rows), "prompt_id": row // group, "response_token_ids": rng.integers(0, 50000, length).tolist(),
                "entropies": entropies.tolist(), "log_probs": np.round(-rng.exponential(0.3, length), 6).tolist(),
                "reward": float(rng.random() < 0.5),
            })
            file.write(json.dumps(table[-1], separators=(",", ":")) + "\n")
        batch = pa.Table.from_pylist(table)
        writer = writer or pq.ParquetWriter(directory + "/tokens.parquet.part", batch.schema, compression="zstd")
        writer.write_table(batch)
    writer.close()
"""

SUMS = r"""
import json, sys
import numpy as np
if sys.argv[1].endswith(".parquet"):
    import pyarrow.parquet as pq
    table = pq.read_table(sys.argv[1])
    flat = lambda name: table[name].combine_chunks().flatten().to_numpy()
    column = lambda name: table[name].to_numpy()
    lengths = np.diff(table["entropies"].combine_chunks().offsets.to_numpy())
else:
    import pandas as pd
    table = pd.concat(pd.read_json(sys.argv[1], lines=True, chunksize=2000))
    flat = lambda name: np.concatenate(table[name].to_numpy())
    column = lambda name: table[name].to_numpy()
    lengths = table["entropies"].map(len).to_numpy()
steps, prompts, rewards = column("step"), column("prompt_id"), column("reward")
entropies, log_probs = flat("entropies"), flat("log_probs")
_, index = np.unique(np.stack([steps, prompts]), axis=1, return_inverse=True)
counts, sums = np.bincount(index), np.bincount(index, rewards)
mean = sums / counts
deviation = np.sqrt(np.bincount(index, (rewards - mean[index]) ** 2) / (counts - 1))
advantages = (rewards - mean[index]) / (deviation[index] + 1e-6)
of_token, advantage = np.repeat(steps, lengths), np.repeat(advantages, lengths)
for step in np.unique(steps):
    mine = of_token == step
    values, x, y = entropies[mine], log_probs[mine], advantage[mine]
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    print(json.dumps([int(step), values.mean(), np.percentile(values, 80), covariance]))
"""


def run(argv, out):
    """Runs a command with its output in a file; returns wall time and CPU time in seconds, and the peak in MiB."""
    argv = [str(part) for part in argv]
    to_file = [(os.POSIX_SPAWN_OPEN, 1, str(out), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
    start = time.perf_counter()
    child = os.posix_spawn(argv[0], argv, os.environ, file_actions=to_file)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed with {os.waitstatus_to_exitcode(status)}: {' '.join(argv)[:200]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MIB


def ours(text):
    """Mean, 80 % quantile and covariance of each step in a document of `tokens --json`."""
    for step in json.loads(text)["steps"]:
        entropy = step["entropy"]
        quantile = next(p["value"] for p in entropy["percentiles"] if p["percent"] == 80)
        yield [step["step"], entropy["mean"], quantile, step["covariance"]["mean"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=21_000_000)
    args = parser.parse_args()
    DUMPS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp) / "out"
        python = prepare_venv(out, VENV, PINS)
        done = DUMPS / f"tokens-{args.tokens}.done"
        if not done.exists():
            run([python, "-c", WRITE, DUMPS, args.tokens], out)
            for name in GOALS:
                os.replace(DUMPS / f"tokens.{name}.part", DUMPS / f"tokens.{name}")
            for old in DUMPS.glob("tokens-*.done"):
                old.unlink()
            done.touch()
        for name, (seconds, mib) in GOALS.items():
            file = DUMPS / f"tokens.{name}"
            times = {"entropy-viz": [], "pandas" if name == "jsonl" else "pyarrow": []}
            for _ in range(args.runs):
                for program, measured in times.items():
                    command = [args.program, "tokens", file, "--json", "-q"] if program == "entropy-viz" else [python, "-c", SUMS, file]
                    measured.append(run(command, out))
                    text = out.read_text(encoding="utf-8")
                    found = [*ours(text)] if program == "entropy-viz" else [json.loads(line) for line in text.splitlines()]
                    if program == "entropy-viz":
                        expected = found
                    for mine, theirs in zip(expected, found, strict=True):
                        if any(abs(a - b) > 1e-6 * max(1, abs(b)) for a, b in zip(mine, theirs, strict=True)):
                            sys.exit(f"{file.name}: {mine} and {theirs} of {program} differ")
            print(f"{file.name}, {args.tokens / 1e6:.1f} million tokens, {file.stat().st_size / 1e9:.2f} GB; goals {seconds} s, {mib} MiB")
            for program, measured in times.items():
                wall, cpu, peak = (median(column) for column in zip(*measured, strict=True))
                print(f"  {program}: {wall:.2f} s, {cpu:.2f} s of CPU, peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
