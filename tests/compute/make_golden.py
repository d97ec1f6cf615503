"""Makes tests/fixtures/compute: tiny random checkpoints, with the numbers that Hugging Face's code gives.

`entropy-viz compute` builds each architecture anew on libtorch, so its numbers are checked against the
library that defines them. The weights are random and nothing in them is at its neutral default (no zero
bias, no norm of ones), so that a bias or a scale left out shows; windows, soft caps and rope scalings are
small enough to matter within forty tokens.

Made with Python 3.11, torch 2.11.0 (CPU, one thread), transformers 5.23.0, tokenizers 0.23.3, peft 0.21.2,
pyarrow 26.0.1. Fixed seeds; run again, it gives the same bytes. No network.

    pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 pyarrow==26.0.1
    python3 tests/compute/make_golden.py && python3 tests/compute/check_golden.py
    python3 tests/compute/make_golden.py olmo2      # only this case
"""
import json
import logging
import os
import sys
import warnings
import zlib

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import chat_cases
import prompt_files
import torch
import torchscript_module
import transformers
from common import FIXTURES, TEMPERATURES, VOCABULARY, fresh, score, write_json, write_lines
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast

GREEDY_TOKENS = 12
EOS, PAD, START = "<|im_end|>", "<|endoftext|>", "<|im_start|>"

# The text from which the byte-level BPE learns its few merges.
TEXT = """What is the entropy of a policy? The answer is the mean of the entropies of its tokens, in nats.
Explain why the entropy of a policy collapses: the model is sure of the answer before it reads the question.
def mean(values):
    return sum(values) / len(values)
user assistant system You are a careful assistant. Think step by step and put the answer in a box.
"""

CHATML = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

# (prompt, response length, finish reason). Lengths are fixed, so a final eos is appended, not sampled.
PROMPTS = [
    ("What is 3 + 4?", 8, "length"),
    ([{"role": "user", "content": "What is 12 * 7?"}], 28, "stop"),
    ([{"role": "system", "content": "You are a careful assistant."}, {"role": "user", "content": "Explain entropy."}], 40, "length"),
    (" ", 16, "length"),
    ("策略熵", 30, "stop"),
    ([{"role": "user", "content": "naïve café 🎲"}], 5, "stop"),
    ("def mean(values):\n    return sum(values) / len(values)\n\ndef entropy(p):\n", 36, "length"),
    ([{"role": "user", "content": "What is 9 - 30?"}, {"role": "assistant", "content": "-21."}, {"role": "user", "content": "Why?"}], 26, "stop"),
    ("\n\n\n", 3, "length"),
    ("Привет, мир!", 1, "stop"),
    ([{"role": "user", "content": ""}], 44, "length"),
    ("The answer is", 13, "stop"),
]

ATTENTION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
YARN = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 1.0}
EXPERTS = dict(intermediate_size=48, moe_intermediate_size=12, num_experts=8, num_experts_per_tok=2, head_dim=8,
               decoder_sparse_step=1, tie_word_embeddings=True)
NEW_EXPERTS = dict(moe_intermediate_size=12, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2, first_k_dense_replace=1)
LATENT = dict(num_key_value_heads=4, kv_lora_rank=12, qk_nope_head_dim=6, qk_rope_head_dim=8, v_head_dim=10)
LLAMA4 = dict(num_hidden_layers=4, head_dim=8, intermediate_size=12, intermediate_size_mlp=40, num_local_experts=4, num_experts_per_tok=1,
              interleave_moe_layer_step=2, no_rope_layer_interval=4, attention_chunk_size=9, floor_scale=8, attn_scale=0.5)
# Decoders with Gated DeltaNet: two heads of values per key head, so that their order shows.
HYBRID = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=6, linear_conv_kernel_dim=4,
              rope_parameters=dict(ROPE, partial_rotary_factor=0.25))
EXPERTS_OF_NEXT = dict(num_experts=8, num_experts_per_tok=2, moe_intermediate_size=12, shared_expert_intermediate_size=20)
# Gemma 4: as wide as the heads are in layers without a window, a quarter of their pairs turns.
GEMMA4 = dict(head_dim=8, global_head_dim=16, sliding_window=8, vocab_size_per_layer_input=VOCABULARY, rope_parameters={
    "full_attention": {"rope_type": "proportional", "rope_theta": 1000.0, "partial_rotary_factor": 0.25},
    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}})
