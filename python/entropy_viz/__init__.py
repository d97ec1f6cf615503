"""Records and reads policy-entropy histories of language models trained with reinforcement learning.

Recording, from any training loop; nothing here raises into the training:

    entropy_viz.log(step, entropy, run="solver_v1")
    with entropy_viz.Recorder("solver_v1") as record:
        record(step, entropy)

Hooks: `entropy_viz.trl.EntropyCallback` for Hugging Face trainers, `trainer.logger='["console","entropy_viz"]'` in verl,
`entropy_viz.easyr1.register`, `entropy_viz.lightning.EntropyLogger`.

Reading: `read`, `stats`, `plot`, `report` and `check` call the program `entropy-viz`, so that numbers and pictures are those of the
command line. `entropy_viz.torch.entropy_from_logits` computes token entropies. `entropy_viz.wandb.pull` fetches runs.

Importing this package loads nothing else: every name is imported at its first use. Entropies are in nats.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of typing, whose import takes longer than this package

if TYPE_CHECKING:
    from typing import Any

    from . import easyr1, lightning, torch, trl, verl, wandb
    from ._picture import Page, Picture, plot, report
    from ._program import EntropyVizError, EntropyVizWarning, find_program
    from ._reading import CheckResult, Stats, check, read, stats
    from ._recorder import Recorder, finish, log

# The module that has each name; `None` if the name is a module.
_HOMES = {
    "CheckResult": "_reading",
    "EntropyVizError": "_program",
    "EntropyVizWarning": "_program",
    "Page": "_picture",
    "Picture": "_picture",
    "Recorder": "_recorder",
    "Stats": "_reading",
    "check": "_reading",
    "easyr1": None,
    "find_program": "_program",
    "finish": "_recorder",
    "lightning": None,
    "log": "_recorder",
    "plot": "_picture",
    "read": "_reading",
    "report": "_picture",
    "stats": "_reading",
    "torch": None,
    "trl": None,
    "verl": None,
    "wandb": None,
}

__all__ = [
    "CheckResult",
    "EntropyVizError",
    "EntropyVizWarning",
    "Page",
    "Picture",
    "Recorder",
    "Stats",
    "check",
    "easyr1",
    "find_program",
    "finish",
    "lightning",
    "log",
    "plot",
    "read",
    "report",
    "stats",
    "torch",
    "trl",
    "verl",
    "wandb",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("entropy-viz")
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        return importlib.import_module(f"{__name__}.{name}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
