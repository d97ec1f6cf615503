"""Makes tests/fixtures/masked: responses of which the policy wrote only a part, with transformers' numbers.

`masks.jsonl` has token ids and masks in the forms that trainers dump; `messages.jsonl` has conversations with tools. The
numbers of a conversation come from one pass over the whole chat, and its own tokens from walking over the special tokens,
so neither way is that of `compute`, which renders and scores turn by turn.

Versions as in make_golden.py. Fixed seeds; run again, it gives the same bytes. No network.

    python3 tests/compute/make_masked.py
"""
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
import transformers
from common import FIXTURES, TEMPERATURES, score, write_json, write_lines
from make_golden import all_logits, quieten, seeded
from transformers import AutoModelForCausalLM, AutoTokenizer

MASKED = FIXTURES.parent / "masked"
BASE = "qwen2"

CONVERSATIONS = [
    [("user", "What is 3 + 4?"), ("assistant", "Let me ask the tool."), ("tool", "The tool says 7."), ("assistant", "The answer is 7.")],
    [("system", "You are a careful assistant."), ("user", "What is 9 - 30?"), ("assistant", "-21."), ("user", "Why?"),
     ("assistant", "The mean of values is below 0."), ("user", "Put it in a box."), ("assistant", "[-21]")],
    # Not complete: the last message is the tool's.
    [("user", "Explain entropy."), ("assistant", "I search."), ("tool", "entropy: the mean of -log p")],
    [("user", "naïve café 🎲"), ("assistant", "策略熵")],
]


def main():
    torch.set_num_threads(1)
    quieten()
    MASKED.mkdir(parents=True, exist_ok=True)
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / BASE, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / BASE)
    masks, spans = mask_rows()
    write_lines(MASKED / "masks.jsonl", masks)
    chats = [[{"role": role, "content": content} for role, content in chat] for chat in CONVERSATIONS]
    write_lines(MASKED / "messages.jsonl", [{"id": i, "messages": chat} for i, chat in enumerate(chats)])
    turns = [turn for i, chat in enumerate(chats) for turn in turns_of(tokenizer, i, chat)]
    write_json(MASKED / "golden.json", {
        "unit": "nats", "base": BASE, "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "masks": {str(t): own_scores(model, spans, t) for t in TEMPERATURES},
        "messages": {str(t): own_scores(model, turns, t) for t in TEMPERATURES}})


def mask_rows():
    """Rows as trainers dump them; and (id, ids, mask over all ids) of each."""
    generator = seeded("masks")
    rows, spans = [], []
    for i, (prompt, response) in enumerate([(6, 20), (3, 31), (12, 9), (5, 16), (7, 24)]):
        ids = torch.randint(0, 250, (prompt + response,), generator=generator).tolist()
        mask = (torch.rand(response, generator=generator) < 0.6).int().tolist()
        row = {"id": i, "prompt_token_ids": ids[:prompt], "response_token_ids": ids[prompt:]}
        if i == 0:
            row["response_mask"] = mask
        elif i == 1:  # over prompt and response, as floats
            row["loss_mask"] = [0.0] * prompt + [float(own) for own in mask]
        elif i == 2:
            row["token_loss_mask"] = [bool(own) for own in [0] * prompt + mask]
        elif i == 3:  # TRL: padding and tool output in two masks
            padded = [1] * (response - 4) + [0] * 4
            row |= {"completion_mask": padded, "tool_mask": mask}
            mask = [a * b for a, b in zip(padded, mask)]
        else:  # tool output only at both ends
            mask = [0] * 5 + [1] * 12 + [0] * 7
            row["response_mask"] = mask
        rows.append(row)
        spans.append((i, ids, [0] * prompt + mask))
    return rows, spans


def turns_of(tokenizer, number, chat):
    """(id, ids of the whole chat, mask of one turn): from a turn's first token as far as its end token."""
    ids = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True)["input_ids"]
    start, end, newline = (tokenizer.convert_tokens_to_ids(token) for token in ("<|im_start|>", "<|im_end|>", "Ċ"))
    header = [start, *tokenizer("assistant\n", add_special_tokens=False)["input_ids"]]
    assert header[-1] == newline
    turns = []
    for at in range(len(ids)):
        if ids[at:at + len(header)] == header:
            first = at + len(header)
            last = ids.index(end, first)
            turns.append((number, ids, [int(first <= i <= last) for i in range(len(ids))]))
    assert len(turns) == sum(message["role"] == "assistant" for message in chat)
    return turns


def own_scores(model, spans, temperature):
    """Scores of the tokens in the masks. Those of all tokens after the first are computed in one pass."""
    per_response = []
    for number, ids, mask in spans:
        row = {"id": number, "prompt_token_ids": ids[:1], "response_token_ids": ids[1:]}
        [scores] = score(lambda ids: all_logits(model, ids), [row], temperature)["per_rollout"]
        own = {key: [value for value, is_own in zip(scores[key], mask[1:]) if is_own] for key in ("entropy", "logprob")}
        tokens = [token for token, is_own in zip(ids, mask) if is_own]
        per_response.append({"id": number, "tokens": tokens, "mean": sum(own["entropy"]) / len(tokens), **own})
    count = sum(len(row["tokens"]) for row in per_response)
    return {"token_mean": sum(sum(row["entropy"]) for row in per_response) / count, "n_tokens": count,
            "sequence_mean": sum(row["mean"] for row in per_response) / len(per_response), "per_response": per_response}


if __name__ == "__main__":
    main()
