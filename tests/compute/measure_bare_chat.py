"""Measures how far the entropy of a verl dump is off when its texts are scored as they are, and when chats are rebuilt.

Samples responses to chats from a checkpoint with `compute --save-rollouts`, which keeps token ids, and writes them as verl
does: decoded without special tokens. Mean entropies by transformers (float32) of

    ids        the rollouts' own token ids
    plain      prompt and response text tokenised as they are (`--chat-template never`)
    rebuilt    the token ids that `compute` rebuilds
    all left   the ids of only those rollouts that `compute` does not leave out

    python3 tests/compute/measure_bare_chat.py CHECKPOINT [--temperature 1] [--samples 8] [--max-new-tokens 96]

Needs torch and transformers, and target/debug/entropy-viz-compute (or $ENTROPY_VIZ_COMPUTE).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
from common import score, write_lines
from make_golden import all_logits, quieten
from transformers import AutoModelForCausalLM, AutoTokenizer

HELPER = os.environ.get("ENTROPY_VIZ_COMPUTE", str(Path(__file__).resolve().parents[2] / "target/debug/entropy-viz-compute"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    args = parser.parse_args()
    torch.set_num_threads(1)
    quieten()
    model = AutoModelForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        write_lines(tmp / "prompts.jsonl", [{"id": i, "prompt": chat} for i, chat in enumerate(chats())])
        compute(args, tmp, "prompts.jsonl", "sampled.json", "--save-rollouts", "rollouts.jsonl", "--samples", str(args.samples),
                "--max-new-tokens", str(args.max_new_tokens))
        rollouts = read_lines(tmp / "rollouts.jsonl")
        bare = lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
        dump = [{"id": i, "input": bare(row["prompt_token_ids"]), "output": bare(row["response_token_ids"]), "gts": "", "score": 0.0,
                 "step": 1} for i, row in enumerate(rollouts)]
        write_lines(tmp / "dump.jsonl", dump)
        said = compute(args, tmp, "dump.jsonl", "rebuilt.json", "--tokens-out", "rebuilt.jsonl")
        compute(args, tmp, "dump.jsonl", "plain.json", "--tokens-out", "plain.jsonl", "--chat-template", "never")
        rebuilt, plain = read_lines(tmp / "rebuilt.jsonl"), read_lines(tmp / "plain.jsonl")
        ours = {name: json.loads((tmp / f"{name}.json").read_text())[0]["entropy"] for name in ("rebuilt", "plain")}
    # The plain ids by transformers alone.
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    by_hand = [{"id": row["id"], "prompt_token_ids": encode(row["input"]), "response_token_ids": encode(row["output"])} for row in dump]
    by_hand = [row for row in by_hand if row["response_token_ids"]]
    key = lambda row: (row["id"], row["prompt_token_ids"], row["response_token_ids"])
    assert list(map(key, by_hand)) == list(map(key, plain)), "compute's plain ids are not those of transformers"
    ids = [{**row, "id": i} for i, row in enumerate(rollouts)]
    kept = {row["id"] for row in rebuilt}
    mean = lambda rows: score(lambda ids: all_logits(model, ids), rows, args.temperature)
    results = {"ids": mean(ids), "plain": mean(by_hand), "rebuilt": mean(rebuilt), "all left": mean([row for row in ids if row["id"] in kept])}
    print("\n".join(line for line in said.splitlines() if "rebuilt" in line))
    cut = sum(row["finish_reason"] == "length" for row in rollouts)
    same_prompt = sum(row["prompt_token_ids"] == ids[row["id"]]["prompt_token_ids"] for row in rebuilt)
    same = sum(row["response_token_ids"] == ids[row["id"]]["response_token_ids"] for row in rebuilt)
    shrink = [1 - len(encode(dump[i]["output"])) / len(row["response_token_ids"]) for i, row in enumerate(rollouts)
              if row["finish_reason"] == "length"]
    ended = {row["id"]: row["response_token_ids"][-1] in tokenizer.all_special_ids for row in rebuilt}
    wrong = sum(ended[i] for i in kept if rollouts[i]["finish_reason"] == "length")
    missing = sum(not ended[i] for i in kept if rollouts[i]["finish_reason"] == "stop")
    print(f"{len(rollouts)} responses, {cut} cut; rebuilt {len(rebuilt)}: {same_prompt} prompts and {same} responses have the same ids")
    print(f"end tokens: {wrong} added to a response that was cut, {missing} missing at one that ended")
    if shrink:
        print(f"re-tokenised, cut responses have {min(shrink):.1%} to {max(shrink):.1%} fewer tokens")
    for name, result in results.items():
        off = result["token_mean"] - results["ids"]["token_mean"]
        off_seq = result["sequence_mean"] - results["ids"]["sequence_mean"]
        ours_text = f"; compute {ours[name]:.4f}" if name in ours else ""
        print(f"{name:9} token mean {result['token_mean']:.4f} ({off:+.4f}), sequence mean {result['sequence_mean']:.4f} ({off_seq:+.4f}), "
              f"{result['n_tokens']} tokens{ours_text}")


def chats():
    for a, b, sign in [(3, 4, "+"), (12, 7, "*"), (9, 30, "-"), (81, 9, "/"), (17, 25, "+"), (6, 6, "*")]:
        yield [{"role": "user", "content": f"What is {a} {sign} {b}?"}]
    for word in ("open", "list", "sort", "path", "dict", "file"):
        yield [{"role": "system", "content": "You are a careful assistant."}, {"role": "user", "content": f"Explain {word}."}]


def compute(args, directory, prompts, history, *flags):
    command = [HELPER, "--device", "cpu", "--model", str(args.checkpoint.resolve()), "--prompts", prompts, "--step", "1", "-o", history,
               "--dtype", "float32", "--temperature", str(args.temperature), *flags]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
