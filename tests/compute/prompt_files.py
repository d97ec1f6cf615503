"""Prompt files written by pyarrow, json and csv, with verl's columns and keys.

verl reads Parquet whose `prompt` is a list of chat messages, and dumps rollouts as JSON lines with the
rendered prompt under `input`. `datasets` orders a message's fields by name, hence content before role.
"""
import csv
import json

import pyarrow
import pyarrow.parquet
from common import fresh, write_lines

QUESTIONS = [
    ("What is 3 + 4?", "7"),
    ("Natalia sold 48 clips in April, and \"half as many\" in May.\nHow many in all?", "72"),
    ("策略熵是什么?", "平均"),
    ("Is 1 < 2 & 2 > 1?", "yes"),
    ("naïve café 🎲", ""),
]
SYSTEM = {"content": "You are a careful assistant.", "role": "system"}


def make(directory):
    fresh(directory)
    table = pyarrow.Table.from_pylist([verl_row(number, *pair) for number, pair in enumerate(QUESTIONS)], schema=verl_schema())
    for codec in ("snappy", "zstd"):
        pyarrow.parquet.write_table(table, directory / f"verl-{codec}.parquet", compression=codec)
    write_lines(directory / "verl-rollouts.jsonl", [dumped_rollout(number, *pair) for number, pair in enumerate(QUESTIONS)])
    (directory / "lines.txt").write_text("".join(question.replace("\n", " ") + "\n" for question, _ in QUESTIONS), encoding="utf-8")
    with open(directory / "questions.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)  # RFC 4180: CRLF line ends, quotes doubled
        writer.writerow(["id", "prompt", "answer"])
        writer.writerows([number, question, answer] for number, (question, answer) in enumerate(QUESTIONS))
    rows = [{"id": number, "prompt": question if number % 2 else verl_row(number, question, answer)["prompt"]}
            for number, (question, answer) in enumerate(QUESTIONS)]
    (directory / "array.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    expected = {"questions": [question for question, _ in QUESTIONS], "messages": [verl_row(number, *pair)["prompt"] for number, pair in enumerate(QUESTIONS)]}
    (directory / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def verl_schema():
    text, number = pyarrow.string(), pyarrow.int64()
    message = pyarrow.struct([("content", text), ("role", text)])
    return pyarrow.schema([
        ("data_source", text),
        ("prompt", pyarrow.list_(message)),
        ("ability", text),
        ("reward_model", pyarrow.struct([("ground_truth", text), ("style", text)])),
        ("extra_info", pyarrow.struct([("answer", text), ("index", number), ("question", text), ("split", text)])),
    ])


def verl_row(number, question, answer):
    messages = [{"content": question, "role": "user"}]
    return {
        "data_source": "openai/gsm8k",
        "prompt": [SYSTEM, *messages] if number == 1 else messages,
        "ability": "math",
        "reward_model": {"ground_truth": answer, "style": "rule"},
        "extra_info": {"answer": answer or None, "index": number, "question": question, "split": "train"},
    }


def dumped_rollout(number, question, answer):
    rendered = "".join(f"{message['role']}\n{message['content']}\n" for message in verl_row(number, question, answer)["prompt"]) + "assistant\n"
    return {"input": rendered, "output": f"The answer is {answer}.", "gts": answer, "score": float(number % 2), "step": 10}
