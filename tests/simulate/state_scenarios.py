"""States of single runs: collapses found and when, false alarms, and falling runs."""
from functools import partial

import numpy as np

import processes
from measures import Measure, Row, share

ALARM, POWER = ("<=", 2.0), (">=", 75.0)
COLLAPSED, ALWAYS = (">=", 98.0), (">=", 100.0)
RATIO = 0.25  # the collapse ratio
CLEAR = 0.20  # of the noise-free start: clearly below the collapse ratio
LATE = 12  # points
FALLING_TEXT = """Shares of runs in each state in %. Noise is multiplicative. Targets: at most 2 % of flat runs with white noise are falling; at least
75 % of lines from 1 to 0.4 are, at 120 and 400 points. Beyond 400 points only collapses and explosions are counted."""
COLLAPSE_TEXT = f"""Shares of runs in %, delays in points. Exponential: 0.05 + 0.95·e^(−t/τ), τ log-uniform from 5 points to a quarter of the run.
Sudden: from 1 to 0.05–0.2 at a random point with at least 12 points from it on. The delay counts from the first point
at which the curve without noise is clearly below the collapse ratio, at or under {100 * CLEAR:.0f} % of its first value; targets: at least
98 % are collapsed, and at most {LATE} points late. The columns on 25 % count from the ratio itself, without a target: the start of a
run is known only as well as five noisy points allow, and a slow curve needs many points for that difference. `same + 1 healthy`:
state and step stay when one healthy value is appended, to the whole run and to the run that is cut at `state_step`; `same when cut`:
they are those of that cut run. Targets: always."""


def flat(noise, phi, n, trials, backend, rng):
    values = processes.noisy(rng, np.ones(n), trials, noise, phi)
    # Up to 400 points the slope is judged, beyond only collapses and explosions.
    found = backend.states(values, judge_slope=n <= 400)
    measures = {state: share(found.state == state) for state in ("falling", "collapsed", "exploded")}
    if n > 400:
        del measures["falling"]
    elif phi == 0:
        measures["falling"].target = ALARM
    kind = f"AR(1) φ = {phi}" if phi else "white"
    return Row(f"flat, {kind} noise of {100 * noise:.0f} %, {n:,} points", trials, measures)


def line(noise, n, trials, backend, rng):
    values = processes.noisy(rng, np.linspace(1, 0.4, n), trials, noise)
    found = backend.states(values)
    measures = {"falling": share(found.state == "falling", POWER if n >= 120 else None)}
    measures["collapsed"] = share(found.state == "collapsed")
    measures["exploded"] = share(found.state == "exploded")
    return Row(f"line from 1 to 0.4, white noise of {100 * noise:.0f} %, {n:,} points", trials, measures)


def collapse(name, curves, noise, n, trials, backend, rng):
    curve = curves(rng, trials, n)
    values = processes.noisy(rng, curve, trials, noise)
    healthy = processes.noisy(rng, np.ones(1), trials, noise)
    found = backend.states(values, judge_slope=False)
    is_collapsed = found.state == "collapsed"
    step = found.state_step
    delay = lambda ratio: np.where(is_collapsed, step - (curve <= ratio * curve[:, :1]).argmax(axis=1), n)

    chosen = np.flatnonzero(is_collapsed)
    longer = backend.states(np.hstack([values, healthy])[chosen], judge_slope=False)
    cut = [values[i, : step[i] + 1] for i in chosen]
    stopped = backend.states(cut, judge_slope=False)
    resumed = backend.states([np.append(row, healthy[i]) for i, row in zip(chosen, cut)], judge_slope=False)
    same = lambda other: (other.state == "collapsed") & (other.state_step == step[chosen])
    measures = {
        "collapsed": share(is_collapsed, COLLAPSED),
        f"at most {LATE} late": share(delay(CLEAR) <= LATE, COLLAPSED),
        "median delay from 25 %": Measure(np.median(delay(RATIO)), format=".0f"),
        f"over {LATE} late from 25 %": share(delay(RATIO) > LATE),
        "same + 1 healthy": share(same(longer) & same(resumed), ALWAYS),
        "same when cut": share(same(stopped), ALWAYS),
    }
    return Row(f"{name}, noise of {100 * noise:.0f} %, {n:,} points", trials, measures)


NOISES = (0.06, 0.15)
FALLING = [
    *(partial(flat, noise, phi, n, 2000) for phi in (0, 0.5) for noise in NOISES for n in (20, 40, 80, 120, 200, 400)),
    *(partial(line, noise, n, 2500) for noise in NOISES for n in (40, 120, 400)),
]
COLLAPSES = [
    partial(collapse, name, curves, noise, n, trials)
    for name, curves, trials in (
        ("exponential", processes.exponential_collapses, 1700),
        ("sudden", processes.sudden_collapses, 500),
    )
    for noise in NOISES
    for n in (40, 100, 600, 1000, 5000)
]
LONG_FLAT = [partial(flat, noise, phi, n, 500) for phi in (0, 0.5) for noise in NOISES for n in (1000, 5000)]
FAMILIES = [
    ("Falling runs and false alarms", FALLING_TEXT, FALLING + LONG_FLAT),
    ("Collapses", COLLAPSE_TEXT, COLLAPSES),
]
