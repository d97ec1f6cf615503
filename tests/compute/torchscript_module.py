"""A TorchScript module as a user might export one: `forward(input_ids int64[B, L]) -> logits float32[B, L, V]`.

A trace freezes whatever Python worked out while tracing: sizes taken as integers, and the device of every
tensor made on the way. So positions are counted with `cumsum` and compared for the causal mask, shapes come
from `unflatten` and `flatten`, and nothing names a device.
"""
import io
import zipfile

import torch
from common import TEMPERATURES, VOCABULARY, fresh, score, write_json
from torch import nn

HIDDEN, HEADS, LAYERS = 24, 3, 2


def make(directory, rollouts):
    fresh(directory)
    module = Transformer().eval()
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            parameter.copy_(draw(name, torch.randn(parameter.shape, generator=generator)))
        traced = torch.jit.trace(module, torch.arange(10).reshape(2, 5), check_inputs=[(torch.arange(21).reshape(3, 7),), (torch.tensor([[4]]),)])
    (directory / "model.pt").write_bytes(without_sources(traced))

    loaded = torch.jit.load(directory / "model.pt")
    with torch.inference_mode():
        logits_of = lambda token_ids: loaded(torch.tensor([token_ids]))[0]
        golden = {"unit": "nats", "made_with": {"torch": torch.__version__, "device": "cpu"}, "rollouts": "rollouts.jsonl",
                  "signature": "forward(input_ids: int64[B,L]) -> float32 logits[B,L,V]; causal, no attention_mask",
                  "vocab_size": VOCABULARY,
                  "temperatures": {str(t): score(logits_of, rollouts, t) for t in TEMPERATURES}}
    write_json(directory / "golden.json", golden)


def draw(name, noise):
    if name.endswith("bias") or name == "embed.weight":
        return 0.3 * noise
    if "norm" in name:
        return 1 + 0.3 * noise
    return 1.3 * noise / noise.shape[-1] ** 0.5


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, input_ids):
        positions = torch.ones_like(input_ids).cumsum(-1)
        future = positions.unsqueeze(-2) > positions.unsqueeze(-1)
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = layer(hidden, positions, future.unsqueeze(1))
        return self.norm(hidden) @ self.embed.weight.t()


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(HIDDEN)
        self.query_key_value = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.output = nn.Linear(HIDDEN, HIDDEN)
        self.mlp_norm = nn.LayerNorm(HIDDEN)
        self.up = nn.Linear(HIDDEN, 2 * HIDDEN)
        self.down = nn.Linear(2 * HIDDEN, HIDDEN)

    def forward(self, hidden, positions, future):
        heads = self.query_key_value(self.attention_norm(hidden)).unflatten(-1, (3 * HEADS, -1)).transpose(1, 2)
        query, key, value = heads.chunk(3, dim=1)
        scores = query @ key.transpose(-1, -2) / (HIDDEN // HEADS) ** 0.5
        # ALiBi: a distance penalty per head, which needs no table of positions.
        distance = (positions.unsqueeze(-1) - positions.unsqueeze(-2)).unsqueeze(1).float()
        scores = torch.cat([score - distance * 0.5 ** (head + 1) for head, score in enumerate(scores.split(1, dim=1))], dim=1)
        mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ value
        hidden = hidden + self.output(mixed.transpose(1, 2).flatten(2))
        return hidden + self.down(nn.functional.gelu(self.up(self.mlp_norm(hidden))))


def without_sources(traced):
    """The module's archive less its `.debug_pkl` records, which name the files of whoever traced it."""
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    slim = io.BytesIO()
    with zipfile.ZipFile(buffer) as full, zipfile.ZipFile(slim, "w", zipfile.ZIP_STORED) as out:
        for entry in full.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                out.writestr(zipfile.ZipInfo(entry.filename, date_time=(1980, 1, 1, 0, 0, 0)), full.read(entry))
    return slim.getvalue()
