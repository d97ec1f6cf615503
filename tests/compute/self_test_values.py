"""Computes the values that `compute --self-test` expects for its tiny Qwen3, with transformers.

The weights follow from a formula that self_test.rs has too: the k-th number of the i-th tensor is
sin(0.7 k + i) times a size, plus one for norms. Prints the mean entropy at temperatures 1 and 0.7 and
the sum of the log-probs at 1; made with torch 2.11.0 and transformers 5.23.0.
"""

import numpy as np
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

VOCABULARY = 512

torch.set_num_threads(1)
config = Qwen3Config(
    hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=16, vocab_size=VOCABULARY, max_position_embeddings=256,
    rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    tie_word_embeddings=True, attention_bias=False, attn_implementation="eager",
)
model = Qwen3ForCausalLM(config).eval()

names = ["model.embed_tokens.weight"]
for layer in range(2):
    for part in [
        "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "self_attn.q_norm", "self_attn.k_norm", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj",
        "mlp.down_proj",
    ]:
        names.append(f"model.layers.{layer}.{part}.weight")
names.append("model.norm.weight")

parameters = dict(model.named_parameters())
assert set(names) == set(parameters), set(names) ^ set(parameters)
with torch.no_grad():
    for i, name in enumerate(names):
        tensor = parameters[name]
        k = np.arange(tensor.numel(), dtype=np.float64)
        size, offset = (0.3, 1.0) if tensor.dim() == 1 else (0.35, 0.0)
        numbers = (offset + size * np.sin(0.7 * k + i)).astype(np.float32)
        tensor.copy_(torch.from_numpy(numbers).view_as(tensor))

    means, log_probs = [], 0.0
    for temperature in [1.0, 0.7]:
        entropies = []
        for i, n in enumerate([24, 9, 17]):
            ids = torch.tensor([[(i * 131 + j * j * 29 + j * 7 + 3) % VOCABULARY for j in range(n)]])
            logits = (model(ids).logits[0, 2:-1].double()) / temperature
            logs = torch.log_softmax(logits, -1)
            entropies.append(-(logs.exp() * logs).sum(-1))
            if temperature == 1.0:
                log_probs += logs.gather(1, ids[0, 3:, None]).sum().item()
        means.append(torch.cat(entropies).mean().item())
print(f"[{means[0]:.9f}, {means[1]:.9f}, {log_probs:.9f}]")
