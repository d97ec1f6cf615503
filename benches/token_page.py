"""Measures the page of `report --tokens` of a large dump: its size, and the time to make it.

Writes a dump of made-up responses with everything that a page shows: rewards, a column for --by, turns, log-probs of a
sampler, KL to a reference, texts of a vocabulary with Zipf's law. Needs the standard library alone.

    python3 benches/token_page.py BINARY [--tokens 5000000] [--steps 50] [--length 800]
"""
import argparse
import bisect
import itertools
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

MOST_BYTES = 6_000_000


def write_dump(path, tokens, steps, length):
    """Writes responses until there are so many tokens; returns how many responses and tokens there are."""
    draw = random.Random(20)
    words = [" " + "".join(draw.choice("etaoinshrdlu") for _ in range(draw.randint(2, 9))) for _ in range(30_000)]
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    # Drawing from lists that were prepared is faster than drawing each token.
    kinds = [bisect.bisect(weights, draw.random() * weights[-1]) for _ in range(400_000)]
    entropies = [round(draw.expovariate(1.2) if draw.random() < 0.2 else draw.random() ** 6, 6) for _ in range(400_000)]
    written = responses = 0
    per_step = max(tokens // (steps * length), 1)
    with path.open("w") as file:
        for step in range(steps):
            for number in range(per_step):
                n = draw.randint(length // 2, 3 * length // 2)
                at, of = draw.randrange(len(kinds) - n), draw.randrange(len(entropies) - n)
                ids, values = kinds[at:at + n], entropies[of:of + n]
                log_probs = [-round(value * 0.9 + 0.001, 6) for value in values]
                file.write(json.dumps({
                    "step": 10 * (step + 1), "id": number // 8, "sample": number % 8, "turn": number % 3,
                    "prompt_token_ids": [number // 8], "response_token_ids": ids, "tokens": [words[kind] for kind in ids],
                    "entropies": values, "log_probs": log_probs, "kl": [round(value * 0.05, 6) for value in values],
                    "generation_logprobs": [round(value - 0.01, 6) for value in log_probs], "finish_reason": "stop",
                    "reward": int(draw.random() < (number // 8 % 5) / 4), "env": f"env{number // 8 % 10}", "pred": str(draw.randrange(4)),
                }) + "\n")
                written += n
                responses += 1
    return responses, written


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--tokens", type=int, default=5_000_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--length", type=int, default=800)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        dump, history, page = (Path(tmp) / name for name in ("tokens.jsonl", "history.json", "page.html"))
        responses, tokens = write_dump(dump, given.tokens, given.steps, given.length)
        history.write_text(json.dumps([{"step": 10 * step, "entropy": 1 / step} for step in range(1, given.steps + 1)]))
        start = time.monotonic()
        command = [given.binary, "report", str(history), "--tokens", str(dump), "--by", "env", "-o", str(page), "-q"]
        subprocess.run(command, check=True)
        seconds, size = time.monotonic() - start, page.stat().st_size
        text = page.read_text(encoding="utf-8")
        document = json.loads(text.split('id="tokens-data">')[1].split("</script>")[0])
        print(f"{tokens:,} tokens of {responses:,} responses at {given.steps} steps, {dump.stat().st_size / 1e9:.2f} GB: "
              f"page of {size / 1e6:.2f} MB in {seconds:.1f} s")
        for key, part in sorted(document.items(), key=lambda item: -len(json.dumps(item[1]))):
            print(f"  {key}: {len(json.dumps(part, separators=(',', ':'), ensure_ascii=False).encode()) / 1e6:.2f} MB")
            if key == "settings":
                break
        assert document["totals"]["tokens"] == tokens
        counted = sum(step["all"]["entropy"]["tokens"] for step in document["steps"])
        if not document["left_out"]["steps"]:
            assert counted == tokens, "the numbers are of every token"
        assert size < MOST_BYTES, f"the page has {size} bytes"


if __name__ == "__main__":
    main()
