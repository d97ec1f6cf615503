"""Runs every command of README.md and README.zh-CN.md as it is written, on real logs of tests/fixtures, and checks that
both documents have the same commands in the same order.

    python3 tests/readme.py PROGRAM                    all commands but those of `compute`
    python3 tests/readme.py PROGRAM --helper HELPER    those of `compute`

Each command runs in a new directory that has the files which the documents name (`WORLD`, `INSTEAD`). A command that cannot
be run here is in `NOT_RUN` with the reason; one that is neither run nor listed fails, because its files are missing.
"""

import argparse
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/fixtures"
DOCUMENTS = ("README.md", "README.zh-CN.md")

NOT_RUN = {
    "pip install entropy-viz": "takes the wheel of a release from PyPI; make dist installs the wheel",
    "pip install .": "builds the program; make dist installs the wheel",
    "cargo install --path .": "builds the program",
}

TINY = "models/qwen3-tiny_{0}/entropy_history_qwen3-tiny_{0}.json"
CHECKPOINTS = {"global_step_40": "compute/qwen3", "global_step_80": "compute/qwen2"}

# The files that the documents name, and the fixtures that they are.
WORLD = {
    "a.json": TINY.format("questioner_s1"),
    "b.json": TINY.format("solver_s1"),
    "questioner.json": TINY.format("questioner_s1"),
    "solver.json": TINY.format("solver_s1"),
    "q_v1.json": TINY.format("questioner_s1"),
    "s_v1.json": TINY.format("solver_s1"),
    "run.json": TINY.format("questioner_collapse_s1"),
    "before.json": TINY.format("solver_s1"),
    "resumed.json": TINY.format("solver_resumed"),
    "models/questioner_v1/entropy_history_questioner_v1.json": TINY.format("questioner_s1"),
    "models/questioner_v2/entropy_history_questioner_v2.json": TINY.format("questioner_s2"),
    "models/solver_v1/entropy_history_solver_v1.json": TINY.format("solver_s1"),
    "models/solver_v2/entropy_history_solver_v2.json": TINY.format("solver_s2"),
    "storage/models/questioner/entropy_history_questioner.json": TINY.format("questioner_s1"),
    "storage/models/solver/entropy_history_solver.json": TINY.format("solver_s1"),
    "runs/lr1e-6_kl0.jsonl": "verl/qwen3-tiny_questioner_s1.jsonl",
    "runs/lr1e-6_kl1.jsonl": "verl/qwen3-tiny_questioner_s2.jsonl",
    "runs/lr3e-6_kl0.jsonl": "verl/qwen3-tiny_solver_s1.jsonl",
    "runs/lr3e-6_kl1.jsonl": "verl/qwen3-tiny_solver_s2.jsonl",
    "train.log": "verl-console/verl_ray.out",
    "wandb": "wandb/rzero_0.31.0",
    "checkpoints": "easyr1",
    "output_dir": "trainer_state/checkpoints_90_100",
    "output": "cases/keys/msswift",
    "tensorboard_dir": "tensorboard/qwen3-tiny_questioner_s1",
    "slurm-4711.out": "console/slime.out",
    "outputs": "jsonl/trainer",
    "logs": "tensorboard/qwen3-tiny_questioner_s1",
    "log_path/metrics.jsonl": "jsonl/trainer/metrics.jsonl",
    "trainer_state.json": "trainer_state/qwen3-tiny_questioner_s1/trainer_state.json",
    "tokens.jsonl": "token_groups/run.jsonl",
    "train.jsonl.in": "verl/qwen3-tiny_solver_s1.jsonl",
    "tests/fixtures/models": "models",
}

