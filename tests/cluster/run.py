"""Runs the scripts of examples/ on a real Slurm and a real Ray cluster of this machine: tiny checkpoints on the CPU.

    .venv/cluster/ray/bin/python tests/cluster/run.py PROGRAM --helper HELPER --slurm DIR [--only NAME]

`make cluster` installs what it needs and runs it. Every case has its own cluster in a temporary directory, and kills what it
started.
"""
import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import ray_cases
import slurm_cases
from common import Tools
from processes import guarded, kill_descendants


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--helper", type=Path, required=True)
    parser.add_argument("--slurm", type=Path, required=True, help="directory of unpacked Debian packages")
    parser.add_argument("--only", help="run only cases whose name contains this")
    given = parser.parse_args()
    tools = Tools(*(path.resolve(strict=True) for path in (given.program, given.helper, given.slurm)))
    cases = [case for part in (slurm_cases, ray_cases) for case in part.CASES]
    cases = [case for case in cases if not given.only or given.only in f"{case.__module__}.{case.__name__}"]
    # A short path: those of Ray's sockets may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp", ignore_cleanup_errors=True) as tmp:
        sys.exit(guarded(lambda: run(cases, tools, Path(tmp))))


def run(cases, tools, tmp):
    """Runs all cases; returns whether one is broken."""
    broken = []
    for number, case in enumerate(cases):
        started = time.monotonic()
        directory = tmp / str(number)
        directory.mkdir()
        try:
            case(tools, directory)
            said = "ok"
        except Exception:
            traceback.print_exc()
            said = "BROKEN"
            broken.append(case.__name__)
        finally:
            kill_descendants()
        shutil.rmtree(directory, ignore_errors=True)
        print(f"{case.__module__}.{case.__name__}: {said}, {time.monotonic() - started:.1f} s", flush=True)
    print(f"{len(cases) - len(broken)} passed, {len(broken)} failed" + (f": {', '.join(broken)}" if broken else ""))
    return bool(broken) or not cases


if __name__ == "__main__":
    main()
