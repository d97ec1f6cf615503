"""The logger `entropy_viz` of verl: `trainer.logger='["console","entropy_viz"]'`.

`entropy_viz.verl_plugin`, which verl imports by itself, calls `register`. This adds the backend to verl's class `Tracking`;
nothing else changes unless the backend is chosen.

The history is `MODELS/EXPERIMENT/entropy_history_EXPERIMENT.json`, with `trainer.experiment_name` as the name of the run.
With `$ENTROPY_VIZ_ROLLOUTS` set, rollouts are dumped too: see `_verl_rollouts`.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from ._recorder import Recorder, directory_name, say

BACKEND = "entropy_viz"


class VerlLogger:
    """What verl's `Tracking` calls for each step. Works on verl's own interface: `log(data, step)`, `finish()`."""

    def __init__(self, experiment_name: str, *, models: str | os.PathLike[str] | None = None, metric: str | None = None) -> None:
        # verl logs in its driver alone, whatever $RANK is there.
        self.recorder = Recorder(directory_name(experiment_name), models=models, metric=metric or os.environ.get("ENTROPY_VIZ_METRIC"), rank=0)

    def log(self, data: dict[str, Any], step: int) -> None:
        """Records the entropy of a row of metrics; rows without one, as those of validation, are ignored."""
        self.recorder.row(step, data)

    def finish(self) -> None:
        """Completes the file."""
        self.recorder.close()


def register() -> bool:
    """Adds the backend to verl's `Tracking`. Returns whether it is there; if not, stderr says why. May be called twice."""
    try:
        from verl.utils.tracking import Tracking
    except Exception as error:
        say(f"the logger {BACKEND} is not available in this verl: cannot import verl.utils.tracking.Tracking: {error!r}")
        return False
    backends = getattr(Tracking, "supported_backend", None)
    if not isinstance(backends, (list, tuple, set)):
        say(f"the logger {BACKEND} is not available in this verl: Tracking has no list supported_backend")
        return False
    if BACKEND in backends:
        return True
    Tracking.supported_backend = type(backends)([*backends, BACKEND])
    plain_init, plain_finish = Tracking.__init__, getattr(Tracking, "finish", None)

    @functools.wraps(plain_init)
    def init(self: Any, project_name: Any, experiment_name: Any, default_backend: Any = "console", *args: Any, **kwargs: Any) -> None:
        plain_init(self, project_name, experiment_name, default_backend, *args, **kwargs)
        names = [default_backend] if isinstance(default_backend, str) else default_backend
        if BACKEND in names:
            try:
                self.logger[BACKEND] = VerlLogger(str(experiment_name))
                _dump_rollouts()
            except Exception as error:
                say(f"{experiment_name} is not recorded: {error!r}")

    Tracking.__init__ = init
    if plain_finish is not None:

        @functools.wraps(plain_finish)
        def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
            ours = getattr(self, "logger", {}).get(BACKEND)
            if ours is not None:
                ours.finish()
            return plain_finish(self, *args, **kwargs)

        Tracking.finish = finish
    return True


def _dump_rollouts() -> None:
    directory = os.environ.get("ENTROPY_VIZ_ROLLOUTS")
    if directory:
        from ._verl_rollouts import install

        install(directory)
