"""Traces of tiny models for `compute`, in tests/fixtures/scripts: right ones and wrong ones, as transformers makes them.

    .venv/reference/bin/python tests/compute/make_scripts.py

- `gpt_neox.pt`, `gpt_neox.reference.jsonl`: written by examples/trace_model.py.
- `qwen3_5.pt`: a trace of 16 tokens; the number of chunks of 64 tokens in its linear attention became 1.
- `positions.pt`: a trace of 16 tokens of a model whose code takes the length as a number, so that it runs no other length.
- `bert.pt`: a trace of BERT, whose tokens attend to later ones.
- `dropout.pt`: a trace of a model in training mode.
- `qwen3_5.reference.jsonl`: the numbers of that model itself, as the recipe would write them.
- `expected.json`: the mean entropy of `rollouts.jsonl` by gpt_neox in transformers.
"""
import json
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "examples"))

import torch
import trace_model
import transformers
from common import FIXTURES, VOCABULARY, fresh, score, write_json
from torchscript_module import without_sources

HERE = FIXTURES.parent / "scripts"
SIZES = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
LINEAR = dict(num_key_value_heads=1, head_dim=8, linear_num_key_heads=1, linear_num_value_heads=2, linear_key_head_dim=8,
              linear_value_head_dim=8, layer_types=["linear_attention", "full_attention"], max_position_embeddings=512)


def make(model_type, dropout=0.0, **extra):
    """A model with random weights that attends and has peaked distributions."""
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(model_type, **SIZES, **extra)
    if dropout:
        config.attention_dropout = config.hidden_dropout = dropout
    return draw(transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval())


def draw(model):
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.4)
    return model


class Positions(torch.nn.Module):
    """Numbers positions with the length as a Python number, which a trace keeps."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        positions = torch.arange(int(input_ids.shape[1]))[None]
        return self.model(input_ids=input_ids, position_ids=positions, use_cache=False).logits


def trace(module):
    ids = torch.randint(0, VOCABULARY, (2, 16), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return torch.jit.trace(module, ids, check_trace=False)


def write_reference(name, module):
    """The reference lines of the module itself."""
    generator = torch.Generator().manual_seed(20)
    draw = lambda batch, length: torch.randint(0, VOCABULARY, (batch, length), generator=generator)
    lines = []
    with torch.no_grad():
        for batch, length in [(1, 1), (2, 7), (1, 65), (2, 130)]:
            ids = draw(batch, length)
            entropies, log_probs = trace_model.score(module(ids), ids)
            lines.append({"ids": ids.tolist(), "entropies": entropies.tolist(), "log_probs": [row[:-1] for row in log_probs.tolist()]})
    head = {"format": "entropy-viz reference", "version": 1, "unit": "nats", "dtype": "float32"}
    rounded = json.loads(json.dumps([head, *lines]), parse_float=lambda text: round(float(text), 7))
    (HERE / f"{name}.reference.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rounded))


def by_recipe(name, model):
    """What examples/trace_model.py writes."""
    with TemporaryDirectory() as directory:
        directory = Path(directory)
        model.save_pretrained(directory / "model")
        sys.argv = ["trace_model.py", str(directory / "model"), str(directory / f"{name}.pt")]
        assert trace_model.main() == 0
        (HERE / f"{name}.pt").write_bytes(without_sources(torch.jit.load(directory / f"{name}.pt")))
        (HERE / f"{name}.reference.jsonl").write_bytes((directory / f"{name}.reference.jsonl").read_bytes())


def refused_by_recipe(model):
    with TemporaryDirectory() as directory:
        directory = Path(directory)
        model.save_pretrained(directory / "model")
        sys.argv = ["trace_model.py", str(directory / "model"), str(directory / "wrong.pt")]
        assert trace_model.main() == 1 and not (directory / "wrong.pt").exists()


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    fresh(HERE)
    rollouts = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()]

    gpt_neox = make("gpt_neox")
    by_recipe("gpt_neox", gpt_neox)
    with torch.no_grad():
        values = score(lambda ids: gpt_neox(torch.tensor([ids])).logits[0], rollouts, 1.0)
    write_json(HERE / "expected.json", {"gpt_neox": values["token_mean"]})

    linear = make("qwen3_5_text", **LINEAR)
    refused_by_recipe(linear)
    module = trace_model.Logits(linear)
    (HERE / "qwen3_5.pt").write_bytes(without_sources(trace(module)))
    write_reference("qwen3_5", module)

    (HERE / "positions.pt").write_bytes(without_sources(trace(Positions(gpt_neox))))
    config = transformers.AutoConfig.for_model("bert", **SIZES, max_position_embeddings=160)
    bert = draw(transformers.AutoModelForMaskedLM.from_config(config, attn_implementation="eager"))
    (HERE / "bert.pt").write_bytes(without_sources(trace(trace_model.Logits(bert.eval()))))

    module = trace_model.Logits(make("gpt_neox", dropout=0.2).train())
    (HERE / "dropout.pt").write_bytes(without_sources(trace(module)))


if __name__ == "__main__":
    main()
