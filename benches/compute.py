"""Compares the speed of `entropy-viz compute` with transformers: same weights, threads and number type.

Random models are made once, in target/bench: a Qwen2 of 203 M parameters with a vocabulary of 151,936, and a Qwen3-MoE of
224 M with a vocabulary of 32,000, of whose 64 experts each token takes 8. Jobs for each, entropies and log-probs of every
response token included on both sides:

- scoring 16 given responses (prompts of 32-160 tokens, responses of 64-256); transformers gets them longest
  first, padded, in batches of 4;
- sampling 64 tokens for each of 16 prompts of 64 tokens, as one batch, and 256 for one prompt (its prompt is then a small part
  of the time: running it is limited by products, not by reading the weights).

Beside each, what the machine can do at best, measured by torch in the same rounds.

Rates are those of the work itself, without loading the weights: each side says its own. The two sides take turns. A
report, not a test. Linux only.

    python3 benches/compute.py target/release/entropy-viz-compute --reference .venv/reference/bin/python [--rounds N]
        [--model dense|experts]
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

# This process imports nothing large: a child's reported peak memory is never below that of its parent, so torch runs in
# its own process.

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "target" / "bench"
THREADS = len(os.sched_getaffinity(0))
# The settings of each model, and how many of its weights a token takes in the layers and in the head.
MODELS = {
    "dense": {
        "config": "Qwen2Config", "model": "Qwen2ForCausalLM", "vocab_size": 151_936,
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 10, "num_attention_heads": 12,
        "num_key_value_heads": 4, "layer_weights": 10 * 768 * (768 + 2 * 256 + 768 + 3 * 3072), "head_weights": 768 * 151_936,
    },
    "experts": {
        "config": "Qwen3MoeConfig", "model": "Qwen3MoeForCausalLM", "vocab_size": 32_000,
        "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 64, "num_experts": 64, "num_experts_per_tok": 8, "moe_intermediate_size": 256,
        "norm_topk_prob": True, "layer_weights": 8 * 512 * (512 + 2 * 256 + 512 + 64 + 8 * 3 * 256), "head_weights": 512 * 32_000,
    },
}


def make_model(name, directory):
    """Runs in the reference process: writes weights, and the config of a model without an end token."""
    if (directory / "model.safetensors").exists():
        return
    import torch
    import transformers

    torch.manual_seed(1)
    settings = {key: value for key, value in MODELS[name].items() if not key.endswith("_weights")}
    config, model = (getattr(transformers, settings.pop(key)) for key in ["config", "model"])
    model(config(
        **settings, max_position_embeddings=32_768, tie_word_embeddings=True, initializer_range=0.05, bos_token_id=None,
        eos_token_id=settings["vocab_size"] - 1,
    )).save_pretrained(directory)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        source = ROOT / "tests" / "fixtures" / "compute" / "qwen2" / name
        (directory / name).write_bytes(source.read_bytes())


def write_rows(lengths, path, vocabulary):
    generator = random.Random(1)
    with path.open("w") as file:
        for i, (prompt, response) in enumerate(lengths):
            ids = lambda count: [generator.randrange(vocabulary - 1) for _ in range(count)]
            row = {"id": i, "prompt_token_ids": ids(prompt)}
            if response:
                row["response_token_ids"] = ids(response)
            file.write(json.dumps(row) + "\n")


class Transformers:
    """The reference: what a trainer does, in its own process."""

    def __init__(self, directory):
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(THREADS)
        torch.set_grad_enabled(False)
        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
        self.model.generation_config.eos_token_id = None

    def entropy(self, logits):
        # As verl's entropy_from_logits.
        torch = self.torch
        return torch.logsumexp(logits, dim=-1) - (torch.softmax(logits, dim=-1) * logits).sum(-1)

    def score(self, rows, batch=4):
        torch = self.torch
        length = lambda row: len(row["prompt_token_ids"]) + len(row["response_token_ids"])
        rows = sorted(rows, key=length, reverse=True)
        total = tokens = 0
        start = time.perf_counter()
        for first in range(0, len(rows), batch):
            part = rows[first:first + batch]
            texts = [row["prompt_token_ids"] + row["response_token_ids"] for row in part]
            longest = max(map(len, texts))
            ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
            mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
            logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            for row, text, of_row in zip(part, texts, logits):
                wanted = of_row[len(row["prompt_token_ids"]) - 1:len(text) - 1]
                target = torch.tensor(row["response_token_ids"])
                torch.log_softmax(wanted, -1).gather(1, target[:, None])
                total += self.entropy(wanted).sum().item()
                tokens += len(target)
        return {"entropy": total / tokens, "rate": sum(map(length, rows)) / (time.perf_counter() - start)}

    def sample(self, rows, new):
        torch = self.torch
        entropies = []

        def record(_ids, scores):
            entropies.append(self.entropy(scores))
            return scores

        ids = torch.tensor([row["prompt_token_ids"] for row in rows])
        start = time.perf_counter()
        self.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, top_p=1.0, temperature=1.0,
            max_new_tokens=new, pad_token_id=0, logits_processor=[record],
        )
        seconds = time.perf_counter() - start
        return {"entropy": torch.stack(entropies).mean().item(), "rate": len(rows) * new / seconds}

    def limits(self):
        """What this machine can do at best: GFLOP/s of a large product, and GB/s of reading memory."""
        torch = self.torch
        a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
        large = torch.randn(2**27)

        def fastest(job):
            times = []
            for _ in range(7):
                start = time.perf_counter()
                job()
                times.append(time.perf_counter() - start)
            return min(times)

        return {"gflops": 2 * 2048**3 / fastest(lambda: torch.mm(a, b)) / 1e9,
                "gbytes": 4 * 2**27 / fastest(lambda: large.max()) / 1e9}

    def serve(self):
        for line in sys.stdin:
            path, new = json.loads(line)
            if path is None:
                print(json.dumps(self.limits()), flush=True)
                continue
            rows = [json.loads(row) for row in Path(path).read_text().splitlines()]
            result = self.sample(rows, new) if new else self.score(rows)
            print(json.dumps(result), flush=True)


class Reference:
    """The client of Transformers.serve."""

    def __init__(self, python, model):
        self.process = subprocess.Popen([python, __file__, "--serve", model], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit("the reference did not start; does its Python have torch and transformers?")

    def run(self, path, new):
        return self.ask([str(path), new])

    def limits(self):
        return self.ask([None, 0])

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def helper(binary, model, path, new):
    output = HOME / "history.json"
    output.unlink(missing_ok=True)
    command = [binary, "--model", str(HOME / model), "--prompts", str(path), "-o", str(output), "--step", "1",
               "--device", "cpu", "--threads", str(THREADS)]
    command += ["--max-new-tokens", str(new)] if new else []
    # What `entropy-viz compute` sets when it starts the helper.
    environment = {**os.environ, "GOMP_SPINCOUNT": "1000", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the helper failed: {said}")
    rate = re.search(r"\((\d+) tokens/s; entropy took (\d+) % of the time", said)
    entropy = json.loads(output.read_text())[0]["entropy"]
    return {"entropy": entropy, "rate": float(rate[1]), "share": int(rate[2]), "peak": usage.ru_maxrss / 1024}


def compare(name, model, args, reference, path, new):
    pairs, limits = [], []
    for _ in range(args.rounds):
        pairs.append((helper(args.helper, model, path, new), reference.run(path, new)))
        limits.append(reference.limits())
    ratios = [ours["rate"] / theirs["rate"] for ours, theirs in pairs]
    ours, theirs = pairs[-1]
    print(f"{name}: {median(ratios):.2f} times as fast as transformers ({min(ratios):.2f}-{max(ratios):.2f} of {args.rounds}); "
          f"{median(o['rate'] for o, _ in pairs):.0f} and {median(t['rate'] for _, t in pairs):.0f} tokens/s; "
          f"{ours['share']} % of ours on entropy; entropies {ours['entropy']:.5f} and {theirs['entropy']:.5f}", flush=True)
    rate, best = median(o["rate"] for o, _ in pairs), {key: median(limit[key] for limit in limits) for key in limits[0]}
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    prompt = sum(len(row["prompt_token_ids"]) for row in rows)
    response = len(rows) * new or sum(len(row["response_token_ids"]) for row in rows)
    # Multiplications by weights, in the unit of the rate: tokens of prompt and response, or new tokens.
    layers, head = (MODELS[model][key] for key in ["layer_weights", "head_weights"])
    work = 2 * (layers * (prompt + response) + head * response)
    gflops = rate * work / (response if new else prompt + response) / 1e9
    line = f"  products with weights at {gflops:.0f} GFLOP/s, {gflops / best['gflops']:.0%} of torch's best product ({best['gflops']:.0f})"
    if new and (model == "dense" or len(rows) == 1):  # several tokens take other experts
        gbytes = 4 * (layers + head) * rate / len(rows) / 1e9
        line += f"; weights read at {gbytes:.1f} GB/s, {gbytes / best['gbytes']:.0%} of reading memory ({best['gbytes']:.1f})"
    print(line, flush=True)


def compare_model(model, args):
    reference = Reference(args.reference, model)
    weights = (HOME / model / "model.safetensors").stat().st_size / 2**20
    vocabulary = MODELS[model]["vocab_size"]
    print(f"{model}: {THREADS} threads, float32, {weights:.0f} MiB of weights, vocabulary {vocabulary}", flush=True)
    files = {name: HOME / f"{model}-{name}.jsonl" for name in ["given", "open", "one", "long"]}
    write_rows([(32 + 37 * i % 129, 64 + 53 * i % 193) for i in range(16)], files["given"], vocabulary)
    write_rows([(64, 0)] * 16, files["open"], vocabulary)
    write_rows([(64, 0)], files["one"], vocabulary)
    write_rows([(256, 16_128)], files["long"], vocabulary)
    compare("scoring", model, args, reference, files["given"], 0)
    compare("sampling 16 sequences", model, args, reference, files["open"], 64)
    compare("sampling one sequence", model, args, reference, files["one"], 256)
    reference.process.kill()
    one = helper(args.helper, model, files["long"], 0)
    print(f"one row of 16,384 tokens: peak {one['peak']:.0f} MiB, {one['peak'] - weights:.0f} MiB more than the weights; "
          f"{one['rate']:.0f} tokens/s, {one['share']} % on entropy")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("helper", nargs="?")
    parser.add_argument("--reference")
    parser.add_argument("--serve", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", choices=MODELS, action="append")
    args = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    if args.serve:
        make_model(args.serve, HOME / args.serve)
        reference = Transformers(HOME / args.serve)
        print("ready", flush=True)
        return reference.serve()
    for model in args.model or MODELS:
        compare_model(model, args)


if __name__ == "__main__":
    main()
