"""Compares the speed and memory of entropy-viz with the matplotlib script that it replaces.

The claims on speed and memory in the README are goals; this prints what a machine makes of them. Both programs
draw the same two pictures (curves and statistics, 14x7 inches, 300 dpi) from the same files, alternately, so that
whatever else the machine does meets both. One difference in the work is left, in the case of 100 runs: entropy-viz
keeps bars and legend readable by showing the runs with the largest spread there, matplotlib_plot.py shows all (both
draw every curve); the report says so. A report, not a test: a missed goal does not change the exit status,
only a program that fails does. Linux only; the virtual environment needs a network once.

    python3 benches/run.py target/release/entropy-viz [--runs N] [--only NAME]
"""
import argparse
import os
import platform
import random
import struct
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

# This process imports nothing large (even json only in child processes): a child's reported peak RSS is never below that of
# its parent.

REPO = Path(__file__).resolve().parent.parent
VENV = REPO / ".venv" / "bench"
PINS = {"matplotlib": "3.11.2", "numpy": "2.4.6"}
MIB = 1024  # ru_maxrss counts KiB

# name: runs, points per run, goal for the speed ratio, goal for the peak in MiB
CASES = {
    "2x100": (2, 100, 25, 90),
    "10x1000": (10, 1_000, 25, None),
    "100x10000": (100, 10_000, 40, None),
    "1x1000000": (1, 1_000_000, 60, 150),
}
PARSE_GOAL = 400  # MB of JSON per second, on one core
VERSION_GOAL = 5  # ms

PYTHON_STATS = """
import json, statistics, sys
with open(sys.argv[1]) as file:
    history = json.load(file)
entropy = [row["entropy"] for row in history]
top, bottom = max(history, key=lambda row: row["entropy"]), min(history, key=lambda row: row["entropy"])
print(statistics.fmean(entropy), statistics.median(entropy), statistics.stdev(entropy), top, bottom)
"""


