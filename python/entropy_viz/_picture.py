"""Pictures and pages of the program. In a notebook they are shown inline."""

from __future__ import annotations

import html
import os
import warnings
from typing import Any

from ._files import whole_file
from ._program import EntropyVizWarning, flags, inputs, run
from ._reading import Paths


class Picture:
    """A chart as SVG. A notebook shows it; `save` writes it to a file.

    Unless a theme or a style is given, the SVG has no background, and colours that are readable in light and in dark
    notebooks; files have a white one.
    """

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
    `title`, `smooth`, `with_="reward"`, `group`, `band`, `x`, `theme`, `size="11x5.6"`, … Raises `EntropyVizError`.
    """
    words = flags(options)
    command = ["plot", *words, "--", *inputs(paths)]
    flag_count = command.index("--")
    has_look = any(word.startswith(("--theme=", "--style=")) for word in words)
    theme = [] if has_look else ["--theme=transparent"]
    svg, _ = run([*command[:flag_count], *theme, "--output=-", "--output-format=svg", *command[flag_count:]])
    picture = Picture(svg.decode("utf-8"), command)
    if output is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EntropyVizWarning)  # the first drawing warned
            picture.save(output)
    return picture


class Page:
    """An HTML page of `entropy-viz report`. A notebook shows it in a frame; `save` writes it to a file."""

    def __init__(self, html: str, height: int) -> None:
        self.html = html
        self.height = height

    def _repr_html_(self) -> str:
        page = html.escape(self.html, quote=True)
        return f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" style="width:100%;height:{self.height}px;border:0"></iframe>'

    def __repr__(self) -> str:
        return f"<entropy-viz report: {len(self.html)} bytes of HTML; save(path) writes it>"

    def save(self, path: str | os.PathLike[str]) -> str:
        """Writes the page into a file and returns its path. Raises `OSError`."""
        with whole_file(os.fspath(path)) as file:
            file.write(self.html)
        return os.fspath(path)


def report(paths: Paths, *, height: int = 720, **options: Any) -> Page:
    """The interactive page of `entropy-viz report`, whose flags are the `options`: `report("models", tokens="tokens.jsonl")`.

    `paths` as for `read`; `height` is that of the frame in a notebook, in pixels. Raises `EntropyVizError`.
    """
    page, _ = run(["report", *flags(options), "--output=-", "--", *inputs(paths)])
    return Page(page.decode("utf-8"), height)
