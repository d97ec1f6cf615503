"""The entropy history of a run, a shard of its checkpoints on each GPU of a Ray cluster.

    python3 compute.py --shards 8 RUN_DIR PROMPTS [more flags of `entropy-viz compute`]

Run directory and prompts lie on a file system that all nodes share, and entropy-viz is on every node's PATH. At most as
many shards as there are checkpoints.
"""

import argparse
import os
import subprocess

import ray


@ray.remote(num_gpus=1, max_retries=2)  # started again, compute goes on after the rows it has finished
def shard(command, part):
    # Ray has set CUDA_VISIBLE_DEVICES to the one GPU of this task.
    subprocess.run([*command, "--shard", part, "--device", "cuda"], check=True)


parser = argparse.ArgumentParser()
parser.add_argument("--shards", type=int, required=True)
parser.add_argument("run")
parser.add_argument("prompts")
args, more = parser.parse_known_args()

# A row counts as done only for the same flags. `--dtype auto` would be float32 where the shards are merged on a CPU.
dtype = [] if "--dtype" in more else ["--dtype", "bfloat16"]
command = ["entropy-viz", "compute", "--model", os.path.abspath(args.run), "--prompts", os.path.abspath(args.prompts)]
command += [*dtype, *more]

ray.init()
ray.get([shard.remote(command, f"{i}/{args.shards}") for i in range(1, args.shards + 1)])
subprocess.run([*command, "--device", "cpu"], check=True)  # every step is there: merges, computes nothing
