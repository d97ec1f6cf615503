"""Makes tests/fixtures/megatron: checkpoints of Megatron-LM (`torch_dist`), as slime, miles and verl leave them.

The weights are those of golden checkpoints. They are put into Megatron's own GPTModel, one process per rank (gloo, CPU),
and saved by `megatron.core.dist_checkpointing.save`. Before that, one process runs that model, and its entropies must be
those of golden.json: so the order of q, k and v and of gate and up is Megatron's and not this script's.

The layers are those of Megatron itself (`get_gpt_layer_local_spec`); its map of names gives them the names of the
layers of Transformer Engine in the checkpoint, so that both save the same.

Made with Python 3.11, torch 2.11.0 (CPU), megatron-core 0.16.1, transformers 5.23.0, gloo. The bytes differ between runs
in ids only.

    pip install torch==2.11.0 transformers==5.23.0 megatron-core==0.16.1 psutil
    python3 tests/compute/make_megatron.py [CASE ...]
"""
import json
import os
import sys
import warnings
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
warnings.simplefilter("ignore")

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import torch.nn.functional as F
from common import FIXTURES, free_port, fresh, score
from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.mapping import ShardedObject, ShardedTensor
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec, get_gpt_layer_local_spec
from megatron.core.tensor_parallel.random import get_cuda_rng_tracker
from megatron.core.transformer.moe import moe_utils
from megatron.core.transformer.transformer_config import TransformerConfig
from transformers import AutoModelForCausalLM

MEGATRON = FIXTURES.parent / "megatron"


@dataclass
class Case:
    golden: str
    tensor: int = 1  # ranks by kind of parallelism
    pipeline: int = 1
    expert: int = 1
    vocabulary: int = 384  # padded to a multiple of 128 per rank, as Megatron-LM does
    metadata: dict = field(default_factory=dict)

    @property
    def ranks(self):
        return max(self.tensor, self.expert) * self.pipeline


CASES = {
    "qwen2-1": Case("qwen2"),
    "qwen3-tp2": Case("qwen3", tensor=2, vocabulary=512),
    "llama-pp2": Case("llama", pipeline=2, metadata={"non_homogeneous_layers": True}),
    "mistral-tp2-pp2": Case("mistral", tensor=2, pipeline=2, vocabulary=512, metadata={"singleton_local_shards": True}),
    "moe-ep2": Case("qwen3_moe", expert=2),
    "moe-single": Case("qwen3_moe", metadata={"singleton_local_shards": True}),
}


def main():
    chosen = sys.argv[1:] or CASES
    for name in chosen:
        case = CASES[name]
        check(case)
        os.chdir(fresh(MEGATRON / name))  # the path of the checkpoint is written into it
        Path("iter_0000012").mkdir()
        multiprocessing.spawn(save_rank, (case.ranks, free_port(), case), nprocs=case.ranks)
        Path("latest_checkpointed_iteration.txt").write_text("12")
        print(name)


def check(case):
    """Megatron's model in one process has the entropies of golden.json."""
    one = Case(case.golden, vocabulary=case.vocabulary)
    multiprocessing.spawn(check_rank, (1, free_port(), one), nprocs=1)


def check_rank(rank, ranks, port, case):
    start(rank, ranks, port, case)
    golden = json.loads((FIXTURES / case.golden / "golden.json").read_text())
    rollouts = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text().splitlines()]
    # llama-plain has other prompt ids; the others share them.
    model = filled_model(case)
    config = hf_config(case)

    def logits(ids):
        positions = torch.arange(len(ids))
        mask = positions[None] > positions[:, None]
        window = config.sliding_window if getattr(config, "sliding_window", None) else len(ids)
        mask = (mask | (positions[:, None] - positions[None] >= window))[None, None]
        with torch.no_grad():
            return model(torch.tensor([ids]), positions[None], mask)[0, :, :config.vocab_size]

    ours = score(logits, rollouts, 1.0)["token_mean"]
    theirs = golden["temperatures"]["1.0"]["token_mean"]
    assert abs(ours - theirs) < 1e-5, (case.golden, ours, theirs)
    print(f"{case.golden:12} Megatron {ours:.7f} transformers {theirs:.7f}")
    dist.destroy_process_group()


