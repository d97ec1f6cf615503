"""Groups of runs: intervals of P(a > b) and of a group's mean, and how often Welch's test rejects."""
from functools import partial
from math import erf

import numpy as np

from measures import Row, covers, share

TITLE = "Groups of runs"
TEXT = """Shares in %. Each call compares 20 groups of normal runs; ten of them are shifted by 1, 2 or 3 standard deviations. Pairs of
one call have groups in common, so the standard errors are those of the means of the calls. Welch rejects where p is below
0.05: an error at shift 0, the power at shift 3. Targets: P(a > b) covers at least 92 % with 4 to 10 runs; Welch rejects at
most 5.5 % at shift 0."""
GROUPS = 20
# Number of calls with shifts of 1, 2 and 3, by number of runs: more where a share is close to its target or to 50 %.
CALLS = {3: (40, 40, 180), 4: (60, 60, 150), 5: (50, 50, 60), 7: (40, 40, 40), 10: (100, 100, 100)}
OFFSET, SCALE = 5.0, 0.3
COVERAGE, REJECTION = (">=", 92.0), ("<=", 5.5)


def above(shift):
    """The true P(a > b) for normal runs with standard deviation 1: Φ(shift/√2)."""
    return 0.5 * (1 + erf(shift / 2))


def scenario(runs, backend, rng):
    """All shifts of groups of `runs` runs."""
    call, gap, covered, rejected, mean_covered = [], [], [], [], []
    for number, shift in enumerate(np.repeat([1, 2, 3], CALLS[runs])):
        shifts = np.where(np.arange(GROUPS) < GROUPS // 2, 0, shift)
        found = backend.groups(OFFSET + SCALE * (shifts[:, None] + rng.normal(size=(GROUPS, runs))))
        between = shifts[found.index[:, 0]] - shifts[found.index[:, 1]]
        truth = np.array([above(d) for d in between])
        call.append(np.full(len(between), number))
        gap.append(np.abs(between))
        covered.append((found.above.low <= truth) & (truth <= found.above.high))
        rejected.append(found.p < 0.05)
        mean_covered.append(covers(found.mean, OFFSET + SCALE * shifts))
    call, gap, covered, rejected = (np.concatenate(parts) for parts in (call, gap, covered, rejected))
    rows = []
    for shift in (0, 1, 2, 3):
        of_shift = gap == shift
        cluster = call[of_shift]
        measures = {
            "P(a > b) covers": share(covered[of_shift], COVERAGE if runs >= 4 else None, cluster),
        }
        if shift in (0, 3):
            measures["Welch rejects"] = share(rejected[of_shift], None if shift else REJECTION, cluster)
        if shift == 0:
            measures["group mean covers"] = share(np.concatenate(mean_covered))
        rows.append(Row(f"{runs} runs against {runs}, shift {shift}", int(of_shift.sum()), measures))
    return rows


SCENARIOS = [partial(scenario, runs) for runs in CALLS]
FAMILIES = [(TITLE, TEXT, SCENARIOS)]
