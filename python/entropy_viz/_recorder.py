"""Records steps during training: `Recorder` for one run, `log` for a call without an object.

Nothing here raises into the training. What goes wrong is printed on stderr, once per cause, and the rows that were lost
are counted at the end.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import re
import sys
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ._pipe import RecorderLost, RecorderPipe

# Metrics of evaluations, by the words that the program knows too (entropy_name.rs), and coefficients of entropy losses.
NOT_TRAINING = re.compile(r"(eval|evaluation|val|valid|validation|dev|test|testing)([-_/.]|$)|.*coef", re.IGNORECASE)

_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()
_by_run: dict[tuple[str, str | None], Recorder] = {}
_by_run_lock = threading.RLock()


def say(message: str) -> None:
    """Prints a message on stderr; a closed stderr is ignored."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"entropy_viz: {message}", file=sys.stderr, flush=True)


def process_rank() -> int:
    """The rank of this process: that of torch.distributed if it is initialised, else `$RANK`, else 0."""
    distributed: Any = sys.modules.get("torch.distributed")
    try:
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            return int(distributed.get_rank())
        return int(os.environ.get("RANK", "0"))
    except (AttributeError, RuntimeError, ValueError):
        return 0


def models_directory(models: str | os.PathLike[str] | None) -> str:
    """The directory of models: the argument, else `$STORAGE_PATH/models`, else `models` in the current directory."""
    if models is not None:
        return os.fspath(models)
    storage = os.environ.get("STORAGE_PATH")
    return os.path.join(storage, "models") if storage else "models"


