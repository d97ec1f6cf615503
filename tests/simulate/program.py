"""Asks the program, as built, for what `reference` computes: many runs per call of `stats --json`."""
import json
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

import reference
from reference import Groups, Intervals, Pairs, States

DECIMALS = 9  # of the logged values; both sides see the rounded ones
POINTS_PER_CALL, RUNS_PER_CALL = 500_000, 200
MEMORY = "/dev/shm"  # a file system in memory, on Linux: creating 200,000 small files on a disk takes minutes


@lru_cache(maxsize=4)
def template(n):
    return "".join(f'{{"step":{step},"entropy":%.{DECIMALS}f}}\n' for step in range(n))


def runs_per_call(points):
    return max(1, min(RUNS_PER_CALL, POINTS_PER_CALL // points))


def column(rows, key):
    """The numbers under `key`; null is NaN."""
    for row in rows:
        if key not in row:
            raise KeyError(f"the JSON of the program has no {key!r} in {row}; is it built from these sources?")
    return np.array([np.nan if row[key] is None else row[key] for row in rows], float)


def intervals(rows, estimate="estimate"):
    return Intervals(*(column(rows, key) for key in (estimate, "low", "high")))


class Reference:
    """Answers without the program."""

    pairs, groups, states = (staticmethod(f) for f in (reference.pairs, reference.groups, reference.states))


class Program:
    """Answers by the program. `disagreement` collects the largest distances from the reference."""

    def __init__(self, path):
        self.path = path
        self.disagreement = {}
        self.judged, self.differing = 0, 0  # states

    def call(self, files, *options):
        """Runs `stats` over `files`, a list of (label, values), and returns its JSON."""
        with tempfile.TemporaryDirectory(prefix="simulate-", dir=MEMORY if os.path.isdir(MEMORY) else None) as tmp:
            for label, values in files:
                Path(tmp, f"{label}.jsonl").write_text(template(len(values)) % tuple(values))
            argv = [str(self.path), "stats", tmp, "--json", "--no-plot", *options]
            done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)} exited with {done.returncode}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def note(self, what, distance):
        """Keeps the largest distance; one that is not a number on one side only is infinite."""
        largest = float(np.max(np.nan_to_num(distance, nan=np.inf), initial=0.0))
        self.disagreement[what] = max(self.disagreement.get(what, 0.0), largest)

    def compare_intervals(self, what, ours, theirs, scale=None):
        """Distances are in widths of the reference's interval, or in units of `scale`."""
        with np.errstate(invalid="ignore"):
            scale = theirs.high - theirs.low if scale is None else scale
            self.note(f"{what}: estimate", np.where(np.isnan(scale), 0, np.abs(ours.estimate - theirs.estimate) / scale))
            for end in ("low", "high"):
                x, y = getattr(ours, end), getattr(theirs, end)
                self.note(f"{what}: interval", np.where(np.isnan(x) & np.isnan(y), 0, np.abs(x - y) / scale))

    def pairs(self, a, b):
        """Compares each row of `a` with `b`, whose rows must all be the same."""
        a, b = np.round(a, DECIMALS), np.round(b, DECIMALS)
        if (b != b[0]).any():
            raise ValueError("a call has one baseline: the rows of b must be equal")
        rows = {"mean_difference": [], "late_difference": [], "area_ratio": []}
        batch = runs_per_call(a.shape[1])
        for first in range(0, len(a), batch):
            labels = [f"r{i:05}" for i in range(first, min(first + batch, len(a)))]
            files = [*zip(labels, a[first:]), ("baseline", b[0])]
            answer = self.call(files, "--baseline", "baseline")
            found = {(row["a"], row["statistic"]): row for row in answer["comparisons"] if row["b"] == "baseline"}
            for statistic, of_statistic in rows.items():
                of_statistic.extend(found[label, statistic] for label in labels)
        ours = Pairs(*(intervals(of_statistic) for of_statistic in rows.values()))
        theirs = reference.pairs(a, b)
        for name in ("mean", "late", "ratio"):
            self.compare_intervals(f"pairs, {name}", getattr(ours, name), getattr(theirs, name))
        return ours

    def states(self, values, judge_slope=True):
        values = [np.round(row, DECIMALS) for row in values]
        runs = []
        batch = runs_per_call(max(map(len, values)))
        for first in range(0, len(values), batch):
            files = [(f"r{i:05}", row) for i, row in enumerate(values[first : first + batch], first)]
            found = {run["label"]: run for run in self.call(files)["runs"]}
            runs.extend(found[label] for label, _ in files)
        steps = np.nan_to_num(column(runs, "state_step"), nan=-1.0).astype(int)
        state = np.array([run["state"] for run in runs], object)
        ours = States(state, steps, *(column(runs, key) for key in ("start", "level", "slope")))
        self.compare_states(ours, values, judge_slope)
        return ours

    def compare_states(self, ours, values, judge_slope):
        theirs = reference.states(values, judge_slope)
        state = ours.state if judge_slope else np.where(ours.state == "falling", "healthy", ours.state)
        differs = (state != theirs.state) | (ours.state_step != theirs.state_step)
        self.differing += int(differs.sum())
        self.judged += len(values)
        for name in ("start", "level", *(["slope"] if judge_slope else [])):
            self.note(f"states: {name}", np.abs(getattr(ours, name) - getattr(theirs, name)) / theirs.start)

    def groups(self, values):
        # Two steps per run, whose mean is the value of the run.
        values = np.round(values, DECIMALS)
        runs = values.shape[1]
        files = [
            (f"g{group:02}_r{run}", (values[group, run] - 0.001, values[group, run] + 0.001))
            for group in range(len(values))
            for run in range(runs)
        ]
        answer = self.call(files, "--group", r"(g\d+)_")
        theirs = reference.groups(values)
        found = {(row["a"], row["b"], row["statistic"]): row for row in answer["comparisons"]}
        of_statistic = lambda name: [found[f"g{a:02}", f"g{b:02}", name] for a, b in theirs.index]
        p = column(of_statistic("mean_difference"), "p")
        by_name = {group["name"]: group for group in answer["groups"]}
        mean = intervals([by_name[f"g{group:02}"] for group in range(len(values))], "mean")
        ours = Groups(theirs.index, p, intervals(of_statistic("probability_of_improvement")), mean)
        self.note("groups: p of Welch", np.abs(p - theirs.p))
        self.compare_intervals("groups: P(a > b)", ours.above, theirs.above, scale=1.0)
        self.compare_intervals("groups: mean", ours.mean, theirs.mean)
        return ours
