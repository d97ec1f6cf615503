"""Ends every process that a case started, daemons included. Linux only."""
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None)


def adopt_orphans():
    """Makes this process the parent of daemons whose own parent ends, so that they can be found and killed."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)


def guarded(work):
    """Runs `work` in a child process, and returns its exit code. Kills everything below this process when the child has
    ended, even by SIGKILL."""
    adopt_orphans()
    child = os.fork()
    if child == 0:
        die_with_parent()
        adopt_orphans()
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        sys.exit(work())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the child too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    status = os.waitpid(child, 0)[1]
    kill_descendants()
    return os.waitstatus_to_exitcode(status)


def die_with_parent():
    """For `preexec_fn`: the child is killed when this process ends, even by SIGKILL."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def descendants():
    """The ids of all processes below this one."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, new = [], [os.getpid()]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def kill_descendants():
    """Kills all processes below this one, and waits until there are none."""
    deadline = time.monotonic() + 30
    while found := descendants():
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"these processes do not end: {found}")
        time.sleep(0.05)
