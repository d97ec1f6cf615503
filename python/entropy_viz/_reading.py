"""Reads logs of trainers through the program, so that Python and the command line have the same numbers."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Union

from ._program import EntropyVizError, flags, inputs, run

Path = Union[str, "os.PathLike[str]"]
Paths = Union[Path, Sequence[Path], Mapping[str, Path]]

FRAMES = ("auto", "pandas", "polars", "lists")


class Stats(dict):  # type: ignore[type-arg]
    """The document of `entropy-viz stats --json`, as a dictionary: `runs`, `comparisons`, `groups`, …

    A number that does not exist is `None`.
    """

    @property
    def runs(self) -> list[dict[str, Any]]:
        """One dictionary per run: label, state, mean, min, max, …"""
        runs: list[dict[str, Any]] = self["runs"]
        return runs

    def frame(self, frame: str = "auto") -> Any:
        """The plain values of the runs as a table; `frame` as for `read`."""
        plain = [{key: value for key, value in each.items() if not isinstance(value, (dict, list))} for each in self.runs]
        return as_frame({key: [each[key] for each in plain] for key in plain[0]}, frame)


class CheckResult:
    """What `check` found. True in a condition if no rule is broken."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return bool(self.document["passed"])

    @property
    def violations(self) -> list[dict[str, Any]]:
        """The broken rules: run, rule, step, value, bound, message."""
        return [each for each in self.document["checks"] if each["outcome"] == "violated"]

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        if self.passed:
            return f"<check passed: {len(self.document['checks'])} rules>"
        return "\n".join(["<check failed>", *(f"{each['run']}: {each['message']}" for each in self.violations)])


def read(paths: Paths, *, frame: str = "auto", **options: Any) -> Any:
    """The entropy curves of logs: a table with the columns run, step, metric, entropy (nats), sorted by run and step.

    `paths`: a file, directory or glob, several, or a dictionary of labels to paths. Everything that the command line
    reads is read, and repaired in the same way; each repair is an `EntropyVizWarning`.

    `frame`: "pandas", "polars", or "lists" (a dictionary of columns). "auto" takes the library that is imported, else
    the one that is installed (pandas before polars), else lists.

    `options` are flags of `entropy-viz convert`: `metric="actor/entropy"`, `labels=[…]`, `format="verl"`,
    `allow_partial=True`, …

    Raises `EntropyVizError` if a log cannot be read, and `ImportError` if a named library is missing.
    """
    _check_frame(frame)
    text, _ = run(["convert", "--to=csv", "--output=-", *flags(options), "--", *inputs(paths)])
    lines = csv.reader(io.StringIO(text.decode("utf-8"), newline=""))
    header = next(lines)
    if header != ["run", "step", "metric", "entropy"]:
        raise EntropyVizError(f"entropy-viz convert wrote the columns {header}; does the program fit this package?")
    runs, steps, metrics, entropies = [], [], [], []
    for name, step, metric, entropy in lines:
        runs.append(name)
        steps.append(step)
        metrics.append(metric)
        entropies.append(float(entropy))
    return as_frame({"run": runs, "step": _steps(steps), "metric": metrics, "entropy": entropies}, frame)


def stats(paths: Paths, **options: Any) -> Stats:
    """The statistics of runs: those of `entropy-viz stats --json`, whose flags are the `options`.

    Such as `stats("models", group="questioner|solver", metric="actor/entropy")`. Raises `EntropyVizError`.
    """
    text, _ = run(["stats", "--json", *flags(options), "--", *inputs(paths)])
    return Stats(json.loads(text))


def check(paths: Paths, **options: Any) -> CheckResult:
    """Whether a run collapsed, exploded, or broke a limit: `check("runs", min_entropy=0.3)`.

    `options` are flags of `entropy-viz check`. Raises `EntropyVizError` if it could not be checked; a broken rule is a
    result, not an error.
    """
    text, _ = run(["check", "--json", *flags(options), "--", *inputs(paths)], allowed=(0, 1))
    return CheckResult(json.loads(text))


def _steps(texts: list[str]) -> list[int] | list[float]:
    """Steps as whole numbers if all are."""
    try:
        return [int(text) for text in texts]
    except ValueError:
        return [float(text) for text in texts]


def _check_frame(frame: str) -> None:
    if frame not in FRAMES:
        raise ValueError(f"frame must be one of {', '.join(FRAMES)}, not {frame!r}")


def as_frame(columns: dict[str, Any], frame: str) -> Any:
    """Columns as a data frame of the wanted library; see `read`."""
    _check_frame(frame)
    if frame == "auto":
        libraries = ("pandas", "polars")
        imported = [name for name in libraries if name in sys.modules]
        installed = [name for name in libraries if importlib.util.find_spec(name) is not None]
        frame = (imported + installed + ["lists"])[0]
    return columns if frame == "lists" else importlib.import_module(frame).DataFrame(columns)
