"""Makes tests/fixtures/shards/zero*: checkpoints of DeepSpeed, as OpenRLHF leaves them without `--ckpt.save_hf`.

The weights are those of golden checkpoints. ZeRO-2 keeps the whole model in one file; ZeRO-3 cuts every parameter into
one flat piece per rank, which are not multiples of anything here.

Made with Python 3.11, torch 2.11.0 (CPU), DeepSpeed 0.19.8, transformers 5.23.0, peft 0.21.2, gloo.

    pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 deepspeed==0.19.8 ninja
    python3 tests/compute/make_deepspeed.py
"""
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DS_ACCELERATOR"] = "cpu"
sys.dont_write_bytecode = True

import torch
import torch.multiprocessing as multiprocessing
from common import FIXTURES, free_port, fresh

SHARDS = FIXTURES.parent / "shards"

# case: (golden checkpoint, ranks, stage)
CASES = {"zero2-2": ("qwen2-sliding", 2, 2), "zero3-3": ("qwen3", 3, 3), "zero3-lora-2": ("lora", 2, 3)}


def main():
    for name, (golden, ranks, stage) in CASES.items():
        directory = fresh(SHARDS / name)
        multiprocessing.spawn(save_rank, (ranks, free_port(), directory, golden, stage), nprocs=ranks)
        for file in directory.glob("**/*optim_states.pt"):
            if stage < 3:
                file.unlink()  # whole weights are in the other file
        tag = directory / "global_step1"
        for file in [file for file in directory.iterdir() if file != tag]:
            file.unlink()  # scripts, and the name of the last step
        for file in tag.iterdir():
            file.rename(directory / file.name)
        tag.rmdir()
        if golden == "lora":
            # The factor is only in the run's settings; verl writes this file.
            (directory / "lora_train_meta.json").write_text('{"r": 4, "lora_alpha": 8}\n')


def save_rank(rank, ranks, port, directory, golden, stage):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR="localhost", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    import deepspeed
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    deepspeed.init_distributed(dist_backend="gloo")
    is_lora = golden == "lora"
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / ("qwen2" if is_lora else golden), dtype=torch.float32)
    if is_lora:
        model = PeftModel.from_pretrained(model, FIXTURES / golden, is_trainable=True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Small groups of parameters, so that there are several per rank, as in a large model.
    zero = {"stage": stage, "sub_group_size": 8192}
    # Frozen weights are kept in the type of training, so that bfloat16 would round them.
    options = {"train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": stage == 3 and not is_lora}, "zero_optimization": zero, "zero_allow_untested_optimizer": True}
    # Weight decay for matrices only, as trainers set it. SGD without momentum: no state but the weights.
    matrices = [parameter for parameter in trained if parameter.dim() > 1]
    vectors = [parameter for parameter in trained if parameter.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    engine, *_ = deepspeed.initialize(model=model, optimizer=torch.optim.SGD(groups, lr=0.0), config=options)
    engine.save_checkpoint(str(directory), tag="global_step1", client_state={"consumed_samples": 128})


if __name__ == "__main__":
    main()
