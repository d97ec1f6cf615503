"""Pictures, drawn by the program. In a notebook they are shown inline."""

from __future__ import annotations

import os
import warnings
from typing import Any

from ._program import EntropyVizWarning, flags, inputs, run
from ._reading import Paths


class Picture:
    """A chart as SVG. A notebook shows it; `save` writes it to a file."""

    def __init__(self, svg: str, command: list[str]) -> None:
        self.svg = svg
        self._command = command

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<entropy-viz {self._command[0]}: {len(self.svg)} bytes of SVG; save(path) writes it>"

    def save(self, path: str | os.PathLike[str], **options: Any) -> str:
        """Draws the chart again into a file, by its extension SVG, PNG or PDF, and returns its path.

        `options` are further flags, such as `dpi=300`. Raises `EntropyVizError`.
        """
        flag_count = self._command.index("--")
        command = [*self._command[:flag_count], *flags(options), f"--output={os.fspath(path)}", *self._command[flag_count:]]
        run(command)
        return os.fspath(path)


def plot(paths: Paths, output: str | os.PathLike[str] | None = None, **options: Any) -> Picture:
    """Draws the entropy curves of runs: `plot("models", smooth="ema:0.9", log_y=True)`.

    `paths` as for `read`. With `output`, the chart is also written there. `options` are flags of `entropy-viz plot`:
    `title`, `smooth`, `group`, `band`, `x`, `theme`, `size="11x5.6"`, … Raises `EntropyVizError`.
    """
    command = ["plot", *flags(options), "--", *inputs(paths)]
    flag_count = command.index("--")
    svg, _ = run([*command[:flag_count], "--output=-", "--output-format=svg", *command[flag_count:]])
    picture = Picture(svg.decode("utf-8"), command)
    if output is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EntropyVizWarning)  # the first drawing warned
            picture.save(output)
    return picture