def start(rank, ranks, port, case):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.cuda.current_device = lambda: torch.device("cpu")  # Megatron uses a GPU without need
    moe_utils.te_general_gemm = None  # the name is not defined without Transformer Engine
    torch.cuda.synchronize = lambda *_: None
    torch.Tensor.cuda = lambda tensor, *_, **__: tensor
    dist.init_process_group("gloo", init_method=f"tcp://localhost:{port}", rank=rank, world_size=ranks)
    parallel_state.initialize_model_parallel(case.tensor, case.pipeline, expert_model_parallel_size=case.expert, expert_tensor_parallel_size=1)
    get_cuda_rng_tracker().fork = lambda *_, **__: nullcontext()  # random numbers of the GPU, for dropout


def hf_config(case):
    return AutoModelForCausalLM.from_pretrained(FIXTURES / case.golden, dtype=torch.float32).config


def filled_model(case):
    """Megatron's model of this rank with the weights of the golden checkpoint."""
    hf = AutoModelForCausalLM.from_pretrained(FIXTURES / case.golden, dtype=torch.float32)
    config = hf.config
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    moe = {}
    if experts:
        dense = config.mlp_only_layers
        moe = dict(num_moe_experts=experts, moe_router_topk=config.num_experts_per_tok, moe_ffn_hidden_size=config.moe_intermediate_size,
                   moe_layer_freq=[0 if i in dense else 1 for i in range(config.num_hidden_layers)], moe_router_load_balancing_type="none",
                   moe_token_dispatcher_type="allgather", moe_router_pre_softmax=False)
    transformer = TransformerConfig(
        num_layers=config.num_hidden_layers, hidden_size=config.hidden_size, num_attention_heads=config.num_attention_heads,
        num_query_groups=config.num_key_value_heads, kv_channels=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        ffn_hidden_size=config.intermediate_size, gated_linear_unit=True, activation_func=F.silu, normalization="RMSNorm", layernorm_epsilon=config.rms_norm_eps,
        add_bias_linear=getattr(config, "mlp_bias", False), add_qkv_bias=config.model_type == "qwen2" or getattr(config, "attention_bias", False),
        qk_layernorm=config.model_type.startswith("qwen3"), use_cpu_initialization=True, perform_initialization=False, hidden_dropout=0.0, attention_dropout=0.0,
        tensor_model_parallel_size=case.tensor, pipeline_model_parallel_size=case.pipeline, expert_model_parallel_size=case.expert, expert_tensor_parallel_size=1,
        pipeline_dtype=torch.float32, masked_softmax_fusion=False, bias_dropout_fusion=False, apply_rope_fusion=False, gradient_accumulation_fusion=False, **moe)
    if experts:
        layers = get_gpt_decoder_block_spec(transformer, use_transformer_engine=False, normalization="RMSNorm")
    else:
        layers = get_gpt_layer_local_spec(qk_layernorm=transformer.qk_layernorm, normalization="RMSNorm")
    rope = config.rope_parameters
    model = GPTModel(transformer, layers, case.vocabulary, config.max_position_embeddings,
                     pre_process=parallel_state.is_pipeline_first_stage(), post_process=parallel_state.is_pipeline_last_stage(),
                     share_embeddings_and_output_weights=config.tie_word_embeddings, position_embedding_type="rope", rotary_base=rope["rope_theta"]).eval()
    if rope["rope_type"] != "default" and hasattr(model, "rotary_pos_emb"):
        # The frequencies are settings, not weights; those of transformers.
        model.rotary_pos_emb.inv_freq = hf.model.rotary_emb.inv_freq.clone()
    fill(model, {name: tensor.detach() for name, tensor in hf.state_dict().items()}, config, case)
    return model


