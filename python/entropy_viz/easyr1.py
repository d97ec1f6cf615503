"""The logger `entropy_viz` of EasyR1 and R-Zero: `trainer.logger=["console","entropy_viz"]`.

Their trainers look loggers up in a dictionary and have no plugins, so the process that runs the trainer has to call
`register` before the trainer starts, such as at the top of `verl/trainer/main.py`'s `Runner.run`:

    import entropy_viz.easyr1
    entropy_viz.easyr1.register()
"""

from __future__ import annotations

from typing import Any

from ._recorder import say
from .verl import BACKEND, VerlLogger


class EasyR1Logger(VerlLogger):
    """What EasyR1's `Tracker` calls: `__init__(config)`, `log(data, step)`, `finish()`.

    The name of the run is `config["trainer"]["experiment_name"]`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(str(config["trainer"]["experiment_name"]))


def register() -> bool:
    """Adds the logger to EasyR1's `LOGGERS`. Returns whether it is there; if not, stderr says why."""
    try:
        from verl.utils.logger.logger import LOGGERS
    except Exception as error:
        say(f"the logger {BACKEND} is not available: cannot import LOGGERS of EasyR1's verl.utils.logger.logger: {error!r}")
        return False
    LOGGERS[BACKEND] = EasyR1Logger
    return True
