"""A Ray cluster of this machine, with all state in one directory."""
import secrets
import subprocess
import sys
from pathlib import Path

from common import ROLLOUTS, ROOT, SAME, until
from processes import descendants, die_with_parent, kill_descendants

SCRIPT = ROOT / "examples/ray/compute.py"
PYTHON = sys.executable  # that of the virtual environment with Ray
LIMIT = 240


class Ray:
    """`with Ray(tools, directory, gpus=2) as ray:` the GPUs are a number, which Ray allocates like devices."""

    def __init__(self, tools, directory, cpus=2, gpus=0):
        self.directory, self.cpus, self.gpus = directory, cpus, gpus
        # The token keeps other users of the network out, on whose addresses Ray listens.
        self.environment = tools.environment(RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0", RAY_AUTH_MODE="token",
                                             RAY_AUTH_TOKEN=secrets.token_hex(32))
        self.environment["PATH"] = f"{Path(PYTHON).parent}:{self.environment['PATH']}"

    def __enter__(self):
        self.start("head", "--head", "--port=0", "--node-ip-address=127.0.0.1", "--include-dashboard=false", f"--num-cpus={self.cpus}",
                   f"--num-gpus={self.gpus}", f"--temp-dir={self.directory}/r")
        # `ray start` chose a free port, and wrote the address where drivers look for it.
        self.environment["RAY_ADDRESS"] = (self.directory / "r/ray_current_cluster").read_text().strip()
        return self

    def add_node(self, cpus):
        self.start("node", f"--address={self.environment['RAY_ADDRESS']}", f"--num-cpus={cpus}", "--num-gpus=0")

    def start(self, name, *flags):
        said = self.directory / f"{name}.out"
        with open(said, "w") as out:
            node = subprocess.Popen(["ray", "start", "--block", "--object-store-memory=80000000", *flags], env=self.environment,
                                    stdout=out, stderr=out, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        until("Ray has started", lambda: "Ray runtime started" in said.read_text() or node.poll() is not None, 60)
        assert node.poll() is None, said.read_text()

    def __exit__(self, *_):
        kill_descendants()

    def submit(self, run, shards, *flags):
        """Starts the script as a user does; returns the process."""
        command = [PYTHON, SCRIPT, "--shards", str(shards), run, ROLLOUTS, *SAME, *flags]
        return subprocess.Popen(command, env=self.environment, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, preexec_fn=die_with_parent)

    def run(self, run, shards, *flags):
        """Runs the script to its end; returns its exit code and what it said."""
        script = self.submit(run, shards, *flags)
        said = script.communicate(timeout=LIMIT)[0]
        return script.returncode, said


def programs(tools):
    """The ids of running helpers below this process, by their command line."""
    found = {}
    for pid in descendants():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:  # it has ended
            continue
        if line[0] == str(tools.helper):
            found[pid] = line
    return found
