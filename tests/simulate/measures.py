"""Measured shares and numbers with their Monte-Carlo standard errors and targets, and the tables that show them."""
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Measure:
    """`target` is None, or (">=" or "<=", bound). `error` is the standard error; NaN where none is given."""

    value: float
    error: float = np.nan
    target: tuple | None = None
    format: str = ".1f"

    def missed(self):
        if self.target is None:
            return False
        sign, bound = self.target
        return not (self.value >= bound if sign == ">=" else self.value <= bound)  # NaN misses

    def text(self):
        number = f"{self.value:{self.format}}" + ("" if np.isnan(self.error) else f" ±{self.error:.2f}")
        return f"**{number}**" if self.missed() else number


@dataclass
class Row:
    """One scenario: its columns by heading."""

    scenario: str
    trials: int
    measures: dict = field(default_factory=dict)


def share(hits, target=None, clusters=None):
    """The share of true values in per cent. Trials of one cluster depend on each other (pairs that have a group in common);
    the standard error is then that of the means of the clusters."""
    hits = np.asarray(hits, float)
    if len(hits) == 0:
        return Measure(np.nan, target=target)
    p = hits.mean()
    # One more trial of either kind, so that 0 or 100 % does not look exact.
    guess = (hits.sum() + 1) / (len(hits) + 2)
    error = np.sqrt(guess * (1 - guess) / len(hits))
    if clusters is not None:
        size = np.bincount(clusters)
        sums = np.bincount(clusters, hits)[size > 0]
        size = size[size > 0]
        error = np.sqrt(np.sum((sums - p * size) ** 2)) / len(hits)
    return Measure(100 * p, 100 * error, target)


def covers(intervals, truth):
    """Whether each interval that is given covers the truth."""
    given = ~np.isnan(intervals.low)
    truth = np.broadcast_to(truth, given.shape)[given]
    return (intervals.low[given] <= truth) & (truth <= intervals.high[given])


def table(rows):
    """A Markdown table. Missed targets are bold."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row.measures))
    lines = [["scenario", "trials", *headings, "target"]]
    lines.append(["---", *["---:"] * (len(headings) + 1), "---"])
    for row in rows:
        targets = [measure for measure in row.measures.values() if measure.target]
        missed = any(measure.missed() for measure in targets)
        verdict = "none" if not targets else "**missed**" if missed else "met"
        cells = [row.measures[heading].text() if heading in row.measures else "" for heading in headings]
        lines.append([row.scenario, f"{row.trials:,}", *cells, verdict])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