VISION = dict(depth=1, hidden_size=8, out_hidden_size=32, num_heads=2, intermediate_size=8, patch_size=2, in_channels=1, num_position_embeddings=16)
NEW_EXPERTS = dict(moe_intermediate_size=12, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2, first_k_dense_replace=1)
LATENT = dict(num_key_value_heads=4, kv_lora_rank=12, qk_nope_head_dim=6, qk_rope_head_dim=8, v_head_dim=10)

# name: (model_type, config keys in addition to ATTENTION)
CASES = {
    "qwen2": ("qwen2", dict(num_hidden_layers=3, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1e6})),
    "qwen2-sliding": ("qwen2", dict(tie_word_embeddings=True, use_sliding_window=True, sliding_window=8, max_window_layers=1)),
    "qwen2-yarn": ("qwen2", dict(tie_word_embeddings=True, max_position_embeddings=128, rope_parameters={
        "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32})),
    "qwen3": ("qwen3", dict(num_hidden_layers=3, head_dim=16, tie_word_embeddings=False, dtype=torch.bfloat16)),
    "llama": ("llama", dict(tie_word_embeddings=True, attention_bias=True, mlp_bias=True, rope_parameters={
        "rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64})),
    "llama-plain": ("llama", dict(head_dim=12, tie_word_embeddings=True, rope_parameters={
        "rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0})),
    "mistral": ("mistral", dict(tie_word_embeddings=False, sliding_window=8, head_dim=8, rms_norm_eps=1e-2)),
    "qwen3_moe": ("qwen3_moe", dict(EXPERTS, norm_topk_prob=True, mlp_only_layers=[0])),
    "qwen3_moe-raw": ("qwen3_moe", dict(EXPERTS, moe_intermediate_size=8, norm_topk_prob=False)),
    "gemma2": ("gemma2", dict(head_dim=8, query_pre_attn_scalar=3, attn_logit_softcapping=5.0, final_logit_softcapping=10.0, sliding_window=8)),
    "phi3": ("phi3", dict(tie_word_embeddings=False, sliding_window=None)),
    "phi3-partial": ("phi3", dict(tie_word_embeddings=True, sliding_window=8, rope_parameters=dict(ROPE, partial_rotary_factor=0.5))),
    "phi3-longrope": ("phi3", dict(tie_word_embeddings=True, max_position_embeddings=128, original_max_position_embeddings=32, rope_parameters={
        "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.1, 1.3, 1.6], "long_factor": [1.2, 2.5, 5.0, 9.0],
        "original_max_position_embeddings": 32})),
    "arcee": ("arcee", dict(tie_word_embeddings=False, attention_bias=True, mlp_bias=True)),
    "ernie4_5": ("ernie4_5", dict(head_dim=8, tie_word_embeddings=True, use_bias=True)),
    "exaone4": ("exaone4", dict(num_hidden_layers=4, head_dim=8, tie_word_embeddings=True, sliding_window=8, sliding_window_pattern=2)),
    "falcon_h1": ("falcon_h1", dict(head_dim=8, mamba_d_ssm=24, mamba_n_heads=4, mamba_d_head=6, mamba_n_groups=2, mamba_d_state=8, mamba_rms_norm=True,
        mamba_norm_before_gate=False, mamba_proj_bias=True, projectors_bias=True, attention_bias=True, mlp_bias=True, tie_word_embeddings=False,
        lm_head_multiplier=0.8, embedding_multiplier=2.0, mlp_multipliers=[0.7, 1.3], key_multiplier=0.6, attention_in_multiplier=1.4,
        attention_out_multiplier=0.7, ssm_multipliers=[0.5, 1.2, 0.8, 1.1, 0.9], ssm_in_multiplier=1.3, ssm_out_multiplier=0.6)),
    "gemma": ("gemma", dict(head_dim=12, hidden_act="gelu_pytorch_tanh", attention_bias=True)),
    "gemma3_text": ("gemma3_text", dict(num_hidden_layers=3, head_dim=8, query_pre_attn_scalar=3, sliding_window=8, final_logit_softcapping=8.0,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"], rope_parameters={
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}})),
    "gemma3n_text": ("gemma3n_text", dict(num_hidden_layers=5, num_kv_shared_layers=2, head_dim=8, sliding_window=8, final_logit_softcapping=8.0,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "sliding_attention", "full_attention"], laurel_rank=6, altup_num_inputs=3,
        altup_active_idx=1, intermediate_size=[48, 40, 48, 32, 40], activation_sparsity_pattern=[0.6, 0.0, 0.8, 0.0, 0.5], hidden_size_per_layer_input=6,
        vocab_size_per_layer_input=302, rope_parameters={"full_attention": {"rope_type": "linear", "rope_theta": 1e4, "factor": 8.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}})),
    "gemma4_text": ("gemma4_text", dict(GEMMA4, num_hidden_layers=5, num_kv_shared_layers=2, use_double_wide_mlp=True, hidden_size_per_layer_input=6,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "sliding_attention", "full_attention"], final_logit_softcapping=8.0)),
    "gemma4_text-moe": ("gemma4_text", dict(GEMMA4, layer_types=["sliding_attention", "full_attention"],
        hidden_size_per_layer_input=0, attention_k_eq_v=True, num_global_key_value_heads=1, enable_moe_block=True, num_experts=5, top_k_experts=2,
        moe_intermediate_size=12, attention_bias=True, tie_word_embeddings=False)),
    "glm": ("glm", dict(head_dim=8, tie_word_embeddings=False)),
    "glm4": ("glm4", dict(head_dim=16, tie_word_embeddings=True, attention_bias=True, rope_parameters=dict(ROPE, partial_rotary_factor=0.25))),
    "granite": ("granite", dict(tie_word_embeddings=True, embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.4, logits_scaling=3.0)),
    "internlm3": ("internlm3", dict(head_dim=8, tie_word_embeddings=False, attention_bias=True, mlp_bias=True)),
    "lfm2": ("lfm2", dict(num_hidden_layers=3, layer_types=["conv", "full_attention", "conv"], conv_bias=True, conv_L_cache=4, tie_word_embeddings=False,
        intermediate_size=48, block_multiple_of=8, block_ffn_dim_multiplier=1.3, norm_eps=1e-3)),
    "lfm2_moe": ("lfm2_moe", dict(num_hidden_layers=3, layer_types=["conv", "full_attention", "conv"], conv_bias=True, conv_L_cache=4, tie_word_embeddings=True,
        moe_intermediate_size=12, num_experts=8, num_experts_per_tok=3, num_dense_layers=1, routed_scaling_factor=2.5, norm_eps=1e-3)),
    "ministral": ("ministral", dict(num_hidden_layers=3, head_dim=8, tie_word_embeddings=False, sliding_window=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    "mixtral": ("mixtral", dict(head_dim=8, tie_word_embeddings=False, sliding_window=8, intermediate_size=12, num_local_experts=8, num_experts_per_tok=2)),
    "nemotron_h": ("nemotron_h", dict(layers_block_type=["linear_attention", "moe", "full_attention", "linear_attention", "mlp"], head_dim=8,
        mamba_num_heads=4, mamba_head_dim=6, n_groups=2, ssm_state_size=8, conv_kernel=4, time_step_min=0.6, n_routed_experts=8, num_experts_per_tok=2,
        n_group=4, topk_group=2, moe_intermediate_size=12, moe_shared_expert_intermediate_size=20, moe_latent_size=16, routed_scaling_factor=2.5,
        mlp_bias=True, use_bias=True, layer_norm_epsilon=1e-3, tie_word_embeddings=False)),
    "olmo2": ("olmo2", dict(tie_word_embeddings=False, attention_bias=True)),
    "olmo3": ("olmo3", dict(num_hidden_layers=4, tie_word_embeddings=False, sliding_window=8, rope_parameters={
        "full_attention": {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 32},
        "sliding_attention": {"rope_type": "default", "rope_theta": 500000.0}})),
    "qwen2_moe": ("qwen2_moe", dict(EXPERTS, norm_topk_prob=True, shared_expert_intermediate_size=20, tie_word_embeddings=False)),
    "cohere": ("cohere", dict(tie_word_embeddings=True, logit_scale=0.8, use_qk_norm=True)),
    "cohere2": ("cohere2", dict(num_hidden_layers=4, tie_word_embeddings=True, logit_scale=0.7, attention_bias=True, sliding_window=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"])),
    "granitemoe": ("granitemoe", dict(intermediate_size=12, num_local_experts=8, num_experts_per_tok=3, tie_word_embeddings=True, attention_bias=True,
        embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.4, logits_scaling=3.0)),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", dict(head_dim=12, tie_word_embeddings=False, attention_bias=True, rope_parameters={
        "rope_type": "dynamic", "rope_theta": 100.0, "alpha": 50.0, "factor": 1.0})),
    "internlm3-dynamic": ("internlm3", dict(head_dim=8, tie_word_embeddings=True, max_position_embeddings=20, rope_parameters={
        "rope_type": "dynamic", "rope_theta": 100.0, "factor": 6.0})),
    "ministral3": ("ministral3", dict(head_dim=16, tie_word_embeddings=False, sliding_window=24, rope_parameters=dict(YARN, llama_4_scaling_beta=0.4))),
    "nemotron": ("nemotron", dict(head_dim=12, tie_word_embeddings=False, attention_bias=True, mlp_bias=True)),
    "phi": ("phi", dict(tie_word_embeddings=False, qk_layernorm=True, rope_parameters=dict(ROPE, partial_rotary_factor=0.75))),
    "starcoder2": ("starcoder2", dict(tie_word_embeddings=True, sliding_window=8, use_bias=True)),
    "seed_oss": ("seed_oss", dict(head_dim=8, tie_word_embeddings=False, attention_bias=True, attention_out_bias=True)),
    "smollm3": ("smollm3", dict(num_hidden_layers=3, tie_word_embeddings=True, use_sliding_window=True, sliding_window=8, no_rope_layer_interval=2,
        mlp_bias=True)),
    "glm4_moe": ("glm4_moe", dict(NEW_EXPERTS, num_hidden_layers=3, head_dim=8, attention_bias=True, use_qk_norm=True, n_group=4, topk_group=2,
        routed_scaling_factor=2.5, tie_word_embeddings=False, rope_parameters=dict(ROPE, partial_rotary_factor=0.5))),
    "deepseek_v3": ("deepseek_v3", dict(NEW_EXPERTS, **LATENT, num_hidden_layers=3, q_lora_rank=20, attention_bias=True, n_group=4, topk_group=2,
        routed_scaling_factor=2.5, tie_word_embeddings=False, max_position_embeddings=128, rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0,
        "factor": 4.0, "original_max_position_embeddings": 32, "mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 4.0})),
    "deepseek_v3-direct": ("deepseek_v3", dict(NEW_EXPERTS, **LATENT, q_lora_rank=None, n_group=1, topk_group=1, rope_interleave=False,
        norm_topk_prob=False, tie_word_embeddings=True)),
    "deepseek_v2": ("deepseek_v2", dict(NEW_EXPERTS, **LATENT, q_lora_rank=20, topk_method="group_limited_greedy", n_group=4, topk_group=2,
        routed_scaling_factor=3.0, mlp_bias=True, tie_word_embeddings=False)),
    "glm4_moe_lite": ("glm4_moe_lite", dict(NEW_EXPERTS, **dict(LATENT, v_head_dim=16), num_hidden_layers=3, q_lora_rank=20, n_group=1, topk_group=1,
        mlp_layer_types=["dense", "sparse", "dense"], tie_word_embeddings=False)),
    "llama4_text": ("llama4_text", dict(LLAMA4, attention_bias=True, tie_word_embeddings=False, rope_parameters={"rope_type": "llama3", "rope_theta": 5000.0,
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})),
    "llama4": ("llama4", dict(tie_word_embeddings=False, text_config=dict(LLAMA4, interleave_moe_layer_step=1, num_experts_per_tok=2, use_qk_norm=False,
        no_rope_layers=[0, 1, 1, 0]), vision_config=dict(hidden_size=8, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=8,
        patch_size=4, num_channels=1, vision_output_dim=8, projector_input_dim=8, projector_output_dim=8))),
    "minimax_m2": ("minimax_m2", dict(head_dim=8, intermediate_size=12, num_local_experts=8, num_experts_per_tok=2, tie_word_embeddings=False,
        rope_parameters=dict(ROPE, partial_rotary_factor=0.5))),
    "gpt_oss": ("gpt_oss", dict(num_hidden_layers=3, head_dim=8, sliding_window=8, intermediate_size=12, num_local_experts=8, num_experts_per_tok=3,
        swiglu_limit=1.5, tie_word_embeddings=False, rope_parameters={"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "truncate": False,
        "beta_fast": 4.0, "original_max_position_embeddings": 64})),
    "qwen3_vl_moe": ("qwen3_vl_moe", dict(tie_word_embeddings=False, text_config=dict(EXPERTS, head_dim=16, moe_intermediate_size=12,
        rope_parameters=dict(ROPE, mrope_section=[4, 2, 2])), vision_config=dict(depth=1, hidden_size=8, out_hidden_size=32, num_heads=2,
        intermediate_size=8, patch_size=2, in_channels=1, deepstack_visual_indexes=[0], num_position_embeddings=16))),
    "qwen2_vl": ("qwen2_vl", dict(text_config=dict(tie_word_embeddings=True, rope_parameters=dict(ROPE, mrope_section=[1, 1, 2])), vision_config=dict(
        depth=1, embed_dim=8, hidden_size=32, num_heads=2, patch_size=2, in_channels=1))),
    "qwen2_5_vl": ("qwen2_5_vl", dict(tie_word_embeddings=False, text_config=dict(rope_parameters=dict(ROPE, mrope_section=[1, 1, 2])), vision_config=dict(
        depth=1, hidden_size=8, out_hidden_size=32, num_heads=2, intermediate_size=8, patch_size=2, in_channels=1, in_chans=1))),
    "qwen3_vl": ("qwen3_vl", dict(tie_word_embeddings=True, text_config=dict(head_dim=16, rope_parameters=dict(ROPE, mrope_section=[4, 2, 2])), vision_config=dict(
        depth=1, hidden_size=8, out_hidden_size=32, num_heads=2, intermediate_size=8, patch_size=2, in_channels=1, deepstack_visual_indexes=[0],
        num_position_embeddings=16))),
    "qwen3_next": ("qwen3_next", dict(HYBRID, **EXPERTS_OF_NEXT, num_hidden_layers=3, intermediate_size=40, layer_types=["linear_attention", "full_attention", "linear_attention"],
        mlp_only_layers=[2], head_dim=16, tie_word_embeddings=False)),
    "qwen3_5_text": ("qwen3_5_text", dict(HYBRID, layer_types=["linear_attention", "full_attention"], head_dim=16, attention_bias=True, tie_word_embeddings=True)),
    "qwen3_5_moe_text": ("qwen3_5_moe_text", dict(HYBRID, **EXPERTS_OF_NEXT, layer_types=["linear_attention", "full_attention"],
        head_dim=16, tie_word_embeddings=True)),
    "qwen3_5": ("qwen3_5", dict(tie_word_embeddings=False, text_config=dict(HYBRID, num_hidden_layers=3, full_attention_interval=3, head_dim=32,
        rope_parameters=dict(HYBRID["rope_parameters"], mrope_section=[2, 1, 1], mrope_interleaved=True)), vision_config=VISION)),
    "qwen3_5_moe": ("qwen3_5_moe", dict(tie_word_embeddings=False, text_config=dict(HYBRID, **dict(EXPERTS_OF_NEXT, num_experts=4), head_dim=16,
        layer_types=["full_attention", "linear_attention"]), vision_config=VISION)),
    "gemma3": ("gemma3", dict(text_config=dict(num_hidden_layers=3, head_dim=8, query_pre_attn_scalar=3, sliding_window=8, rope_parameters={
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}},
        layer_types=["sliding_attention", "full_attention", "sliding_attention"]), vision_config=dict(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4, num_channels=1))),
    "gemma4": ("gemma4", dict(tie_word_embeddings=False, text_config=dict(GEMMA4, num_hidden_layers=4, num_kv_shared_layers=2, attention_k_eq_v=True,
        hidden_size_per_layer_input=6, use_bidirectional_attention="vision", layer_types=["sliding_attention", "full_attention"] * 2), vision_config=dict(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=4, patch_size=4,
        position_embedding_size=16))),
    "mistral3": ("mistral3", dict(tie_word_embeddings=False, text_config=dict(model_type="mistral", head_dim=8, sliding_window=8), vision_config=dict(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4, num_channels=1, head_dim=4))),
    "mistral3-ministral3": ("mistral3", dict(tie_word_embeddings=True, text_config=dict(
        model_type="ministral3", head_dim=8, rope_parameters=dict(YARN, llama_4_scaling_beta=0.2)), vision_config=dict(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4, num_channels=1, head_dim=4))),
}
LAYER_NORMS = ("nemotron", "phi", "starcoder2")  # norms with biases
PICTURE_MODELS = {name for name, (_, extra) in CASES.items() if "vision_config" in extra}

# Adapters of the qwen2 case. rsLoRA scales by alpha / sqrt(r) where LoRA scales by alpha / r.
ADAPTERS = {"lora": dict(use_rslora=False), "lora-rslora": dict(use_rslora=True)}

# Seeds for cases whose first seed gave near-ties in float32 (greedy choice, routing), or a mean that a mistake does not change.
SEEDS = {"qwen3": 1, "qwen3_moe": 2, "phi3-partial": 1, "lora": 1, "mixtral": 3, "qwen2_moe": 2, "cohere": 1, "cohere2": 1, "hunyuan_v1_dense": 1,
         "qwen3_5_moe_text": 5, "glm4_moe": 4, "deepseek_v3": 2, "deepseek_v3-direct": 1, "deepseek_v2": 13, "minimax_m2": 1, "qwen3_vl_moe": 7,
         "llama4": 18, "gpt_oss": 46, "lfm2_moe": 3, "gemma4": 11}


def main():
    torch.set_num_threads(1)
    quieten()
    FIXTURES.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:]:
        make_only(sys.argv[1:])
        return
    for name in CASES:
        save_checkpoint(name)
    for name in ADAPTERS:
        save_adapter(name)
    rollouts = make_rollouts()
    write_lines(FIXTURES / "rollouts.jsonl", rollouts)
    for name in [*CASES, *ADAPTERS]:
        directory = FIXTURES / name
        write_json(directory / "golden.json", golden(name, rollouts))
    torchscript_module.make(FIXTURES / "torchscript", rollouts)
    chat_cases.make(FIXTURES / "chat.json", make_tokenizer("qwen2").backend_tokenizer)
    prompt_files.make(FIXTURES / "prompts")


def make_only(names):
    """Makes these cases anew, with the responses there are."""
    rollouts = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()]
    for name in names:
        save_checkpoint(name)
        write_json(FIXTURES / name / "golden.json", golden(name, rollouts))


def quieten():
    warnings.filterwarnings("ignore")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()


def save_checkpoint(name):
    directory = fresh(FIXTURES / name)
    tokenizer = make_tokenizer(name)
    model_type, extra = CASES[name]
    options = dict(ATTENTION, vocab_size=VOCABULARY, max_position_embeddings=256, rope_parameters=dict(ROPE), attn_implementation="eager",
                   bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    if name in PICTURE_MODELS:
        options = dict(extra, text_config=dict(options, **extra["text_config"]), image_token_id=310, video_token_id=311, attn_implementation="eager")
        if model_type in ("gemma3", "mistral3"):
            options["image_token_index"] = options.pop("image_token_id")
    else:
        options.update(extra)
    dtype = options.pop("dtype", torch.float32)
    config = AutoConfig.for_model(model_type, **options)
    model = model_class(name).from_config(config, dtype=torch.float32)
    randomise(model, name)
    # Qwen's generation_config.json has two end tokens, its config.json one.
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id] if model_type == "qwen3" else tokenizer.eos_token_id
    model.generation_config = GenerationConfig(bos_token_id=tokenizer.bos_token_id, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)
    model.to(dtype).save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    older = dict(config, text_config=transformers_4_config(config["text_config"])) if name in PICTURE_MODELS else transformers_4_config(config)
    if model_type in ("qwen2_vl", "qwen2_5_vl"):
        # transformers 4 wrote these at the top level.
        older = dict(older, **{key: value for key, value in older.pop("text_config").items() if key != "model_type"})
        older["rope_scaling"] = {"type": "mrope", "mrope_section": config["text_config"]["rope_parameters"]["mrope_section"]}
    (directory / "config.transformers4.json").write_text(json.dumps(older, indent=2, sort_keys=True) + "\n")


def has_experts(name):
    return "moe" in name or name.startswith(("mixtral", "nemotron_h", "qwen3_next", "deepseek", "minimax", "llama4", "gpt_oss"))


def model_class(name):
    return AutoModelForImageTextToText if name in PICTURE_MODELS else AutoModelForCausalLM


def make_tokenizer(name):
    """A small byte-level BPE like Qwen's for all cases; that of llama-plain also adds a BOS."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    backend.train_from_iterator(TEXT.splitlines(keepends=True), trainer)
    bos = None
    template = CHATML
    backend.add_special_tokens([EOS, PAD, START])
    if name == "llama-plain":
        bos = PAD
        template = "{{- bos_token }}\n" + CHATML
        backend.post_processor = processors.TemplateProcessing(single=f"{PAD} $A", special_tokens=[(PAD, backend.token_to_id(PAD))])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=EOS, pad_token=PAD,
                                        extra_special_tokens=[START], model_max_length=512, clean_up_tokenization_spaces=False)
    tokenizer.chat_template = template
    return tokenizer


def randomise(model, name):
    """Draws every parameter at random, wide enough that entropies are well below ln V and attention is uneven."""
    generator = seeded(name)
    with torch.no_grad():
        biases = [(buffer_name, buffer) for buffer_name, buffer in model.named_buffers() if buffer_name.endswith(("e_score_correction_bias", "expert_bias", "layer_scalar"))]
        for parameter_name, parameter in sorted([*model.named_parameters(), *biases], key=lambda named: named[0]):
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(draw(parameter_name, noise, model.config))
            if "embed_tokens" in parameter_name or "lm_head" in parameter_name:
                parameter[model.config.get_text_config().eos_token_id] *= 1.5  # so that some greedy continuations end


def seeded(name):
    return torch.Generator().manual_seed(zlib.crc32(f"{name} {SEEDS.get(name, 0)}".encode()))


def draw(name, noise, config):
    if "norm" in name and not (name.endswith("bias") and config.model_type in LAYER_NORMS):
        families = ("gemma", "nemotron", "qwen3_5", "qwen3_next")
        by_offset = config.model_type.startswith(families) and not config.model_type.startswith(("gemma3n", "gemma4")) and "linear_attn.norm" not in name
        return 0.3 * noise if by_offset else 1 + 0.3 * noise
    if name.endswith("bias"):
        return 0.3 * noise
    if name.endswith(("router.scale", "per_expert_scale", "layer_scalar", "correct_output_scale")):
        return 1 + 0.3 * noise
    if "router.proj." in name:
        return 2 * noise  # Gemma 4 divides its input by √hidden
    if "modality_router." in name:
        return 3 * noise  # Gemma 3n divides its input by hidden
    if "embed_tokens" in name or "lm_head" in name:
        return 0.4 * noise
    spread = 1.5 if any(part in name for part in ("q_proj", "k_proj", "qkv_proj", "mlp.gate.", "mlp.router.", "moe.router.")) else 1.0
    return spread * noise / noise.shape[-1] ** 0.5


def transformers_4_config(config):
    """The config in the format of transformers 4, which most published checkpoints have."""
    if config["model_type"] == "gemma4_text":
        return released_gemma4_config(config)
    new = ["dtype", "rope_parameters"]
    if config.get("model_type") in ("gemma2", "qwen2", "qwen3", "smollm3"):
        new.append("layer_types")  # follows from other keys
    older = {key: value for key, value in config.items() if key not in new}
    older["torch_dtype"] = config["dtype"]
    older["transformers_version"] = "4.51.3"
    if "num_local_experts" in older and not config["model_type"].startswith("llama4"):
        older["num_experts"] = older.pop("num_local_experts")
    rope = dict(config["rope_parameters"])
    by_layer = "sliding_attention" in rope
    if by_layer:
        older["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = dict(rope["full_attention"])
    older["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        older["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    kind = rope.pop("rope_type")
    older["rope_scaling"] = None
    if kind != "default":
        older["rope_scaling"] = {"rope_type" if kind == "llama3" or by_layer else "type": kind, **rope}
    if kind == "longrope":
        older["original_max_position_embeddings"] = older["rope_scaling"].pop("original_max_position_embeddings")
    return older


def released_gemma4_config(config):
    """Gemma 4 is not in transformers 4; released models have the sizes of layers without a window at the top level."""
    released = {key: value for key, value in config.items() if key != "per_layer_config"}
    own = config["per_layer_config"][str(config["num_hidden_layers"] - 1)]
    return dict(released, global_head_dim=own["head_dim"], num_global_key_value_heads=own.get("num_key_value_heads"))


def save_adapter(name):
    directory = fresh(FIXTURES / name)
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / "qwen2", dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], lora_dropout=0.05,
                        task_type="CAUSAL_LM", base_model_name_or_path="../qwen2", **ADAPTERS[name])
    adapted = get_peft_model(model, config)
    generator = seeded(name)
    with torch.no_grad():
        for parameter_name, parameter in sorted(adapted.named_parameters()):
            if "lora_" in parameter_name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.2 if "lora_B" in parameter_name else 0.15))
    adapted.peft_config["default"].base_model_name_or_path = "../qwen2"
    adapted.save_pretrained(directory)
    (directory / "adapter_model.safetensors").chmod(0o644)
    (directory / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    tidy_adapter_config(directory / "adapter_config.json")


def tidy_adapter_config(path):
    """Sorts target_modules, a set that PEFT writes in random order."""
    config = json.loads(path.read_text())
    config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def load(name, attention="eager", config=None, **overrides):
    """The model of a case in float32, its adapter applied; `overrides` change its config."""
    base = "qwen2" if name in ADAPTERS else name
    options = dict(dtype=torch.float32, attn_implementation=attention, **overrides)
    if has_experts(name):
        options["experts_implementation"] = "eager"
    if config is not None:
        options["config"] = config
    model = model_class(name).from_pretrained(FIXTURES / base, **options)
    if name in ADAPTERS:
        model = PeftModel.from_pretrained(model, FIXTURES / name)
    return model.eval()


def make_rollouts():
    """The prompts, with responses of printable tokens sampled from the qwen3 case."""
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "qwen3")
    model = load("qwen3")
    printable = torch.tensor([is_printable(tokenizer, token) for token in range(VOCABULARY)])
    generator = torch.Generator().manual_seed(7)
    rollouts = []
    for number, (prompt, length, reason) in enumerate(PROMPTS):
        prompt_ids = tokenize_prompt(tokenizer, prompt)
        response_ids = []
        for _ in range(length - (reason == "stop")):
            logits = all_logits(model, prompt_ids + response_ids)[-1].masked_fill(~printable, -torch.inf)
            response_ids.append(torch.multinomial(logits.softmax(-1), 1, generator=generator).item())
        response = tokenizer.decode(response_ids)
        if reason == "stop":
            response_ids.append(tokenizer.eos_token_id)
        rollouts.append(dict(id=number, prompt=prompt, response=response, prompt_token_ids=prompt_ids,
                             response_token_ids=response_ids, finish_reason=reason))
    return rollouts


def is_printable(tokenizer, token):
    text = tokenizer.decode([token]) if token < len(tokenizer) else ""
    return text != "" and text not in (EOS, PAD, START) and all(c.isascii() and (c.isprintable() or c == "\n") for c in text)


def tokenize_prompt(tokenizer, prompt):
    if isinstance(prompt, str):
        return tokenizer(prompt)["input_ids"]
    return tokenizer.apply_chat_template(prompt, tokenize=True, add_generation_prompt=True, return_dict=False)


def golden(name, rollouts):
    model = load(name)
    base = "qwen2" if name in ADAPTERS else name
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / base)
    prompts = [{"id": row["id"], "token_ids": tokenize_prompt(tokenizer, row["prompt"])} for row in rollouts]
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {
        "unit": "nats",
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__, "device": "cpu",
                      "attn_implementation": "eager", "weights": "upcast to float32"},
        "rollouts": "rollouts.jsonl",
        "model_type": model.config.model_type,
        "stored_dtype": stored_dtype(FIXTURES / base / "model.safetensors"),
        "dtype_of_weights_in_memory": "float32",
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "eos_token_ids": ends,
        "temperatures": {str(temperature): score(lambda ids: all_logits(model, ids), rollouts, temperature) for temperature in TEMPERATURES},
        "debug_logits_T1": [debug_logits(model, row) for row in rollouts],
        "prompt_token_ids": prompts,
        "greedy_12": [greedy(model, row["id"], row["token_ids"], ends) for row in prompts],
    }


def all_logits(model, token_ids):
    """float32 logits at every position of one sequence: no batch, no padding, no cache."""
    forget_lengths(model)
    with torch.inference_mode():
        return model(input_ids=torch.tensor([token_ids]), use_cache=False).logits[0].float()


def forget_lengths(model):
    """The rotary embedding "dynamic" keeps the frequencies of the longest sequence that it has seen."""
    for module in model.modules():
        rope_type = getattr(module, "rope_type", None)
        prefixes = [f"{layer}_" for layer in rope_type] if isinstance(rope_type, dict) else [""]
        for prefix in prefixes if "dynamic" in str(rope_type) else []:
            setattr(module, f"{prefix}inv_freq", getattr(module, f"{prefix}original_inv_freq").clone())
            setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)


def debug_logits(model, row):
    position = len(row["prompt_token_ids"]) - 1
    logits = all_logits(model, row["prompt_token_ids"])[position]
    return {"id": row["id"], "position": position, "first8": logits[:8].tolist(), "argmax": logits.argmax().item()}


def greedy(model, number, prompt, ends):
    """The greedy continuation; `min_top2_margin` is the smallest gap between the two best tokens."""
    token_ids, margins = [], []
    while len(token_ids) < GREEDY_TOKENS and not (token_ids and token_ids[-1] in ends):
        best = all_logits(model, prompt + token_ids)[-1].topk(2)
        token_ids.append(best.indices[0].item())
        margins.append((best.values[0] - best.values[1]).item())
    return {"id": number, "token_ids": token_ids, "min_top2_margin": min(margins)}


def stored_dtype(path):
    with safe_open(path, "pt") as file:
        dtypes = {str(file.get_tensor(key).dtype).removeprefix("torch.") for key in file.keys()}
    return "/".join(sorted(dtypes))


if __name__ == "__main__":
    main()
