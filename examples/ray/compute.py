"""Computes the entropy history of a run on a Ray cluster, one shard of its checkpoints per GPU.

    python3 compute.py --shards 8 RUN_DIR PROMPTS [more flags of `entropy-viz compute`]

The run directory and the prompts must be on a file system that all nodes share, and entropy-viz on every node's PATH.
"""

import argparse
import os
import subprocess

import ray


@ray.remote(num_gpus=1, max_retries=2)  # when started again, compute continues after its finished rows
def shard(command, part):
    # Ray sets CUDA_VISIBLE_DEVICES to the GPU of this task.
    subprocess.run([*command, "--shard", part, "--device", "cuda"], check=True)


parser = argparse.ArgumentParser()
parser.add_argument("--shards", type=int, required=True)
parser.add_argument("run")
parser.add_argument("prompts")
args, more = parser.parse_known_args()

# The merge accepts only rows with the same flags. `--dtype auto` would mean float32 if it runs on a CPU, so name the type.
dtype = [] if "--dtype" in more else ["--dtype", "bfloat16"]
command = ["entropy-viz", "compute", "--model", os.path.abspath(args.run), "--prompts", os.path.abspath(args.prompts)]
command += [*dtype, *more]

ray.init()
ray.get([shard.remote(command, f"{i}/{args.shards}") for i in range(1, args.shards + 1)])
subprocess.run([*command, "--device", "cpu"], check=True)  # merges the shards; every step is there
