"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[TextIO]:
    """A text file (UTF-8) that replaces the one at `path` at the end of the block; if the block raises, `path` is unchanged.

    Until then it is a hidden file in the same directory. Raises `OSError`.
    """
    handle, temporary = tempfile.mkstemp(prefix=".entropy-viz-", dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
