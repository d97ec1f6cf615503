"""Makes tests/fixtures/bare_chat: rollouts as verl dumps them, decoded without special tokens, with the token ids that
they had and transformers' numbers for these.

Each directory has the tokenizer and the chat template of a family (templates of chat_cases.py), for the weights of
`compute/qwen2`; `rows.jsonl` with `input` and `output` as `tokenizer.decode(ids, skip_special_tokens=True)` writes them;
`expected.json` with the token ids before that, and entropies and log-probs in nats.

Versions as in make_golden.py. Fixed seeds; run again, it gives the same bytes. No network.

    python3 tests/compute/make_bare_chat.py
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import torch
import transformers
from common import FIXTURES, fresh, score, write_json, write_lines
from make_golden import all_logits, quieten
from tokenizers import AddedToken
from transformers import AutoModelForCausalLM, AutoTokenizer

BARE = FIXTURES.parent / "bare_chat"
BASE = "qwen2"
CONTEXT = 1024

# name: (template in chat.json, special tokens, bos, eos, end tokens of the model)
QWEN = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
FAMILIES = {
    "qwen2.5": ("qwen2.5: default system message", QWEN, None, "<|im_end|>", ["<|im_end|>", "<|endoftext|>"]),
    "qwen3": ("qwen3: thinking", QWEN, None, "<|im_end|>", ["<|im_end|>", "<|endoftext|>"]),
    "llama3": ("llama3: date", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
               "<|begin_of_text|>", "<|eot_id|>", ["<|endoftext|>", "<|eot_id|>"]),
    "gemma": ("gemma", ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<eos>", ["<eos>", "<end_of_turn>"]),
    "mistral": ("mistral", ["<s>", "</s>"], "<s>", "</s>", ["</s>"]),
    "phi3": ("phi3", ["<s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"], "<s>", "<|endoftext|>", ["<|end|>", "<|endoftext|>"]),
}
# As in Qwen's tokenizer, these are added tokens, but not special.
NOT_SPECIAL = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
ARGUMENTS = {"llama3": {"date_string": "26 Jul 2024"}}

LONG = "Explain why the entropy of a policy collapses: the model is sure of the answer before it reads the question. " * 4
CALL = "I ask.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3, \"b\": 4}}\n</tool_call>"


def user(text):
    return {"role": "user", "content": text}


def system(text):
    return {"role": "system", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def tool(text):
    return {"role": "tool", "content": text}


# id: (messages, response, how it ends). "restored": the response ended by itself and is much shorter than the longest.
# "cut": it has the maximum length. "unknown": it ended by itself, but is almost as long.
COMMON = {
    "question": ([user("What is 3 + 4?")], "The answer is 7.", "restored"),
    "odd text": ([user("naïve café 🎲\n\n策略熵?")], "平均.\n\nuser: the assistant", "restored"),
    "only end": ([user("Say nothing.")], "", "restored"),
    "turns": ([user("What is 9 - 30?"), assistant("-21."), user("Why?")], "The mean is below 0.", "restored"),
    "cut": ([user("Explain entropy.")], LONG, "cut"),
    "long": ([user("Explain collapse.")], LONG[:-20], "unknown"),
}
SYSTEM = {
    "system": ([system("You are a careful assistant.\nThink step by step."), user("Is 1 < 2 & 2 > 1?")], "yes", "restored"),
    "system turns": ([system("You are a helpful assistant\n\nBe brief."), user("a"), assistant("b"), user("c")], "d", "restored"),
}
# id: (messages, response): what cannot be rebuilt.
CLEAR = "user with a line assistant"
LINES = {
    CLEAR: ([user("What follows?\nassistant\nHello")], "7"),
    "system with a line user": ([system("Roles:\nuser\nassistant"), user("a\nuser\nb")], "7"),
    "model writes roles": ([user("What is 3 + 4?")], "7\nuser\nAnd 4 + 4?\nassistant\n8"),
    "model writes one role": ([user("What is 3 + 4?")], "7\nassistant\n8"),
}


def main():
    torch.set_num_threads(1)
    quieten()
    fresh(BARE)
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / BASE, dtype=torch.float32, attn_implementation="eager").eval()
    templates = {case["name"]: case["template"] for case in json.loads((FIXTURES / "chat.json").read_text(encoding="utf-8"))}
    for name, (template, special, bos, eos, ends) in FAMILIES.items():
        directory = BARE / name
        tokenizer = make_tokenizer(directory, templates[template], special, bos, eos)
        config = json.loads((FIXTURES / BASE / "config.json").read_text())
        end_ids = [tokenizer.convert_tokens_to_ids(end) for end in ends]
        config |= {"max_position_embeddings": CONTEXT, "eos_token_id": end_ids}
        write_json(directory / "config.json", config)
        write_json(directory / "generation_config.json", {"eos_token_id": end_ids})
        make_rows(name, directory, tokenizer, model)


def make_tokenizer(directory, template, special, bos, eos):
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / BASE)
    known = tokenizer.get_vocab()
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special if token not in known], special_tokens=True)
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in NOT_SPECIAL])
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.chat_template = bos, eos, template
    tokenizer.save_pretrained(directory)
    return AutoTokenizer.from_pretrained(directory)


def make_rows(name, directory, tokenizer, model):
    end = {"llama3": "<|eot_id|>", "gemma": "<end_of_turn>", "mistral": "</s>", "phi3": "<|end|>"}.get(name, "<|im_end|>")
    end = tokenizer.convert_tokens_to_ids(end)
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    bare = lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
    prompt_ids = lambda messages: tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, **ARGUMENTS.get(name, {}))["input_ids"]
    rows, expected = [], []

    def add(row_id, prompt, response):
        rows.append({"id": row_id, "input": bare(prompt), "output": bare(response), "gts": "7", "score": 0.0, "step": 1})

    chats = COMMON if name in ("gemma", "mistral") else COMMON | SYSTEM
    unclear = dict(LINES)
    if name == "qwen3":  # the template writes <think> for an assistant's message at the end, so this is no such message
        chats = chats | {CLEAR: (*unclear.pop(CLEAR), "restored")}
    for row_id, (messages, text, ending) in chats.items():
        prompt, response = prompt_ids(messages), encode(text)
        add(row_id, prompt, response + ([] if ending == "cut" else [end]))
        if ending == "restored":
            response = response + [end]
        expected.append({"id": row_id, "prompt_token_ids": prompt, "response_token_ids": response})
    if name == "qwen2.5":
        for row_id, messages, replies, form in agents():
            for turn, (prompt, response) in enumerate(agent_ids(tokenizer, messages, replies, form, encode, end, prompt_ids)):
                expected.append({"id": row_id, "turn": turn, "prompt_token_ids": prompt, "response_token_ids": response})
            start = len(prompt_ids(messages))
            add(row_id, (prompt + response)[:start], (prompt + response)[start:])
    if name in ("qwen2.5", "qwen3"):
        for row_id, (messages, text) in unclear.items():
            add(row_id, prompt_ids(messages), encode(text) + [end])
    # A text that is no chat stays as it is.
    if name != "phi3":
        plain = "def mean(values):\n    return"
        add("plain", encode(plain), encode(" sum(values)"))
        expected.append({"id": "plain", "prompt_token_ids": encode(plain), "response_token_ids": encode(" sum(values)")})
    scores = score(lambda ids: all_logits(model, ids), expected, 1.0)
    for row, numbers in zip(expected, scores["per_rollout"]):
        row |= {"entropy": numbers["entropy"], "logprob": numbers["logprob"]}
    write_lines(directory / "rows.jsonl", rows)
    write_json(directory / "expected.json", {
        "unit": "nats", "base": BASE, "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "token_mean": scores["token_mean"], "n_tokens": scores["n_tokens"], "rows": expected})


def agents():
    """Responses with tools: (id, prompt, replies, how the turns are joined)."""
    prompt = [system("You may call add."), user("What is 3 + 4?")]
    replies = [assistant(CALL), tool("7"), assistant("The answer is 7.")]
    twice = [assistant(CALL), tool("7"), tool("8"), assistant("Again.\n" + CALL), tool("user\n7"), assistant("It is 7.")]
    yield "agent, joined", prompt, replies, "joined"
    yield "agent, whole", prompt, replies, "whole"
    yield "agent with three turns", prompt, twice, "joined"
    yield "agent with default system", prompt[1:], replies, "joined"


def agent_ids(tokenizer, messages, replies, form, encode, end, prompt_ids):
    """Context and tokens of each turn. "joined" is verl's tool_agent_loop.py: the policy's tokens, then the tool's message
    rendered for itself without the system prompt. "whole" is what the template writes for the whole chat."""
    ids, at, turns = prompt_ids(messages), 0, []
    while at < len(replies):
        own = encode(replies[at]["content"]) + [end]
        turns.append((ids, own))
        at += 1
        tools = []
        while at < len(replies) and replies[at]["role"] == "tool":
            tools.append(replies[at])
            at += 1
        if tools:
            alone = tokenizer.apply_chat_template([{}], add_generation_prompt=False, tokenize=True, return_dict=True)["input_ids"]
            rendered = prompt_ids(tools)
            assert rendered[:len(alone)] == alone
            ids = ids + own + (encode("\n") if form == "whole" else []) + rendered[len(alone):]
    if form == "whole":  # against the template's own text of the whole chat
        whole = tokenizer.apply_chat_template(messages + replies, tokenize=True, return_dict=True)["input_ids"]
        assert whole[:len(ids)] == ids, "the turns are not those of the whole chat"
    return turns


if __name__ == "__main__":
    main()