# Other files for the names in single commands: those whose command contains the key.
INSTEAD = {
    "'runs/*.json'": {"runs/q.json": TINY.format("questioner_s1"), "runs/s.json": TINY.format("solver_s1")},
    "runs/tb": {"runs/tb": "tensorboard/qwen3-tiny_questioner_s1"},
    "--with reward": {"runs": None, "runs/solver": "trainer_state/qwen3-tiny_solver_resumed"},
    "plot runs/": {"runs": "tensorboard/sb3"},
    "explain": {"runs/solver": "grpo/run", "runs/solver/tokens.jsonl": "grpo/tokens.jsonl.gz"},
    "watch wandb/": {"wandb": None, "wandb/metrics.jsonl": "verl/qwen3-tiny_questioner_collapse_s1.jsonl"},
    "runs/solver.jsonl": {"runs/solver.jsonl": "verl/qwen3-tiny_questioner_collapse_s1.jsonl"},
    "--model runs/solver": {"runs": None, **{f"runs/solver/{step}": path for step, path in CHECKPOINTS.items()}},
    "--model models/questioner": {f"models/questioner/{step}": path for step, path in CHECKPOINTS.items()},
    "--model run/": {"run/checkpoint-51": "grpo/run/checkpoint-51", "dump": "grpo/run/completions"},
    "--tokens-out": {"tokens.jsonl": None},
    "prompts.jsonl": {"prompts.jsonl": "compute/rollouts.jsonl"},
    "rollouts.jsonl": {"rollouts.jsonl": "compute/rollouts.jsonl"},
    "test.parquet": {"test.parquet": "compute/prompts/verl-snappy.parquet"},
}

# Commands that need more than files, and what makes it.
PREPARE = {"main/stats.json": "mkdir main && entropy-viz stats runs --json > main/stats.json"}

# Programs that a command starts and that are not there. The trainer prints the log of a real run.
STAND_INS = {
    "python": 'exec cat train.jsonl.in',
    "scancel": 'kill "$@"',
    "make": 'for target; do [ "${target#*=}" = "$target" ] || continue; /usr/bin/env -i PATH=/usr/bin:/bin make -C "$ROOT" -n "$target" >/dev/null; done',
    "cargo": '[ "$1 $2" = "run --example" ] && exec "$EXAMPLES/$3" "${@:5}"',
}

# What a command is run with instead of the text on the left: a path at the root of the file system.
REPLACED = {"/storage/models": "storage/models"}

OUTPUT = re.compile(r"(?:-o|--output|--junit|--artifacts|--comparison-plot|--tokens-out)[ =]([^ ]+)")