def fill(model, hf, config, case):
    """Megatron's order: q, k and v by group of heads; gate above up; each rank has a part of the rows or columns."""
    rank, ranks = parallel_state.get_tensor_model_parallel_rank(), case.tensor
    rows = lambda tensor: tensor.chunk(ranks)[rank]
    columns = lambda tensor: tensor.chunk(ranks, dim=1)[rank]
    padded = lambda tensor: torch.cat([tensor, torch.full((case.vocabulary - len(tensor), tensor.shape[1]), 0.25)])

    def qkv(at, what):
        parts = [hf[f"{at}.{name}_proj.{what}"] for name in "qkv"]
        groups = [part.reshape(config.num_key_value_heads, -1, *part.shape[1:]) for part in parts]
        return rows(torch.cat(groups, dim=1).flatten(0, 1))

    gate_up = lambda at, what: torch.cat([rows(hf[f"{at}.{name}_proj.{what}"]) for name in ("gate", "up")])
    for name, parameter in model.named_parameters():
        if name == "embedding.word_embeddings.weight":
            value = rows(padded(hf["model.embed_tokens.weight"]))
        elif name == "output_layer.weight":
            value = rows(padded(hf["lm_head.weight"]))
        elif name == "decoder.final_layernorm.weight":
            value = hf["model.norm.weight"]
        else:
            _, _, number, module = name.split(".", 3)
            number = int(number) + parallel_state.get_pipeline_model_parallel_rank() * (config.num_hidden_layers // case.pipeline)
            at = f"model.layers.{number}"
            what = name.rsplit(".", 1)[1]
            if module.startswith("mlp.experts.local_experts."):
                expert = int(module.split(".")[3]) + parallel_state.get_expert_model_parallel_rank() * (config.num_local_experts // case.expert)
                value = hf[f"{at}.mlp.experts.{'gate_up_proj' if 'fc1' in module else 'down_proj'}"][expert]
            else:
                value = {
                    "input_layernorm": lambda: hf[f"{at}.input_layernorm.weight"],
                    "pre_mlp_layernorm": lambda: hf[f"{at}.post_attention_layernorm.weight"],
                    "self_attention.q_layernorm": lambda: hf[f"{at}.self_attn.q_norm.weight"],
                    "self_attention.k_layernorm": lambda: hf[f"{at}.self_attn.k_norm.weight"],
                    "self_attention.linear_qkv": lambda: qkv(f"{at}.self_attn", what),
                    "self_attention.linear_proj": lambda: (columns if what == "weight" else lambda bias: bias)(hf[f"{at}.self_attn.o_proj.{what}"]),
                    "mlp.linear_fc1": lambda: gate_up(f"{at}.mlp", what),
                    "mlp.linear_fc2": lambda: (columns if what == "weight" else lambda bias: bias)(hf[f"{at}.mlp.down_proj.{what}"]),
                    "mlp.router": lambda: hf[f"{at}.mlp.gate.weight"],
                }[module.rsplit(".", 1)[0]]()
        assert parameter.shape == value.shape, (name, parameter.shape, value.shape)
        parameter.data.copy_(value)


def save_rank(rank, ranks, port, case):
    start(rank, ranks, port, case)
    model = filled_model(case)
    if case.golden == "qwen3":
        model.bfloat16()  # the golden checkpoint is, too
    weights = model.sharded_state_dict(metadata={**case.metadata, "dp_cp_group": parallel_state.get_data_parallel_group(with_context_parallel=True)})
    # Other state, as Megatron-LM has it beside the model: a part of an optimizer's, random numbers, the arguments.
    moment = ShardedTensor.from_rank_offsets("optimizer.state.exp_avg.decoder.final_layernorm.weight", torch.ones(4), replica_id=rank)
    state = {"model": weights, "optimizer": {"moment": moment}, "rng_state": [ShardedObject("rng_state", [torch.get_rng_state()[:4]], (ranks,), (rank,), 0)],
             "args": Namespace(tensor_model_parallel_size=case.tensor), "iteration": 12, "checkpoint_version": 3.0}
    dist_checkpointing.save(state, "iter_0000012")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
