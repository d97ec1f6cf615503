"""A logger for Lightning: `Trainer(logger=[..., EntropyLogger("solver_v1")])`."""

from __future__ import annotations

import os
from typing import Any

try:
    from lightning.pytorch.loggers.logger import Logger
except ImportError:  # the older name of the package
    from pytorch_lightning.loggers.logger import Logger

from ._recorder import Recorder


class EntropyLogger(Logger):
    """Records the entropy among the logged metrics; see `entropy_viz.Recorder` for the arguments."""

    def __init__(self, run: str, *, models: str | os.PathLike[str] | None = None, metric: str | None = None) -> None:
        super().__init__()
        self.recorder = Recorder(run, models=models, metric=metric)

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.recorder.run

    @property
    def version(self) -> str:
        """Lightning asks for a version; a run has none."""
        return ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Records the entropy of a row; rows without a step or an entropy are ignored."""
        if step is not None:
            self.recorder.row(step, metrics)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """A history has no hyperparameters."""

    def finalize(self, status: str) -> None:
        """Completes the file."""
        self.recorder.close()