def run(argv, log, core=None):
    """Runs a command; returns its wall time in seconds and its peak RSS in MiB."""
    argv = [str(part) for part in argv]
    cores = os.sched_getaffinity(0)
    to_log = [(os.POSIX_SPAWN_OPEN, fd, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for fd in (1, 2)]
    Path(log).write_bytes(b"")
    if core is not None:
        os.sched_setaffinity(0, {core})  # the child inherits it
    try:
        start = time.perf_counter()
        child = os.posix_spawn(argv[0], argv, os.environ, file_actions=to_log)
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - start
    finally:
        os.sched_setaffinity(0, cores)
    if status != 0:
        sys.exit(f"failed with {os.waitstatus_to_exitcode(status)}: {' '.join(argv)[:200]}\n{Path(log).read_text()}")
    return wall, usage.ru_maxrss / MIB


def prepare_venv(log, venv, pins):
    """Returns the Python of a virtual environment with these packages (names to versions), which is made if it is not there."""
    python = venv / "bin" / "python"
    check = "import importlib.metadata as m, sys; sys.exit(any(m.version(n) != v for n, v in %r))" % [*pins.items()]
    try:
        run([python, "-c", check], log)
    except (FileNotFoundError, SystemExit):
        print(f"making {venv.relative_to(REPO)} ...", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", venv], log)
        run([python, "-m", "pip", "install", *(f"{name}=={version}" for name, version in pins.items())], log)
    return python


def write_histories(directory, runs, points):
    """Writes histories in R-Zero's format: a decaying entropy with noise. Runs in a child process."""
    import json

    directory.mkdir()
    for number in range(runs):
        rng = random.Random(f"{runs}x{points}/{number}")
        start, end, pace = rng.uniform(1.5, 3), rng.uniform(0.05, 0.6), points * rng.uniform(0.1, 0.5)
        history = []
        for step in range(1, points + 1):
            level = end + (start - end) * 2 ** (-step / pace)
            history.append({"step": step, "entropy": level * rng.uniform(0.8, 1.2)})
        with open(directory / f"run_{number:03}.json", "w") as file:
            json.dump(history, file, indent=2)


def generate(directory, runs, points):
    """The histories of a case, written when missing by a fork, which keeps this process small."""
    if not directory.exists():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                write_histories(directory, runs, points)
                status = 0
            finally:
                os._exit(status)
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(f"could not write {directory}")
    return sorted(directory.iterdir())


def png_size(path):
    with open(path, "rb") as file:
        return struct.unpack(">II", file.read(24)[16:])


def verdict(met):
    return "met" if met else "missed"


def compare(name, binary, python, pairs, work):
    """A row of the first table: pairs of runs, A B A B ..., after one warm-up each."""
    runs, points, times_goal, peak_goal = CASES[name]
    files = generate(work / name, runs, points)
    log, size = work / "log", (14 * 300, 7 * 300)

    def a():
        options = ["--with-stats", "--size", "14x7", "--dpi", "300", "-o", work / "a.png"]
        return run([binary, "plot", *options, *files], log)

    def b():
        return run([python, REPO / "benches" / "matplotlib_plot.py", *files, "-o", work / "b.png"], log)

    repeats = max(1, min(9, int(0.5 / a()[0])))  # a fast A is run several times in each pair
    b()
    for picture in "a.png", "a_stats.png", "b.png", "b_stats.png":
        if png_size(work / picture) != size:
            sys.exit(f"{name}: {picture} has not {size} pixels")

    ours, theirs, ratios = [], [], []
    for pair in range(pairs):
        print(f"\r{name}: pair {pair + 1} of {pairs} ", end="", file=sys.stderr, flush=True)
        batch = [a() for _ in range(repeats)]
        ours += batch
        theirs.append(b())
        ratios.append(theirs[-1][0] / median(wall for wall, _ in batch))
    print(file=sys.stderr)

    peak = max(peak for _, peak in ours)
    goal = f"{times_goal} times: {verdict(median(ratios) >= times_goal)}"
    if peak_goal:
        goal += f"; under {peak_goal} MiB: {verdict(peak < peak_goal)}"
    return (
        f"| {runs} x {points:,} "
        f"| {median(wall for wall, _ in theirs):.2f} s, {max(peak for _, peak in theirs):.0f} MiB "
        f"| {median(wall for wall, _ in ours) * 1000:.0f} ms, {peak:.0f} MiB "
        f"| {median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) | {goal} |"
    )


def single_commands(binary, pairs, work):
    """The second table: statistics of one large file on one core, and the start-up time."""
    log, core = work / "log", min(os.sched_getaffinity(0))
    [file] = generate(work / "1x1000000", *CASES["1x1000000"][:2])
    size = file.stat().st_size / 1e6
    ours, theirs = [], []
    for _ in range(pairs + 1):
        ours.append(run([binary, "stats", "--json", file], log, core)[0])
        theirs.append(run([sys.executable, "-c", PYTHON_STATS, file], log, core)[0])
    ours, theirs = median(ours[1:]), median(theirs[1:])  # the first runs were warm-ups
    start = median(run([binary, "--version"], log)[0] for _ in range(50)) * 1000
    return [
        f"| `stats --json`, {size:.0f} MB of JSON, one core | {size / ours:.0f} MB/s ({ours * 1000:.0f} ms) "
        f"| {size / theirs:.0f} MB/s ({theirs:.2f} s): 1/{theirs / ours:.0f} "
        f"| {PARSE_GOAL} MB/s: {verdict(size / ours >= PARSE_GOAL)} |",
        f"| `--version` | {start:.1f} ms | | under {VERSION_GOAL} ms: {verdict(start < VERSION_GOAL)} |",
    ]


def conditions(binary, log):
    model = "unknown CPU"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    run([binary, "--version"], log)
    versions = [Path(log).read_text().strip(), f"Python {platform.python_version()}", *map(" ".join, PINS.items())]
    return f"{model}, {len(os.sched_getaffinity(0))} cores; {', '.join(versions)}"


def main():
    parser = argparse.ArgumentParser(description="Measures entropy-viz against matplotlib_plot.py.")
    parser.add_argument("binary", type=Path, help="the entropy-viz to measure, a release build")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="pairs of runs a case (default: 7)")
    parser.add_argument("--only", choices=[*CASES, "commands"], metavar="NAME",
                        help=f"one part alone: {', '.join(CASES)} or commands")
    args = parser.parse_args()
    binary = args.binary.resolve()
    if not binary.is_file():
        parser.error(f"no such file: {args.binary}")
    if args.runs < 1:
        parser.error("--runs must be 1 or more")

    with tempfile.TemporaryDirectory(prefix="entropy-viz-bench-") as work:
        work = Path(work)
        if args.only != "commands":
            python = prepare_venv(work / "log", VENV, PINS)
        print(f"Conditions: {conditions(binary, work / 'log')}; {args.runs} pairs a case", flush=True)
        if args.only != "commands":
            print("\n| runs x points | matplotlib: median wall, peak | entropy-viz: median wall, peak "
                  "| times as fast: median of pairs (min–max) | goal |\n|---|---|---|---|---|", flush=True)
            for name in [args.only] if args.only else CASES:
                print(compare(name, binary, python, args.runs, work), flush=True)
            if args.only in (None, "100x10000"):
                print("\nOf 100 runs entropy-viz shows some in bars and legend, matplotlib all; both draw every curve.")
        if args.only in (None, "commands"):
            print("\n| command | entropy-viz | Python: json.load, statistics | goal |\n|---|---|---|---|")
            print(*single_commands(binary, args.runs, work), sep="\n")


if __name__ == "__main__":
    main()
