"""Shared by the torture cases: running the program, its peak memory, and histories as input."""
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@dataclass
class Result:
    code: int
    out: bytes
    err: str
    peak: int  # peak memory of the program in bytes
    seconds: float


@dataclass
class Tool:
    """The programs under test; `rounds` is the number of repetitions of random cases."""
    program: str
    helper: str | None
    rounds: int
    heavy: bool

    def for_helper(self):
        """The same settings for the helper as the program under test."""
        return Tool(self.helper, None, self.rounds, self.heavy)

    def run(self, arguments, directory, *, stdin=b"", limit=120, env=None, preexec=None):
        """Runs the program to its end; fails on a crash, a panic or a hang."""
        said = Path(directory) / f".said-{os.getpid()}"
        started = time.monotonic()
        with open(said, "w+b") as out, open(f"{said}.err", "w+b") as err:
            child = subprocess.Popen([self.program, *map(os.fsencode, arguments)], cwd=directory, stdin=subprocess.PIPE,
                                     stdout=out, stderr=err, env=environment(env), preexec_fn=preexec)
            try:
                child.stdin.write(stdin)
                child.stdin.close()
            except BrokenPipeError:
                pass
            usage = wait(child, limit, arguments)
            out.seek(0)
            err.seek(0)
            result = Result(child.returncode, out.read(), err.read().decode(errors="replace"), usage.ru_maxrss * 1024,
                            time.monotonic() - started)
        said.unlink()
        Path(f"{said}.err").unlink()
        assert result.code in (0, 1, 2), f"{arguments}: exit code {result.code}: {result.err[-500:]}"
        for word in ("this is a bug", "panicked", "RUST_BACKTRACE"):
            assert word not in result.err, f"{arguments}: {result.err[-500:]}"
        return result

    def refuses(self, arguments, directory, *words, **options):
        """Runs a command that must fail with exit code 2 and these words on stderr."""
        result = self.run(arguments, directory, **options)
        assert result.code == 2, f"{arguments}: exit code {result.code}, not 2: {result.err[-500:]}"
        for word in words:
            assert word in result.err, f"{arguments} does not say {word!r}: {result.err[-500:]}"
        return result

    def does(self, arguments, directory, **options):
        """Runs a command that must succeed."""
        result = self.run(arguments, directory, **options)
        assert result.code == 0, f"{arguments}: exit code {result.code}: {result.err[-500:]}"
        return result

    def killed(self, arguments, directory, after, *, feed=None, program=None, by=signal.SIGKILL):
        """Starts a program and sends it a signal after `after` seconds; returns whether it was still running."""
        child = subprocess.Popen([program or self.program, *map(os.fsencode, arguments)], cwd=directory,
                                 stdin=subprocess.PIPE if feed else subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=environment(None))
        deadline = time.monotonic() + after
        try:
            while feed and time.monotonic() < deadline and child.poll() is None:
                child.stdin.write(next(feed))
                child.stdin.flush()
        except BrokenPipeError:
            pass
        left = deadline - time.monotonic()
        if left > 0:
            time.sleep(left)
        running = child.poll() is None
        child.send_signal(by)
        child.wait()
        assert child.returncode in (0, -by), f"{arguments}: exit code {child.returncode} after signal {by}"
        return running


def environment(more):
    kept = {key: value for key, value in os.environ.items() if key not in ("STORAGE_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS")}
    return {**kept, **(more or {})}


def wait(child, limit, arguments):
    deadline = time.monotonic() + limit
    pause = 0.001
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() > deadline:
            child.kill()
            child.wait()
            raise AssertionError(f"{arguments}: still running after {limit} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def history(path, points=50, seed=0):
    """Writes a history with falling entropies."""
    noise = random.Random(seed)
    rows = [{"step": step, "entropy": round(3 / (1 + step / points) + noise.random() / 5, 6)} for step in range(1, points + 1)]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))
    return path


def models(directory, runs, points=50):
    """Makes a directory of models in R-Zero's layout."""
    for run in range(runs):
        history(Path(directory) / f"run{run:05}" / f"entropy_history_run{run:05}.json", points, run)
    return directory


def open_files(most):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def largest_file(size):
    """Makes writes beyond `size` bytes of a file fail, as on a full disk."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def note(text):
    print(f"    {text}", flush=True)


MIB = 1 << 20

if __name__ == "__main__":
    sys.exit("run.py runs the parts")
