"""Checks the fixtures of make_golden.py: that they load, are reproducible, and detect mistakes.

A golden number is worth what it would catch. So each thing an implementation could leave out (a window, a
bias, a rope scaling) is left out here in transformers itself, and the table says by how much the token mean
and the worst entropy or log-probability of one token move. Exits with 1 when a number does not hold.

    python3 tests/compute/check_golden.py
"""
import itertools
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
from common import FIXTURES, TEMPERATURES, score
from make_golden import ADAPTERS, CASES, all_logits, has_experts, load, quieten
from transformers import AutoConfig

SEEN = 1e-3  # a mistake that changes the token mean by less may be mistaken for rounding


def main():
    torch.set_num_threads(1)
    quieten()
    rollouts = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()]
    faults = []
    for name in [*CASES, *ADAPTERS]:
        faults += check_case(name, rollouts)
    faults += check_torchscript(rollouts)
    print("\nleft out                                          token mean     worst token")
    for name, what, model in mistakes():
        moved, worst = difference(golden(name), model, rollouts)
        print(f"{name:15} {what:33} {moved:10.6f} {worst:15.6f}{'' if moved > SEEN else '   not noticed by the mean'}")
    print("\n" + ("\n".join(faults) or "all fixtures hold"))
    sys.exit(bool(faults))


def check_case(name, rollouts):
    expected = golden(name)
    faults = []
    checks = [("again", 1e-5, load(name)), ("float64", 1e-4, load(name).double()), ("config of transformers 4", 1e-5, load(name, config=older_config(name)))]
    if name not in ("gemma2", "gpt_oss"):  # soft caps and sinks have no fused kernel
        checks.append(("sdpa", 1e-4, load(name, "sdpa")))
    for what, tolerance, model in checks:
        worst = max(difference(expected, model, rollouts, temperature)[1] for temperature in TEMPERATURES)
        print(f"{name:15} {what:26} {worst:.1e}")
        if worst > tolerance:
            faults.append(f"{name}: {what}: a token differs by {worst}")
    # Nemotron-H chooses groups first: its greedy continuations and float64 are the check.
    if has_experts(name) and name != "nemotron_h" and routing_margin(load(name), rollouts) < 1e-4:
        faults.append(f"{name}: two experts are a near tie")
    for row in expected["greedy_12"]:
        if row["min_top2_margin"] < 1e-3:
            faults.append(f"{name}: greedy continuation of prompt {row['id']} is a near tie")
    return faults


def golden(name):
    return json.loads((FIXTURES / name / "golden.json").read_text())


def older_config(name):
    base = FIXTURES / ("qwen2" if name in ADAPTERS else name)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "config.json").write_text((base / "config.transformers4.json").read_text())
        return AutoConfig.from_pretrained(directory)


def difference(expected, model, rollouts, temperature=1.0):
    """Differences of the token mean and of the worst single entropy or log-probability from the golden values."""
    found = score(lambda ids: all_logits(model, ids), rollouts, temperature)
    wanted = expected["temperatures"][str(temperature)]
    worst = max(abs(a - b) for one, other in zip(found["per_rollout"], wanted["per_rollout"], strict=True)
                for key in ("entropy", "logprob") for a, b in zip(one[key], other[key], strict=True))
    return abs(found["token_mean"] - wanted["token_mean"]), worst


def routing_margin(model, rollouts):
    """The smallest gap, over all tokens and layers, between the last chosen expert (or group) and the first one not chosen."""
    gaps = []

    def watch(router, inputs, outputs):
        if type(router).__name__ == "Gemma4TextRouter":
            gaps.append(gap(outputs[0], router.config.top_k_experts))
            return
        bias = inputs[1] if len(inputs) > 1 else getattr(router, "e_score_correction_bias", None)
        logits = torch.nn.functional.linear(inputs[0].flatten(0, -2), router.weight)
        scores = logits.softmax(-1) if bias is None else logits.sigmoid() + bias
        groups, chosen = getattr(router, "num_group", None) or 1, getattr(router, "topk_group", None) or 1
        smallest = torch.inf
        if chosen < groups and getattr(router, "topk_method", "") != "greedy":
            by_group = scores.unflatten(-1, (groups, -1))
            best = by_group.topk(1 if bias is None else 2).values.sum(-1)
            smallest = gap(best, chosen)
            left_out = torch.ones_like(best, dtype=torch.bool).scatter(1, best.topk(chosen).indices, False)
            scores = by_group.masked_fill(left_out[..., None], -torch.inf).flatten(1)
        gaps.append(min(smallest, gap(scores, router.top_k)))

    routers = [module for module in model.modules() if type(module).__name__.lower().endswith(("topkrouter", "llama4router", "gemma4textrouter"))]
    for router in routers:
        router.register_forward_hook(watch)
    for row in rollouts:
        all_logits(model, row["prompt_token_ids"] + row["response_token_ids"])
    assert len(gaps) == len(routers) * len(rollouts) > 0
    return min(gaps)


