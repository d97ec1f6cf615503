"""Finds and runs the program `entropy-viz`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

NAME = "entropy-viz.exe" if os.name == "nt" else "entropy-viz"
WARNING = "entropy-viz: warning: "
# Options that are given once, with commas between the parts of their value.
COMMA_LISTS = frozenset({"columns", "group_by", "label_from", "size"})


class EntropyVizError(RuntimeError):
    """The program failed, or is missing. The text is its message, with its hint.

    `exit_code` is that of the program: 2 for usage, input that cannot be read, and nothing found; `None` if it did not run.
    """

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class EntropyVizWarning(UserWarning):
    """A warning of the program about data, such as values that are not finite."""


def _candidates() -> Iterator[Path]:
    # Where pip puts programs: of this environment, of `pip install --user`, of `pip install --target`.
    yield Path(sysconfig.get_path("scripts"), NAME)
    user = "posix_user" if os.name == "posix" else "nt_user"
    if sys.platform == "darwin" and getattr(sys, "_framework", ""):
        user = "osx_framework_user"
    if user in sysconfig.get_scheme_names():
        yield Path(sysconfig.get_path("scripts", scheme=user), NAME)
    yield Path(__file__).parent.parent / "bin" / NAME
    # The base of a virtual environment that sees its packages.
    yield Path(sys.base_prefix, "bin", NAME)


def find_program() -> str:
    """Path of the program: `$ENTROPY_VIZ_PROGRAM` if it is set, else that of the installed wheel, else that on the PATH.

    Raises `EntropyVizError` if there is none.
    """
    named = os.environ.get("ENTROPY_VIZ_PROGRAM")
    if named:
        if not os.access(named, os.X_OK):
            raise EntropyVizError(f"entropy-viz: cannot run {named!r}, which $ENTROPY_VIZ_PROGRAM names: it is not a program")
        return named
    for path in _candidates():
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    on_path = shutil.which(NAME)
    if on_path is None:
        raise EntropyVizError(
            "entropy-viz: cannot find the program entropy-viz beside this Python or on the PATH\n"
            "  hint: install the wheel (pip install entropy-viz), or name the program in $ENTROPY_VIZ_PROGRAM"
        )
    return on_path


def run(arguments: Sequence[str], allowed: Sequence[int] = (0,)) -> tuple[bytes, int]:
    """Runs the program and returns its stdout and its exit code. Its warnings become `EntropyVizWarning`s.

    Raises `EntropyVizError` with its message if the exit code is not in `allowed`.
    """
    done = subprocess.run([find_program(), *arguments], stdin=subprocess.DEVNULL, capture_output=True)
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode not in allowed:
        message = said.strip() or f"entropy-viz {arguments[0]} ended with exit code {done.returncode}"
        raise EntropyVizError(message, done.returncode)
    for line in said.splitlines():
        if line.startswith(WARNING):
            warnings.warn(line[len(WARNING) :], EntropyVizWarning, stacklevel=3)
    return done.stdout, done.returncode


def flags(options: dict[str, object]) -> list[str]:
    """Keyword arguments as flags: `log_y=True` is `--log-y`, `metric=["a", "b"]` is `--metric a --metric b`.

    A list for one of `COMMA_LISTS` is one value: `columns=["lr", "seed"]` is `--columns lr,seed`. A `_` at the end of a
    name is dropped: `with_="reward"`, because `with` is a word of Python. `None` and `False` add nothing.
    """
    words: list[str] = []
    for name, value in options.items():
        name = name.removesuffix("_")
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(flag)
        elif isinstance(value, (list, tuple)) and name in COMMA_LISTS:
            if value:
                words.append(f"{flag}={','.join(str(each) for each in value)}")
        elif isinstance(value, (list, tuple)):
            for each in value:
                words.append(f"{flag}={each}")
        else:
            words.append(f"{flag}={value}")
    return words


def inputs(paths: object) -> list[str]:
    """Arguments for one path, several, or a mapping of labels to paths.

    Raises `TypeError` for anything else, and `ValueError` for none and for a label with a "=".
    """
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    if isinstance(paths, dict):
        for label in paths:
            if "=" in label:
                raise ValueError(f"the label {label!r} has a =, which separates a label from its path on the command line")
        words = [f"{label}={os.fspath(path)}" for label, path in paths.items()]
    elif isinstance(paths, (list, tuple)):
        words = [os.fspath(path) for path in paths]
    else:
        raise TypeError(f"paths must be a path, a list of paths, or a dict of label: path, not {type(paths).__name__}")
    if not words:
        raise ValueError("no path is given")
    return words
