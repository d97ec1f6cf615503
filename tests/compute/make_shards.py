"""Makes tests/fixtures/shards: the weights of golden checkpoints as trainers leave them, without merging.

Each case is written by torch itself, with one process per rank (gloo, CPU): FSDP1 and FSDP2 as verl saves them,
torch's distributed checkpoints (DCP), and files of torch.save. The test puts config and tokenizer of the golden
checkpoint beside the weights and expects its numbers. Uneven rows come from W = 3 and from biases.

Made with Python 3.11, torch 2.11.0 (CPU), transformers 5.23.0, peft 0.21.2. The bytes differ between runs in hashes and
group names only.

    pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2
    python3 tests/compute/make_shards.py
"""
import json
import os
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as multiprocessing
from common import FIXTURES, free_port, fresh
from peft import PeftModel
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, ShardedStateDictConfig, StateDictType, fully_shard
from transformers import AutoModelForCausalLM

SHARDS = FIXTURES.parent / "shards"

# case: (golden checkpoint, ranks, kind)
CASES = {
    "fsdp2-1": ("qwen2-sliding", 1, "fsdp2"),
    "fsdp1-2": ("mistral", 2, "fsdp1"),
    "fsdp2-3": ("llama", 3, "fsdp2"),
    "fsdp2-4": ("qwen3", 4, "fsdp2"),
    "fsdp2-moe-3": ("qwen3_moe", 3, "fsdp2"),  # all experts of a layer are one tensor in transformers 5
    "hsdp-4": ("qwen2-yarn", 4, "hsdp"),
    "lora-2": ("lora", 2, "lora"),
    "dcp-2": ("phi3-partial", 2, "dcp"),
}


def main():
    for name, (golden, ranks, kind) in CASES.items():
        directory = fresh(SHARDS / name)
        multiprocessing.spawn(save_rank, (ranks, free_port(), directory, golden, kind), nprocs=ranks)
    save_whole()


def save_rank(rank, ranks, port, directory, golden, kind):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://localhost:{port}", rank=rank, world_size=ranks)
    # Trainers keep float32 masters whatever the number type of the checkpoint they began with.
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / ("qwen2" if kind == "lora" else golden), dtype=torch.float32)
    if kind == "lora":
        model = PeftModel.from_pretrained(model, FIXTURES / golden, is_trainable=True)
    mesh = init_device_mesh("cpu", (2, ranks // 2), mesh_dim_names=("ddp", "fsdp")) if kind == "hsdp" else init_device_mesh("cpu", (ranks,), mesh_dim_names=("fsdp",))
    if kind == "fsdp1":
        model = FullyShardedDataParallel(model, device_mesh=mesh, use_orig_params=True, device_id=torch.device("cpu"))
        with FullyShardedDataParallel.state_dict_type(model, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig(offload_to_cpu=True)):
            state = model.state_dict()
    else:
        fully_shard(model, mesh=mesh)
        state = model.state_dict()
    if kind == "dcp":
        save_distributed(model, directory)
    else:
        torch.save(state, directory / f"model_world_size_{ranks}_rank_{rank}.pt")
    if kind == "lora" and rank == 0:
        config = model.peft_config["default"]
        meta = {"r": config.r, "lora_alpha": config.lora_alpha, "task_type": "CAUSAL_LM"}
        (directory / "lora_train_meta.json").write_text(json.dumps(meta, indent=4) + "\n")
    dist.destroy_process_group()


def save_distributed(model, directory):
    """Model, optimizer and other state in one checkpoint, as trainers save it to resume from."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    model(input_ids=torch.arange(6)[None]).logits.sum().backward()
    optimizer.step()
    names = {parameter: name for name, parameter in model.named_parameters()}
    momenta = {names[parameter]: state["momentum_buffer"] for parameter, state in optimizer.state.items()}
    few = {name: momentum for name, momentum in momenta.items() if "layers.0.mlp" in name}
    dcp.save({"model": model.state_dict(), "optim": {"state": few}, "step": 7}, checkpoint_id=directory)


def save_whole():
    """`pytorch_model.bin` with parameters and a tied head, and in two shards."""
    whole = fresh(SHARDS / "bin")
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / "gemma2", dtype=torch.float32)
    torch.save(model.state_dict(keep_vars=True), whole / "pytorch_model.bin")
    sharded = fresh(SHARDS / "bin-sharded")
    tensors = load_file(FIXTURES / "qwen3_moe" / "model.safetensors")
    files = [f"pytorch_model-{number:05}-of-00002.bin" for number in (1, 2)]
    names = sorted(tensors)
    halves = names[: len(names) // 2], names[len(names) // 2:]
    for file, half in zip(files, halves):
        torch.save({name: tensors[name] for name in half}, sharded / file)
    index = {"metadata": {}, "weight_map": {name: file for file, half in zip(files, halves) for name in half}}
    (sharded / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
