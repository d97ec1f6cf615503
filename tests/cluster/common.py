"""Shared by the cases: the programs, a run of tiny checkpoints, and comparison with an unsharded computation."""
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "tests/fixtures/compute"
ROLLOUTS = FIXTURES / "rollouts.jsonl"
CHECKPOINTS = {40: "qwen3", 80: "qwen2", 120: "mistral"}
WEIGHTS = "global_step_{}/actor/huggingface/model.safetensors"
# Tokens and sums are the same in every run with float32 on the CPU.
SAME = ["--dtype", "float32"]
# Sampling keeps a shard busy for long enough to interrupt it.
SLOW = ["--response-key", "none", "--max-new-tokens", "64"]


@dataclass
class Tools:
    """The programs under test, and the directory of Slurm's programs."""
    program: Path
    helper: Path
    slurm: Path

    def environment(self, **more):
        """The environment of a user: the program on the PATH."""
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("SLURM_", "SBATCH_", "RAY_")) and key not in ("SHARD_BY", "DEVICE", "STORAGE_PATH")}
        path = f"{self.program.parent}:{kept['PATH']}"
        return {**kept, "PATH": path, "ENTROPY_VIZ_COMPUTE": str(self.helper), "LIBTORCH": libtorch(), **more}

    def whole(self, tmp, run, arguments, threads):
        """The rows of a copy of the run, computed without shards."""
        copy = tmp / "whole" / run.name
        shutil.copytree(run, copy)
        shutil.rmtree(copy / "shards", ignore_errors=True)
        command = [self.program, "compute", "--model", copy, "--prompts", ROLLOUTS, "--device", "cpu",
                   "--threads", str(threads), *arguments]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return rows(copy)


def libtorch():
    return os.environ.get("LIBTORCH") or str((ROOT / ".libtorch").resolve(strict=True))


def make_run(tmp, checkpoints=CHECKPOINTS):
    """Makes a run directory of tiny checkpoints in verl's layout."""
    run = tmp / "models/tiny"
    for step, name in checkpoints.items():
        shutil.copytree(FIXTURES / name, run / f"global_step_{step}/actor/huggingface", copy_function=link_or_copy)
    return run


def long_run(tmp, steps):
    """A run that takes long because it has many checkpoints."""
    return make_run(tmp, {step: "qwen3" for step in range(1, steps + 1)})


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:  # the temporary directory is on another file system
        shutil.copy2(source, target)


def history(run):
    return run / f"entropy_history_{run.name}.json"


def rows(run):
    """The rows of the history of a run by step."""
    return read_rows(history(run))


def read_rows(path):
    return {row["step"]: row for row in json.loads(path.read_text())}


def finished_steps(run):
    """The steps of which a shard has finished its part."""
    found = []
    for path in (run / "shards").glob("*.json"):
        found += [row["step"] for row in json.loads(path.read_text())]
    return sorted(found)


def assert_same(found, wanted, tolerance=0.0):
    """Fails unless two histories have the same rows, with numbers that differ by at most `tolerance`."""
    assert found.keys() == wanted.keys() and len(found) > 0, f"steps {list(found)}, not {list(wanted)}"
    for step, row in wanted.items():
        assert found[step].keys() == row.keys(), f"step {step}: keys {list(found[step])}, not {list(row)}"
        for key, value in row.items():
            got = found[step][key]
            same = abs(got - value) <= tolerance if isinstance(value, float) else got == value
            assert same, f"step {step}: {key} is {got}, not {value}"


def damage(path):
    """Cuts a file short, and returns a function that repairs it."""
    data = path.read_bytes()
    path.unlink()  # it may be a link to the fixture
    path.write_bytes(data[:len(data) // 2])
    return lambda: path.write_bytes(data)


def until(what, condition, limit):
    """Waits until a condition is true; returns its value."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"after {limit} s: not {what}")


def assert_says(text, *words):
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"
