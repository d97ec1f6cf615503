"""Makes tests/fixtures/megatron/slime-common.pt: what slime's trainer saves as iter_N/common.pt, made smaller.

Megatron saves the arguments of the program, and slime adds its own. They are an argparse.Namespace with values of many
types, also of modules that a reader does not have.

Made with torch 2.11.0.

    python3 tests/compute/make_slime_common.py
"""
import argparse
import enum
import functools
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import torch
from common import FIXTURES


class AttentionBackend(enum.Enum):
    auto = 5


def reward(sample, weight):
    return weight


arguments = argparse.Namespace(
    hf_checkpoint="org/qwen3-tiny", load=None, save=Path("checkpoints"), params_dtype=torch.bfloat16, attention_backend=AttentionBackend.auto,
    custom_reward=functools.partial(reward, weight=0.5), rotary_base=1_000_000, betas=(0.9, 0.98), data_path=["train.jsonl"], seed={1, 2}, num_layers=3,
)
target = FIXTURES.parent / "megatron" / "slime-common.pt"
torch.save({"args": arguments, "checkpoint_version": 3.0, "iteration": 12, "rng_state": torch.get_rng_state()[:16]}, target)