def gap(scores, chosen):
    best = scores.topk(chosen + 1).values
    return (best[:, -2] - best[:, -1]).min().item()


def check_torchscript(rollouts):
    """Right-padded batches must equal single sequences: shapes are dynamic and attention is causal."""
    module = torch.jit.load(FIXTURES / "torchscript" / "model.pt")
    faults = []
    sequences = [row["prompt_token_ids"] + row["response_token_ids"] for row in rollouts]
    for size, start in itertools.product((1, 2, 5, 12), (0, 3, 7)):
        batch = sequences[start:start + size]
        width = max(map(len, batch))
        with torch.inference_mode():
            together = module(torch.tensor([ids + [0] * (width - len(ids)) for ids in batch]))
            for row, ids in zip(together, batch, strict=True):
                if (row[:len(ids)] - module(torch.tensor([ids]))[0]).abs().max() > 1e-4:
                    faults.append(f"torchscript: a batch of {len(batch)} by {width} differs from its rows")
    return faults


def mistakes():
    """Each case with one feature missing or wrong."""
    for name, overrides in [
        ("qwen2-sliding", {"layer_types": ["full_attention"] * 2}),
        ("qwen2-sliding", {"layer_types": ["sliding_attention"] * 2}),
        ("qwen2-sliding", {"sliding_window": 9}),
        ("mistral", {"sliding_window": None}),
        ("mistral", {"sliding_window": 9}),
        ("mistral", {"sliding_window": 7}),
        ("mistral", {"rms_norm_eps": 1e-6}),
        ("gemma2", {"layer_types": ["full_attention"] * 2}),
        ("gemma2", {"layer_types": ["full_attention", "sliding_attention"]}),
        ("gemma2", {"sliding_window": 9}),
        ("gemma2", {"attn_logit_softcapping": None}),
        ("gemma2", {"final_logit_softcapping": None}),
        ("gemma2", {"query_pre_attn_scalar": 8}),
        ("gemma2", {"hidden_activation": "gelu"}),
        ("phi3-partial", {"sliding_window": None}),
        ("phi3-partial", {"sliding_window": 9}),
        ("qwen3_moe", {"norm_topk_prob": False}),
        ("qwen3_moe", {"num_experts_per_tok": 1}),
        ("qwen3_moe-raw", {"norm_topk_prob": True}),
        ("cohere", {"logit_scale": 0.0625}),
        ("cohere2", {"layer_types": ["sliding_attention"] * 4}),
        ("cohere2", {"logit_scale": 0.0625}),
        ("cohere2", {"sliding_window": 9}),
        ("exaone4", {"layer_types": ["full_attention"] * 4}),
        ("exaone4", {"sliding_window": 9}),
        ("gemma3_text", {"sliding_window": 9}),
        ("gemma3_text", {"final_logit_softcapping": None}),
        ("gemma3_text", {"query_pre_attn_scalar": 8}),
        ("gemma3n_text", {"sliding_window": 9}),
        ("gemma3n_text", {"altup_active_idx": 0}),
        ("gemma3n_text", {"altup_correct_scale": False}),
        ("gemma3n_text", {"activation_sparsity_pattern": [0.0] * 5}),
        ("gemma3n_text", {"final_logit_softcapping": 30.0}),
        ("gemma4_text", {"sliding_window": 9}),
        ("gemma4_text", {"final_logit_softcapping": None}),
        ("gemma4_text", {"hidden_activation": "silu"}),
        ("gemma4_text-moe", {"top_k_experts": 1}),
        ("gemma4_text-moe", {"rms_norm_eps": 1e-2}),
        ("granite", {"embedding_multiplier": 1.0}),
        ("granite", {"attention_multiplier": 0.35}),
        ("granite", {"residual_multiplier": 1.0}),
        ("granite", {"logits_scaling": 1.0}),
        ("granitemoe", {"embedding_multiplier": 1.0}),
        ("granitemoe", {"attention_multiplier": 0.35}),
        ("granitemoe", {"residual_multiplier": 1.0}),
        ("granitemoe", {"logits_scaling": 1.0}),
        ("granitemoe", {"num_experts_per_tok": 2}),
        ("ministral", {"sliding_window": 9}),
        ("ministral3", {"sliding_window": None}),
        ("ministral3", {"sliding_window": 25}),
        ("mixtral", {"sliding_window": 9}),
        ("mixtral", {"num_experts_per_tok": 1}),
        ("nemotron_h", {"time_step_min": 0.001}),
        ("nemotron_h", {"norm_topk_prob": False}),
        ("nemotron_h", {"topk_group": 4}),
        ("nemotron_h", {"routed_scaling_factor": 1.0}),
        ("nemotron_h", {"layer_norm_epsilon": 1e-6}),
        ("lfm2", {"norm_eps": 1e-6}),
        ("lfm2_moe", {"norm_topk_prob": False}),
        ("lfm2_moe", {"num_experts_per_tok": 2}),
        ("lfm2_moe", {"routed_scaling_factor": 1.0}),
        ("olmo3", {"sliding_window": 9}),
        ("nemotron", {"hidden_act": "relu"}),
        ("qwen2_moe", {"norm_topk_prob": False}),
        ("qwen3_next", {"norm_topk_prob": False}),
        ("qwen3_next", {"num_experts_per_tok": 1}),
        ("qwen3_next", {"hidden_act": "gelu"}),
        ("qwen3_5_text", {"rms_norm_eps": 1e-2}),
        ("qwen3_5_moe_text", {"num_experts_per_tok": 1}),
        ("smollm3", {"no_rope_layers": [1, 1, 1]}),
        ("smollm3", {"no_rope_layers": [0, 1, 0]}),
        ("smollm3", {"sliding_window": 9}),
        ("starcoder2", {"sliding_window": 9}),
        ("starcoder2", {"hidden_act": "relu"}),
        ("glm4_moe", {"topk_group": 4}),
        ("glm4_moe", {"routed_scaling_factor": 1.0}),
        ("glm4_moe", {"norm_topk_prob": False}),
        ("deepseek_v3", {"topk_group": 4}),
        ("deepseek_v3", {"routed_scaling_factor": 1.0}),
        ("deepseek_v3", {"rope_interleave": False}),
        ("deepseek_v3-direct", {"rope_interleave": True}),
        ("deepseek_v3-direct", {"norm_topk_prob": True}),
        ("deepseek_v2", {"topk_method": "greedy"}),
        ("deepseek_v2", {"topk_group": 3}),
        ("deepseek_v2", {"routed_scaling_factor": 1.0}),
        ("glm4_moe_lite", {"rope_interleave": False}),
        ("glm4_moe_lite", {"num_experts_per_tok": 2}),
        ("minimax_m2", {"num_experts_per_tok": 1}),
        ("llama4_text", {"attention_chunk_size": 10}),
        ("llama4_text", {"attn_temperature_tuning": False}),
        ("llama4_text", {"floor_scale": 9}),
        ("llama4_text", {"use_qk_norm": False}),
        ("gpt_oss", {"sliding_window": 9}),
        ("gpt_oss", {"swiglu_limit": 7.0}),
        ("gpt_oss", {"swiglu_alpha": 1.0}),
        ("gpt_oss", {"num_experts_per_tok": 2}),
        ("gpt_oss", {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
    ]:
        yield name, ", ".join(f"{key}={short(value)}" for key, value in overrides.items()), load(name, **overrides)

    for name, change in [
        ("qwen2", {"rope_theta": 10000.0}),
        ("qwen2-yarn", {"rope_type": "default"}),
        ("qwen2-yarn", {"attention_factor": 1.0}),
        ("qwen2-yarn", {"original_max_position_embeddings": 128}),
        ("llama", {"rope_type": "default"}),
        ("llama", {"rope_type": "linear"}),
        ("llama", {"low_freq_factor": 0.5}),
        ("llama-plain", {"rope_type": "default"}),
        ("phi3-partial", {"partial_rotary_factor": 1.0}),
        ("phi3-longrope", {"long_factor": [1.0, 1.1, 1.3, 1.6]}),
        ("phi3-longrope", {"short_factor": [1.2, 2.5, 5.0, 9.0]}),
        ("phi3-longrope", {"attention_factor": 1.0}),
        ("glm", {"partial_rotary_factor": 1.0}),
        ("glm4", {"partial_rotary_factor": 0.5}),
        ("hunyuan_v1_dense", {"alpha": 1.0}),
        ("internlm3-dynamic", {"rope_type": "default"}),
        ("internlm3-dynamic", {"factor": 5.0}),
        ("ministral3", {"llama_4_scaling_beta": 0.0}),
        ("ministral3", {"rope_type": "default"}),
        ("nemotron", {"partial_rotary_factor": 1.0}),
        ("phi", {"partial_rotary_factor": 0.5}),
        ("gemma3_text", {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}),
        ("gemma3_text", {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}),
        ("gemma3n_text", {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}),
        ("gemma4_text", {"full_attention": {"rope_type": "default", "rope_theta": 1000.0}}),
        ("gemma4_text", {"sliding_attention": {"rope_type": "default", "rope_theta": 1000.0}}),
        ("olmo3", {"full_attention": {"rope_type": "default", "rope_theta": 1000.0}}),
        ("olmo3", {"sliding_attention": {"rope_type": "default", "rope_theta": 1000.0}}),
        ("qwen3_next", {"partial_rotary_factor": 0.5}),
        ("qwen3_5_text", {"partial_rotary_factor": 1.0}),
        ("glm4_moe", {"partial_rotary_factor": 1.0}),
        ("deepseek_v3", {"mscale_all_dim": 0.0}),
        ("minimax_m2", {"partial_rotary_factor": 1.0}),
        ("llama4_text", {"rope_type": "default"}),
        ("gpt_oss", {"rope_type": "default"}),
        ("gpt_oss", {"truncate": True}),
    ]:
        config = AutoConfig.from_pretrained(FIXTURES / name)
        config.rope_parameters = dict(config.rope_parameters, **change)
        yield name, "rope: " + ", ".join(f"{key}={short(value)}" for key, value in change.items()), load(name, config=config)

    for name, part, neutral in [
        ("qwen2", "q_proj.bias", 0.0), ("qwen2", "k_proj.bias", 0.0), ("qwen2", "v_proj.bias", 0.0),
        ("llama", "q_proj.bias", 0.0), ("llama", "k_proj.bias", 0.0), ("llama", "v_proj.bias", 0.0), ("llama", "o_proj.bias", 0.0),
        ("llama", "gate_proj.bias", 0.0), ("llama", "up_proj.bias", 0.0), ("llama", "down_proj.bias", 0.0),
        ("qwen3", "q_norm.weight", 1.0), ("qwen3", "k_norm.weight", 1.0), ("qwen3_moe", "q_norm.weight", 1.0),
        ("gemma2", "pre_feedforward_layernorm.weight", 0.0), ("gemma2", "post_feedforward_layernorm.weight", 0.0),
        ("gemma2", "post_attention_layernorm.weight", 0.0), ("phi3", "input_layernorm.weight", 1.0), ("mistral", "model.norm.weight", 1.0),
        ("olmo2", "q_norm.weight", 1.0), ("olmo2", "k_norm.weight", 1.0), ("olmo2", "post_attention_layernorm.weight", 1.0),
        ("exaone4", "q_norm.weight", 1.0), ("gemma3_text", "k_norm.weight", 0.0), ("glm4", "post_self_attn_layernorm.weight", 1.0),
        ("gpt_oss", "sinks", -1e9), ("gpt_oss", "router.bias", 0.0), ("gpt_oss", "gate_up_proj_bias", 0.0), ("gpt_oss", "down_proj_bias", 0.0),
        ("gpt_oss", "q_proj.bias", 0.0), ("gpt_oss", "o_proj.bias", 0.0),
        ("cohere", "q_norm.weight", 1.0), ("cohere", "k_norm.weight", 1.0), ("cohere2", "o_proj.bias", 0.0),
        ("hunyuan_v1_dense", "query_layernorm.weight", 1.0), ("hunyuan_v1_dense", "key_layernorm.weight", 1.0),
        ("nemotron", "input_layernorm.weight", 0.0), ("nemotron", "norm.bias", 0.0), ("nemotron", "down_proj.bias", 0.0),
        ("phi", "input_layernorm.bias", 0.0), ("phi", "final_layernorm.bias", 0.0), ("phi", "q_layernorm.weight", 1.0), ("phi", "k_layernorm.bias", 0.0),
        ("phi", "lm_head.bias", 0.0), ("phi", "dense.bias", 0.0), ("phi", "fc1.bias", 0.0),
        ("starcoder2", "post_attention_layernorm.bias", 0.0), ("starcoder2", "model.norm.bias", 0.0), ("starcoder2", "c_fc.bias", 0.0),
        ("gemma3n_text", "prediction_coefs.weight", 0.0), ("gemma3n_text", "correction_coefs.weight", 0.0), ("gemma3n_text", "router_norm.weight", 1.0),
        ("gemma3n_text", "post_laurel_norm.weight", 1.0), ("gemma3n_text", "linear_right.weight", 0.0), ("gemma3n_text", "altup_projections.1.weight", 0.0),
        ("gemma3n_text", "altup_unembed_projections.0.weight", 0.0), ("gemma3n_text", "post_per_layer_input_norm.weight", 1.0),
        ("gemma4_text", "layer_scalar", 1.0), ("gemma4_text", "k_norm.weight", 1.0), ("gemma4_text", "embed_tokens_per_layer.weight", 0.0),
        ("gemma4_text", "per_layer_model_projection.weight", 0.0), ("gemma4_text", "per_layer_projection_norm.weight", 1.0),
        ("gemma4_text", "post_per_layer_input_norm.weight", 1.0), ("gemma4_text-moe", "router.scale", 1.0), ("gemma4_text-moe", "per_expert_scale", 1.0),
        ("gemma4_text-moe", "post_feedforward_layernorm_1.weight", 1.0), ("gemma4_text-moe", "pre_feedforward_layernorm_2.weight", 1.0),
        ("glm4", "post_mlp_layernorm.weight", 1.0), ("seed_oss", "o_proj.bias", 0.0), ("smollm3", "down_proj.bias", 0.0),
        ("ernie4_5", "o_proj.bias", 0.0), ("arcee", "up_proj.bias", 0.0), ("qwen2_moe", "shared_expert_gate.weight", 0.0),
        ("qwen3_next", "A_log", 0.0), ("qwen3_next", "dt_bias", 0.0), ("qwen3_next", "linear_attn.norm.weight", 1.0), ("qwen3_next", "q_norm.weight", 0.0),
        ("qwen3_5_text", "A_log", 0.0), ("qwen3_5_text", "dt_bias", 0.0), ("qwen3_5_text", "in_proj_z.weight", 0.0), ("qwen3_5_text", "in_proj_a.weight", 0.0),
        ("qwen3_5_text", "in_proj_b.weight", 0.0), ("qwen3_5_text", "q_proj.bias", 0.0), ("qwen3_5_text", "input_layernorm.weight", 0.0),
        ("lfm2", "conv.conv.bias", 0.0), ("lfm2", "conv.in_proj.bias", 0.0), ("lfm2", "q_layernorm.weight", 1.0),
        ("lfm2_moe", "conv.conv.bias", 0.0), ("lfm2_moe", "operator_norm.weight", 1.0),
        ("nemotron_h", "mixer.D", 0.0), ("nemotron_h", "A_log", 0.0), ("nemotron_h", "dt_bias", 0.0), ("nemotron_h", "conv1d.bias", 0.0),
        ("nemotron_h", "mixer.norm.weight", 1.0), ("nemotron_h", "fc2_latent_proj.bias", 0.0),
        ("lora", "q_proj.lora_B.default.weight", 0.0), ("lora", "v_proj.lora_B.default.weight", 0.0), ("lora", "down_proj.lora_B.default.weight", 0.0),
    ]:
        model = load(name)
        with torch.no_grad():
            named = [*model.named_parameters(), *model.named_buffers()]
            changed = [parameter.fill_(neutral) for parameter_name, parameter in named if parameter_name.endswith(part)]
        assert changed, f"{name} has no {part}"
        yield name, part.replace(".default", "") + f"={neutral:g}", model

    for name, factor in [("lora", 2.0), ("lora-rslora", 0.5)]:
        model = load(name)
        for module in model.modules():
            if hasattr(module, "lora_B"):
                module.scaling["default"] *= factor
        yield name, "use_rslora the other way", model


def short(value):
    return json.dumps(value).replace("_attention", "").replace('"', "")


if __name__ == "__main__":
    main()
