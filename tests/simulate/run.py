"""Simulates how often the intervals and the states of the program are right, and compares that with targets.

    python tests/simulate/run.py [PROGRAM] [--reference] [--seed N] [--only TEXT]

`make simulate` runs all of it on the program, in at most five minutes on two cores. Exits with 1 if a target is missed or if the
program disagrees with the reference.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the scenarios share the cores

import argparse
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import group_scenarios
import pair_scenarios
import state_scenarios
from measures import table
from program import Program, Reference

ROOT = Path(__file__).resolve().parent.parent.parent
FAMILIES = [*pair_scenarios.FAMILIES, *state_scenarios.FAMILIES, *group_scenarios.FAMILIES]
TOLERANCE = 1e-6  # of a distance between program and reference


def work(family, number, program, seed):
    """Runs one scenario; it has its own random numbers, whichever others run."""
    title, _, scenarios = FAMILIES[family]
    backend = Program(program) if program else Reference()
    rng = np.random.default_rng([seed, zlib.crc32(title.encode()), number])
    started = time.monotonic()
    rows = scenarios[number](backend, rng)
    rows = rows if isinstance(rows, list) else [rows]
    print(f"{time.monotonic() - started:6.1f} s  {title}: {rows[0].scenario}", file=sys.stderr, flush=True)
    return rows, getattr(backend, "disagreement", {}), getattr(backend, "judged", 0), getattr(backend, "differing", 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", type=Path, nargs="?", default=ROOT / "target/release/entropy-viz")
    parser.add_argument("--reference", action="store_true", help="measure the NumPy reference instead of the program")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--only", default="", help="only families whose title contains this, in any case")
    given = parser.parse_args()
    program = None if given.reference else given.program.resolve(strict=True)
    started = time.monotonic()

    chosen = [i for i, (title, _, _) in enumerate(FAMILIES) if given.only.lower() in title.lower()]
    if not chosen:
        parser.error(f"no family is called {given.only!r}: {', '.join(title for title, _, _ in FAMILIES)}")
    with ProcessPoolExecutor(max_workers=2) as pool:
        # The longest scenarios come last in their lists; started first, they do not leave one core idle at the end.
        tasks = {
            (family, number): pool.submit(work, family, number, program, given.seed)
            for family in chosen
            for number in reversed(range(len(FAMILIES[family][2])))
        }
        results = {key: task.result() for key, task in tasks.items()}

    measured = "the NumPy reference" if program is None else program.name
    print(f"Simulation of {measured}, seed {given.seed}; ± is the Monte-Carlo standard error.")
    missed = []
    for family in chosen:
        title, text, scenarios = FAMILIES[family]
        rows = [row for number in range(len(scenarios)) for row in results[family, number][0]]
        missed += [
            f"{title}, {row.scenario}, {heading}: {measure.text().strip('*')}, target {' '.join(map(str, measure.target))}"
            for row in rows
            for heading, measure in row.measures.items()
            if measure.missed()
        ]
        print(f"\n## {title}\n\n{text}\n\n{table(rows)}")
    if program is not None:
        missed += print_disagreement(results.values())
    print(f"\n{time.monotonic() - started:.0f} s. " + ("Missed:" if missed else "All targets are met."))
    for line in missed:
        print(f"- {line}")
    sys.exit(bool(missed))


def print_disagreement(results):
    """Prints the largest distances of the program from the reference on the same data; returns what is too far."""
    largest = {}
    for _, disagreement, _, _ in results:
        for what, distance in disagreement.items():
            largest[what] = max(largest.get(what, 0.0), distance)
    judged, differing = (sum(result[i] for result in results) for i in (2, 3))
    print("\n## Program and reference\n")
    print("Largest distance on the same data: of intervals in widths of the reference's interval, of start, level and slope as a")
    print(f"share of the start. The tolerance is {TOLERANCE:.0e}; `inf` means that only one of the two gives an interval.\n")
    print("| number | largest distance |\n| --- | ---: |")
    for what, distance in sorted(largest.items()):
        print(f"| {what} | {distance:.1e} |")
    print(f"| states: runs with another state or step | {differing:,} of {judged:,} |")
    far = [f"{what}: program and reference differ by {d:.1e}" for what, d in sorted(largest.items()) if d > TOLERANCE]
    return far + ([f"states: {differing:,} of {judged:,} runs differ from the reference"] if differing else [])


if __name__ == "__main__":
    main()
