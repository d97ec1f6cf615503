"""`python -m entropy_viz`: the program `entropy-viz` of this installation."""

from __future__ import annotations

import os
import sys

from ._program import EntropyVizError, find_program


def main() -> None:
    """Replaces this process by the program, with the arguments of this process. Exits with 2 if there is none."""
    try:
        program = find_program()
    except EntropyVizError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