class Recorder:
    """Records the entropies of one run into `MODELS/RUN/entropy_history_RUN.json`, through `entropy-viz record`.

        with Recorder("solver_v1") as record:
            record(step, entropy)      # entropy in nats; a number, or a tensor or array of one element

    The file is valid JSON at all times. A run that is recorded again continues its file, and a step that is logged again
    replaces the old one. Only rank 0 records (`rank`, by default that of `process_rank`). A forked process does not
    share the recorder of its parent. Calls may come from several threads. No method raises; errors are on stderr.

    `models` is the directory of models: by default `$STORAGE_PATH/models`, or `models` in the current directory.
    `metric` is the key of the entropy in the rows of `row`; by default the best-known key of the first row with one.
    """

    def __init__(
        self,
        run: str,
        *,
        models: str | os.PathLike[str] | None = None,
        metric: str | None = None,
        rank: int | None = None,
    ) -> None:
        self.run = run
        self._models, self._metric, self._rank = models, metric, rank
        self._reset()
        _recorders.add(self)

    def _reset(self) -> None:
        # A signal handler may call while a call is under way.
        self._lock = threading.RLock()
        self._keys: set[str] | None = None if self._metric is None else {self._metric}
        self._pipe: RecorderPipe | None = None
        self._is_recording: bool | None = None  # not known before the first call
        self._is_lost = False
        self._lost_rows = 0
        self._has_complained = False

    def __getstate__(self) -> dict[str, Any]:
        """A pickled recorder, as that of a logger that is sent to another process, starts anew there."""
        return {name: self.__dict__[name] for name in ("run", "_models", "_metric", "_rank")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()
        _recorders.add(self)

    def __call__(self, step: int | float, entropy: Any) -> None:
        """Records the entropy of a step, in nats. NaN and infinities are recorded as null; they are gaps of the curve."""
        if not self._is_on_rank():
            return
        number = self._step(step)
        if number is None:
            return
        try:
            value = float(entropy)
        except Exception as error:  # what float() of a tensor may raise is not known
            self._complain(step, f"{_text(entropy)} is not a number ({_text(error)})")
            return
        self._send(f"{number!r} {value!r}\n".encode("ascii"))

    def row(self, step: int | float, values: Mapping[str, Any]) -> bool:
        """Records a row of metrics, of which the program takes the entropy.

        Rows without an entropy of the training are ignored: those of evaluations, and coefficients. All rows are
        recorded by the keys of the first one, so that a history never mixes two quantities. Returns whether the row had
        one, on the rank that records.
        """
        if not self._is_on_rank():
            return False
        try:
            keys = self._entropy_keys(values)
            if not keys:
                return False
            if self._keys is None:
                self._keys = keys
            if not self._keys <= keys:
                named, wanted = ", ".join(sorted(keys)), ", ".join(sorted(self._keys))
                self._complain(step, f"it has {named}, but the run is recorded by {wanted}; metric= chooses the key")
                return False
            number = self._step(step)
            if number is None:
                return False
            row = {key: float(values[key]) for key in sorted(self._keys)}
            line = json.dumps({"step": number, **row}).encode("utf-8") + b"\n"
        except Exception as error:
            self._complain(step, f"its metrics are not numbers ({_text(error)})")
            return False
        self._send(line)
        return True

    def _entropy_keys(self, values: Mapping[str, Any]) -> set[str]:
        if self._metric is not None:
            return {self._metric} & values.keys()
        return {key for key in values if "entropy" in key.lower() and not NOT_TRAINING.match(key)}

    def close(self) -> None:
        """Ends the recording and waits until the file is written; a later call starts it again."""
        with self._lock:
            pipe, self._pipe = self._pipe, None
            if pipe is not None:
                try:
                    pipe.close()
                except RecorderLost as error:
                    say(f"{self.run}: the last steps may be missing: {error}")
                except Exception as error:
                    say(f"{self.run}: cannot end the recording: {error!r}")
            lost, self._lost_rows = self._lost_rows, 0
        if lost:
            say(f"{self.run}: {lost} {'row was' if lost == 1 else 'rows were'} not recorded, see above")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _is_on_rank(self) -> bool:
        if self._is_recording is None:
            self._is_recording = (process_rank() if self._rank is None else self._rank) == 0
        return self._is_recording

    def _send(self, line: bytes) -> None:
        try:
            with self._lock:
                if self._is_lost:
                    self._lost_rows += 1
                    return
                if self._pipe is None:
                    self._pipe = self._open()
                self._pipe.send(line)
        except Exception as error:
            self._is_lost = True
            self._lost_rows += 1
            say(f"{self.run} is no longer recorded: {error}")

    def _open(self) -> RecorderPipe:
        from ._program import find_program

        models = models_directory(self._models)
        command = [find_program(), "record", f"--run={self.run}", f"--models={models}"]
        if self._metric is not None:
            command.append(f"--metric={_literal(self._metric)}")
        path = os.path.join(os.path.abspath(models), self.run, f"entropy_history_{self.run}.json")
        say(f"recording to {path}")
        return RecorderPipe(command, self._lock)

    def _step(self, step: int | float) -> int | float | None:
        """The step as a finite number; `None`, with a complaint, if it is none."""
        try:
            try:
                return step.__index__()  # type: ignore[union-attr]
            except AttributeError:
                value = float(step)
        except Exception as error:  # what float() of a tensor may raise is not known
            self._complain(step, f"the step is not a number ({_text(error)})")
            return None
        if not math.isfinite(value):
            self._complain(step, "the step is not a finite number")
            return None
        return value

    def _complain(self, step: object, why: str) -> None:
        """Counts a row that cannot be recorded, and reports the first one."""
        with self._lock:
            self._lost_rows += 1
            is_first, self._has_complained = not self._has_complained, True
        if is_first:
            say(f"{self.run}: step {_text(step)} is not recorded: {why}")

    def _after_fork(self) -> None:
        pipe = self._pipe
        self._reset()  # another thread may have held the lock
        if pipe is not None:
            pipe.forget()


def directory_name(name: str) -> str:
    """A name without slashes and control characters, so that it can be that of a directory."""
    plain = "".join("_" if c in "/\\" or not c.isprintable() else c for c in name)
    return plain if plain.strip(".") else "run"


def _text(value: object) -> str:
    """A short text of any value, even one whose `repr` fails."""
    try:
        text = str(value) if isinstance(value, Exception) else repr(value)
    except Exception:
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


def _literal(key: str) -> str:
    """A metric key as a pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in key)


def log(step: int | float, entropy: Any, *, run: str, models: str | os.PathLike[str] | None = None) -> None:
    """Records the entropy of a step (nats) in the history of `run`; see `Recorder`. The file is complete when the process ends."""
    key = (run, None if models is None else os.fspath(models))
    recorder = _by_run.get(key)
    if recorder is None:
        with _by_run_lock:
            recorder = _by_run.setdefault(key, Recorder(run, models=models))
    recorder(step, entropy)


def finish() -> None:
    """Ends all recordings of this process, as happens at its exit."""
    for recorder in list(_recorders):
        recorder.close()


def _after_fork() -> None:
    global _by_run_lock
    _by_run_lock = threading.RLock()
    for recorder in list(_recorders):
        recorder._after_fork()


atexit.register(finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
