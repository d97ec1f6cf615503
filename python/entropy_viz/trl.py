"""A callback for TRL and all other trainers of Hugging Face's transformers.

    from entropy_viz.trl import EntropyCallback
    trainer = GRPOTrainer(..., callbacks=[EntropyCallback()])

Importing this module imports transformers.
"""

from __future__ import annotations

import os
from typing import Any

from transformers import TrainerCallback

from ._recorder import Recorder, directory_name, say


class EntropyCallback(TrainerCallback):
    """Records the entropy that a trainer logs, on the main process of a distributed training.

    `run` is the name of the run: by default the trainer's `run_name`, else the last part of its `output_dir`. `models` and
    `metric` are those of `entropy_viz.Recorder`. Recording ends with the training; a resumed training continues it.
    """

    def __init__(self, run: str | None = None, *, models: str | os.PathLike[str] | None = None, metric: str | None = None) -> None:
        self.run, self.models, self.metric = run, models, metric
        self.recorder: Recorder | None = None
        self.has_rows = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Called by the trainer with each row of metrics."""
        if not state.is_world_process_zero or not logs:
            return
        if self.recorder is None:
            run = self.run or run_name(args)
            self.recorder = Recorder(run, models=self.models, metric=self.metric, rank=0)
        self.has_rows = self.recorder.row(state.global_step, logs) or self.has_rows

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer at its end: completes the file."""
        if self.recorder is None:
            return
        # Another training with this callback, as in a search of hyperparameters, may have another name.
        recorder, self.recorder = self.recorder, None
        has_rows, self.has_rows = self.has_rows, False
        recorder.close()
        if not has_rows:
            named = f"{self.metric!r}" if self.metric else "an entropy"
            say(f"{recorder.run}: nothing is recorded, because the trainer logged no row with {named}")


def run_name(args: Any) -> str:
    """The name of a run from `TrainingArguments`, as one directory name."""
    name = getattr(args, "run_name", None)
    directory = getattr(args, "output_dir", None) or "."
    if not name or name == directory:  # transformers 4 used the directory as the name
        name = os.path.basename(os.path.abspath(directory))
    return directory_name(name)