def commands(document):
    """The commands of a document in their order: of tables, blocks of shell, and console blocks. Without comments."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found, block = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            block = line[3:] if block is None else None
        elif block == "sh":
            found.append(line)
        elif block == "console" and line.startswith("$ "):
            found.append(line[2:])
        elif block is None and line.startswith("|"):
            cell = line.rstrip("| ").rsplit("|", 1)[-1].strip()
            if re.fullmatch("`entropy-viz [^`]*`", cell):
                found.append(cell.strip("`"))
    return [command for command in (re.sub(r"\s+#.*", "", line).strip() for line in found) if command]


def fill(directory, command):
    """Makes the files that a command needs."""
    files = dict(WORLD)
    for key, others in INSTEAD.items():
        if key in command:
            for name in others:
                files = {path: fixture for path, fixture in files.items() if not path.startswith(f"{name}/")}
            files.update(others)
    for name, fixture in files.items():
        if fixture is None:
            continue
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (FIXTURES / fixture).is_dir():
            shutil.copytree(FIXTURES / fixture, path, dirs_exist_ok=True)
        elif fixture.endswith(".gz"):
            path.write_bytes(gzip.decompress((FIXTURES / fixture).read_bytes()))
        else:
            shutil.copy(FIXTURES / fixture, path)
    for run in (directory / "wandb").glob("offline-run-*"):
        (directory / "wandb/latest-run").symlink_to(run.name)


class Runner:
    def __init__(self, program, helper):
        self.program, self.helper = program, helper
        self.examples = program.parent / "examples"

    def environment(self, directory, trainer):
        kept = {key: os.environ[key] for key in ("HOME", "LANG", "LD_LIBRARY_PATH") if key in os.environ}
        bin = directory.parent / "bin"
        return {
            **kept,
            "PATH": f"{bin}:/usr/local/bin:/usr/bin:/bin",
            "STORAGE_PATH": str(directory / "storage"),
            "RUNS": "runs",
            "TRAINER": str(trainer),
            "SLURM_JOB_ID": str(trainer),
            "ROOT": str(ROOT),
            "EXAMPLES": str(self.examples),
            "LIBTORCH": str(ROOT / ".libtorch"),
            **({"ENTROPY_VIZ_COMPUTE": str(self.helper)} if self.helper else {}),
        }

    def run(self, command):
        """Runs a command in a new directory; an `AssertionError` says what is wrong."""
        with tempfile.TemporaryDirectory(prefix="readme-") as tmp:
            directory, bin = Path(tmp, "work"), Path(tmp, "bin")
            directory.mkdir()
            bin.mkdir()
            (bin / "entropy-viz").symlink_to(self.program)
            for name, body in STAND_INS.items():
                (bin / name).write_text(f"#!/bin/bash\nset -e\n{body}\n")
                (bin / name).chmod(0o755)
            fill(directory, command)
            trainer = subprocess.Popen(["sleep", "600"])
            try:
                self.run_in(directory, command, self.environment(directory, trainer.pid))
                if "--exit-on" in command:
                    assert trainer.wait(10) == -signal.SIGTERM, "the trainer was not stopped"
            finally:
                trainer.kill()
                trainer.wait()

    def run_in(self, directory, command, environment):
        for old, new in REPLACED.items():
            command = command.replace(old, new)
        for key, line in PREPARE.items():
            if key in command:
                subprocess.run(["bash", "-ec", line], cwd=directory, env=environment, check=True, stderr=subprocess.DEVNULL)
        watches = "entropy-viz watch" in command and "--exit-on" not in command
        with open(directory.parent / "said", "w+b") as said:
            child = subprocess.Popen(["bash", "-eo", "pipefail", "-c", command], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                     stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                if watches:
                    until_it_prints(said.name, child)
                    os.killpg(child.pid, signal.SIGINT)
                code = child.wait(300)
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
            said.seek(0)
            text = said.read().decode(errors="replace")
        # Stopping a watch is its normal end, or an interrupt of the server.
        assert code in ((0, 130) if watches else (0,)), f"exit code {code}\n{text[-3000:]}"
        for path in (directory / path for path in OUTPUT.findall(command)):
            # `tokens` writes several pictures: NAME_histogram.png, …
            assert path.exists() or list(path.parent.glob(f"{path.stem}_*{path.suffix}")), f"{path} was not written\n{text[-3000:]}"


def until_it_prints(said, child):
    deadline = time.monotonic() + 60
    while os.path.getsize(said) == 0:
        assert child.poll() is None, "watch ended"
        assert time.monotonic() < deadline, "watch printed nothing within 60 s"
        time.sleep(0.02)
    time.sleep(0.3)


def reason_to_skip(command, runner):
    """Why a command is not run by this call, or `None`."""
    if command in NOT_RUN:
        return NOT_RUN[command]
    if ("entropy-viz compute" in command) != bool(runner.helper):
        return "run with --helper" if not runner.helper else "run without --helper"
    if "jq " in command:
        version = subprocess.run(["jq", "--version"], capture_output=True, text=True).stdout if shutil.which("jq") else ""
        numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
        if numbers < [1, 6]:
            return f"needs jq 1.6 or newer, here is {version.strip() or 'none'}"
    if command.startswith("cargo run --example") and not (runner.examples / command.split()[3]).exists():
        return "the examples are not built: cargo build --examples"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--helper", type=Path)
    parser.add_argument("--only", default="", help="run only commands that contain this text")
    given = parser.parse_args()
    runner = Runner(given.program.resolve(strict=True), given.helper.resolve(strict=True) if given.helper else None)
    first, second = (commands(document) for document in DOCUMENTS)
    broken = 0
    if first != second:
        different = next(pair for pair in zip([*first, None], [*second, None]) if pair[0] != pair[1])
        print(f"the commands differ from here on:\n  {DOCUMENTS[0]}: {different[0]}\n  {DOCUMENTS[1]}: {different[1]}")
        broken += 1
    unused = [command for command in NOT_RUN if command not in first]
    assert not unused, f"listed, but in no document: {unused}"
    ran = 0
    for command in dict.fromkeys([*first, *second]):
        if given.only not in command:
            continue
        reason = reason_to_skip(command, runner)
        if reason:
            print(f"not run: {command}: {reason}", flush=True)
            continue
        ran += 1
        try:
            runner.run(command)
        except (AssertionError, subprocess.SubprocessError) as error:
            broken += 1
            print(f"FAILED: {command}: {error}", flush=True)
    print(f"{ran} commands ran, {broken} failed")
    sys.exit(bool(broken) or not ran)


if __name__ == "__main__":
    main()
