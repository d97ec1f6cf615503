"""Computes the entropy history of a run on a Ray cluster, one shard per GPU, and merges the shards.

    python3 compute.py --shards 8 RUN_DIR PROMPTS [more flags of `entropy-viz compute`]

The working directory, the run directory and the prompts must be on a file system that all nodes share, and entropy-viz on
every node's PATH.
"""

import argparse
import collections
import ctypes
import os
import shlex
import signal
import subprocess
import sys

import ray


def end_with_worker():
    """Linux kills the program when its Ray worker dies. Older versions of Ray let it run on, beside the one that they start again."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@ray.remote(max_retries=2)  # if a node fails, another one continues after the finished steps
def compute(command, directory):
    """Runs one shard. Returns its exit code and its last lines."""
    last = collections.deque(maxlen=5)
    # Ray sets CUDA_VISIBLE_DEVICES to the GPU of this task, and shows what it prints where the driver runs.
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, text=True, errors="replace",
                          preexec_fn=end_with_worker) as program:
        for line in program.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            last.append(line)
    return program.returncode, "".join(last)


parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--shards", type=int, required=True)
parser.add_argument("--shard-by", choices=["checkpoints", "rows"], default="checkpoints",
                    help="rows splits the prompts: for a run with fewer checkpoints than GPUs")
parser.add_argument("--cpu", action="store_true", help="compute on CPUs")
parser.add_argument("--cpus", type=int, default=1, help="CPUs of each shard")
parser.add_argument("--wait", action="store_true", help="wait for nodes that an autoscaler adds")
parser.add_argument("run")
parser.add_argument("prompts")
args, more = parser.parse_known_args()
if args.shards < 1:
    parser.error("--shards must be at least 1")

command = ["entropy-viz", "compute", "--model", args.run, "--prompts", args.prompts, *more]
# The merge accepts only rows with the same flags. `--dtype auto` would mean float32 on its CPU, so name the type.
if not any(flag.startswith("--dtype") for flag in more):
    command += ["--dtype", "bfloat16"]
if any(flag.startswith(("--tokens-out", "--save-rollouts")) for flag in more):
    parser.error("all shards would write the same --tokens-out or --save-rollouts")
device = ["--device", "cpu", "--threads", str(args.cpus)] if args.cpu else ["--device", "cuda"]

ray.init()
need = {"CPU": args.cpus, "GPU": 0 if args.cpu else 1}
fits = [node for node in ray.nodes()
        if node["Alive"] and all(node["Resources"].get(kind, 0) >= count for kind, count in need.items())]
if not fits and not args.wait:
    sys.exit(f"no node of the Ray cluster has {need['CPU']} CPUs and {need['GPU']} GPUs, which a shard needs: "
             "--cpu computes on CPUs, --cpus sets their number, --wait waits for an autoscaler")

shards = {}
for i in range(1, args.shards + 1):
    part = ["--shard", f"{i}/{args.shards}", "--shard-by", args.shard_by]
    task = compute.options(num_cpus=need["CPU"], num_gpus=need["GPU"]).remote([*command, *part, *device], os.getcwd())
    shards[task] = f"{i}/{args.shards}"

failed = []
running = list(shards)
while running:
    [task], running = ray.wait(running)
    try:
        code, last = ray.get(task)
    except ray.exceptions.RayError as error:  # a node failed three times, or entropy-viz is missing there
        code, last = "none", str(error)
    if code != 0:
        failed.append(shards[task])
        print(f"shard {shards[task]} failed (exit code {code}):\n{last}", file=sys.stderr)
if failed:
    sys.exit(f"not merged: shards {', '.join(failed)} failed. Run this again: finished steps are kept. "
             f"To merge what there is: {shlex.join([*command, '--device', 'cpu'])}")
sys.exit(subprocess.run([*command, "--device", "cpu"]).returncode)
