"""Traces a causal language model of transformers to TorchScript, for models that `entropy-viz compute` does not know.

    python trace_model.py MODEL model.pt            # writes model.pt and model.reference.jsonl
    entropy-viz compute --model model.pt --verify-script model.reference.jsonl
    entropy-viz compute --model model.pt --tokenizer MODEL --prompts prompts.jsonl

MODEL is a directory with config.json and weights. Needs Python 3.9, and torch and transformers; use torch 2.11, as the helper
does. A trace keeps what ran once: loops and choices that depend on the length become those of the traced length. So the saved
file is loaded again and compared with the model at other lengths and batch sizes. If it differs, or cannot run them, it is not
kept, and the exit code is 1.

model.reference.jsonl has random token ids with the log-probs and entropies of transformers, first line its settings.
`compute` compares the module with it whenever the file is beside the module.
"""
import argparse
import io
import json
import sys
import warnings
from pathlib import Path

import torch
import transformers

# Below and above the traced length, above the chunks of 64 and 128 of linear attention, and in other batches.
SHAPES = [(1, 1), (1, 2), (1, 7), (2, 7), (3, 33), (1, 65), (2, 65), (1, 130), (1, 257)]
# Largest accepted difference of a log-prob or entropy, in nats: mean over the tokens of a sequence, and of one token.
LIMITS = {torch.float32: (1e-4, 1e-2), torch.bfloat16: (5e-2, 1.0), torch.float16: (2e-2, 0.5)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="directory with config.json and weights")
    parser.add_argument("output", type=Path, metavar="OUTPUT.pt")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="number type of the weights [float32]")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; the module runs only where it was traced [cpu]")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="eager", help="attention of transformers [eager]")
    parser.add_argument("--length", type=int, default=16, help="length of the traced sequences [16]")
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code of the model's directory")
    options = parser.parse_args()
    if options.output.suffix != ".pt":
        parser.error("OUTPUT must end in .pt")
    if options.length < 2:
        parser.error("--length must be at least 2: a single token needs no attention")
    model = load(options)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(20)
    draw = lambda batch, length: torch.randint(0, vocabulary, (batch, length), generator=generator).to(options.device)
    with torch.inference_mode(False), torch.no_grad():
        data = io.BytesIO()
        try:
            with warnings.catch_warnings(record=True) as fixed:
                torch.jit.save(torch.jit.trace(model, draw(2, options.length), check_trace=False), data)
        except Exception as error:  # whatever the model's code raises under the tracer
            message = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            sys.exit(f"cannot trace {options.model}: {message}")
        lines, faults = compare(model, torch.jit.load(io.BytesIO(data.getvalue()), map_location=options.device), draw, context_of(model))
    if faults:
        print(f"{options.output} is not written: the trace differs from the model", *faults, sep="\n  ", file=sys.stderr)
        print("This model cannot be traced as it is: its code depends on the length. --attention or --length may help.", file=sys.stderr)
        places = sorted({f"{warning.filename}:{warning.lineno}" for warning in fixed if issubclass(warning.category, torch.jit.TracerWarning)})
        if places:
            print("Here the trace may have fixed a value:", *places, sep="\n  ", file=sys.stderr)
        return 1
    reference = options.output.with_suffix(".reference.jsonl")
    head = {"format": "entropy-viz reference", "version": 1, "unit": "nats", "model_type": model.model.config.model_type, "dtype": options.dtype,
            "device": options.device, "traced": [2, options.length], "transformers": transformers.__version__, "torch": torch.__version__}
    write(options.output, data.getvalue())
    write(reference, "".join(json.dumps(line) + "\n" for line in [head, *lines]).encode())
    print(f"{options.output}: {data.tell() / 1e6:.1f} MB, compared with transformers in {len(lines)} batches of up to {max(len(line['ids'][0]) for line in lines)} tokens")
    print(f"{reference}: its numbers")
    return 0


def load(options):
    """The model as a module that takes token ids and returns logits."""
    transformers.utils.logging.disable_progress_bar()
    if not (options.model / "config.json").is_file():
        sys.exit(f"cannot use {options.model}: it has no config.json")
    dtype = "torch_dtype" if transformers.__version__.startswith("4.") else "dtype"
    model = transformers.AutoModelForCausalLM.from_pretrained(
        options.model, attn_implementation=options.attention, local_files_only=True, trust_remote_code=options.trust_remote_code,
        **{dtype: getattr(torch, options.dtype)})
    return Logits(model.eval().to(options.device))


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def get_input_embeddings(self):
        return self.model.get_input_embeddings()

    def forward(self, input_ids):
        return self.model(input_ids=input_ids, use_cache=False).logits


def context_of(model):
    """The longest sequence that the model takes, as far as its config says."""
    return getattr(model.model.config.get_text_config(), "max_position_embeddings", None) or 1 << 20


def window_of(model):
    """The largest sliding window, or 0."""
    return getattr(model.model.config.get_text_config(), "sliding_window", None) or 0


def compare(model, loaded, draw, context):
    """The reference lines, from the model itself, and what differs in the module that was saved and loaded."""
    lines, faults = [], []
    shapes = [*SHAPES, *[(1, window_of(model) + 9)] * (257 < window_of(model) + 9 <= 8192)]
    if context < 257:
        shapes = [*[shape for shape in shapes if shape[1] < context], (1, context)]
    for batch, length in shapes:
        ids = draw(batch, length)
        exact = score(model(ids), ids)
        place = f"{batch} x {length} tokens:"
        try:
            difference = (score(loaded(ids), ids) - exact).abs()
        except RuntimeError as error:
            faults.append(f"{place} it does not run: {str(error).strip().splitlines()[-1]}")
            continue
        mean, most = LIMITS[next(model.parameters()).dtype]
        if not (difference.mean(-1).max() <= mean and difference.max() <= most):
            faults.append(f"{place} log-probs or entropies differ by up to {difference.max():.2g} nats")
        entropies, log_probs = exact
        lines.append({"ids": ids.tolist(), "entropies": entropies.tolist(), "log_probs": [row[:-1] for row in log_probs.tolist()]})
    return lines, faults


def score(logits, ids):
    """Entropies, and log-probs of the next token: [2, batch, length]; the last token has no next one, and 0."""
    log_probs = logits.double().log_softmax(-1).cpu()
    entropies = -(log_probs.exp() * log_probs.clamp(min=-1e9)).sum(-1)
    following = torch.zeros_like(entropies)
    following[:, :-1] = log_probs[:, :-1].gather(-1, ids[:, 1:, None].cpu())[..., 0]
    return torch.stack([entropies, following])


def write(path, data):
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
