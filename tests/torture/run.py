"""Stress test of the program: kills, full disks, odd names, hostile labels and headers. Every bug found gets its own test
in tests/, named after its symptom; docs/limits.md has the limits.

    python3 tests/torture/run.py PROGRAM [--helper HELPER] [--short] [--only NAME]

`make torture` runs all of it, in five to ten minutes; `make test` runs it with `--short`.
"""
import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

import hostile
import kills
import places
from common import Tool


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--helper", type=Path)
    parser.add_argument("--short", action="store_true", help="few rounds, small files")
    parser.add_argument("--only", help="run only cases whose name contains this")
    given = parser.parse_args()
    helper = str(given.helper.resolve(strict=True)) if given.helper else None
    tool = Tool(str(given.program.resolve(strict=True)), helper, 4 if given.short else 200, not given.short)
    cases = [case for part in (hostile, places, kills) for case in part.CASES]
    cases = [case for case in cases if not given.only or given.only in case.__name__]
    broken = []
    for case in cases:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="torture-") as tmp:
            try:
                case(tool, Path(tmp))
                said = "ok"
            except Exception:
                traceback.print_exc()
                said = "BROKEN"
                broken.append(case.__name__)
        print(f"{case.__module__}.{case.__name__}: {said}, {time.monotonic() - started:.1f} s", flush=True)
    print(f"{len(cases) - len(broken)} passed, {len(broken)} failed" + (f": {', '.join(broken)}" if broken else ""))
    sys.exit(bool(broken) or not cases)


if __name__ == "__main__":
    main()
