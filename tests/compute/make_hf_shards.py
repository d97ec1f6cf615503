"""Makes tests/fixtures/shards/hf-*: safetensors of torch's distributed checkpoint without consolidation, as NeMo-RL leaves
them: every rank writes the parts that it has (FSDP2, gloo, CPU).

Made with Python 3.11, torch 2.11.0 (CPU), transformers 5.23.0.

    pip install torch==2.11.0 transformers==5.23.0
    python3 tests/compute/make_hf_shards.py
"""
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as multiprocessing
from common import FIXTURES, free_port, fresh
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM

SHARDS = FIXTURES.parent / "shards"

# case: (golden checkpoint, device mesh, number of files per rank)
CASES = {"hf-3": ("llama", (3,), 1), "hf-hsdp-4-files-2": ("qwen3", (2, 2), 2)}


def main():
    for name, (golden, mesh, files) in CASES.items():
        directory = fresh(SHARDS / name)
        ranks = torch.Size(mesh).numel()
        multiprocessing.spawn(save_rank, (ranks, free_port(), directory, golden, mesh, files), nprocs=ranks)


def save_rank(rank, ranks, port, directory, golden, shape, files):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://localhost:{port}", rank=rank, world_size=ranks)
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / golden, dtype="auto")
    fully_shard(model, mesh=init_device_mesh("cpu", shape, mesh_dim_names=("ddp", "fsdp")[-len(shape):]))
    state = model.state_dict()
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]  # safetensors do not store a tensor twice
    file_of = {name: 1 + i % files for i, name in enumerate(state)}
    dcp.save(state, storage_writer=HuggingFaceStorageWriter(str(directory), fqn_to_index_mapping=file_of, save_distributed=True))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
