"""Fetches runs of Weights & Biases with the installed package `wandb`, into files that `entropy-viz` reads.

    paths = entropy_viz.wandb.pull("entity/project", filters={"state": "finished"})
    entropy_viz.plot(paths)

`wandb` is imported at the call.
"""

from __future__ import annotations

import inspect
import json
import os
from typing import Any

from ._files import whole_file
from ._recorder import directory_name


def pull(
    path: str,
    *,
    directory: str | os.PathLike[str] = "wandb-runs",
    keys: list[str] | None = None,
    filters: dict[str, Any] | None = None,
    api: Any = None,
) -> list[str]:
    """Writes the history of each run to `directory/NAME-ID.jsonl` and returns these paths, in the order of the project.

    `path`: `entity/project/run_id` for one run, or `entity/project` for all runs, or those that match `filters` (as for
    `wandb.Api().runs`). `keys`: the metrics to fetch, of which every row needs all; by default every row, with all its
    numbers, unsampled. `api`: a `wandb.Api`, such as one for another host.

    Raises `ImportError` without `wandb`, `ValueError` for a path of another form and for no runs, and what `wandb`
    raises: `wandb.errors.CommError` if it cannot reach the server. Files are written completely or not at all.
    """
    parts = path.strip("/").split("/")
    if len(parts) not in (2, 3):
        raise ValueError(f"{path!r} is neither entity/project nor entity/project/run_id")
    if len(parts) == 3 and filters is not None:
        raise ValueError(f"filters choose among the runs of a project, but {path!r} is one run")
    if api is None:
        import wandb

        api = wandb.Api()
    runs = [api.run(path)] if len(parts) == 3 else list(api.runs(path, filters=filters))
    if not runs:
        raise ValueError(f"{path} has no runs" + (f" that match {filters}" if filters else ""))
    os.makedirs(directory, exist_ok=True)
    return [_write(run, os.fspath(directory), keys) for run in runs]


def _write(run: Any, directory: str, keys: list[str] | None) -> str:
    options: dict[str, Any] = {} if keys is None else {"keys": ["_step", *keys]}
    if "use_cache" in inspect.signature(run.scan_history).parameters:
        options["use_cache"] = False  # a cached history may lack the latest rows of a run that is still going
    rows = run.scan_history(**options)
    path = os.path.join(directory, directory_name(f"{run.name}-{run.id}") + ".jsonl")
    count = 0
    with whole_file(path) as file:
        for row in rows:
            numbers = {key: _number(value) for key, value in row.items() if _is_number(value)}
            file.write(json.dumps(numbers) + "\n")
            count += 1
        if count == 0:
            raise ValueError(f"the run {run.name} ({run.id}) has no rows" + (f" with {', '.join(keys)}" if keys else ""))
    return path


def _is_number(value: object) -> bool:
    # The server sends values that are not finite as these texts.
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or value in ("NaN", "Infinity", "-Infinity")


def _number(value: Any) -> int | float:
    return float(value.replace("Infinity", "inf")) if isinstance(value, str) else value
