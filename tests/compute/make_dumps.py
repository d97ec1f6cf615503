"""Makes tests/fixtures/dumps: the responses of tests/fixtures/compute/rollouts.jsonl as binary dumps.

`datasets` writes folders and pyarrow single files; torch.save writes the samples of slime. Run again, it gives the same
rows (`datasets` adds a random fingerprint). No network.

    python3 tests/compute/make_dumps.py datasets    # with datasets and pyarrow
    python3 tests/compute/make_dumps.py torch       # with torch and NumPy
"""
import json
import shutil
import sys
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
DUMPS = FIXTURES / "dumps"


def rollouts():
    lines = (FIXTURES / "compute" / "rollouts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def main(what):
    DUMPS.mkdir(parents=True, exist_ok=True)
    {"datasets": write_datasets, "torch": write_torch}[what]()


def write_datasets():
    import datasets
    import pyarrow
    from pyarrow import feather, ipc

    rows = [{"prompt_token_ids": row["prompt_token_ids"], "response_token_ids": row["response_token_ids"],
             "reward": float(i), "env": "math"} for i, row in enumerate(rollouts())]
    dataset = datasets.Dataset.from_list(rows)
    for name, save in {
        "folder": lambda path: dataset.save_to_disk(path, num_shards=2),
        "splits": lambda path: datasets.DatasetDict({"test": dataset.select([0]), "train": dataset}).save_to_disk(path),
    }.items():
        shutil.rmtree(DUMPS / name, ignore_errors=True)
        save(DUMPS / name)
    table = pyarrow.table({
        "prompt_token_ids": pyarrow.array([row["prompt_token_ids"] for row in rows], pyarrow.large_list(pyarrow.int32())),
        "response_token_ids": pyarrow.array([row["response_token_ids"] for row in rows], pyarrow.list_(pyarrow.uint16())),
        "env": pyarrow.array([row["env"] for row in rows]).dictionary_encode(),
        "task": pyarrow.array(["a"] * len(rows), pyarrow.string_view()),
        "source": pyarrow.array(["b"] * len(rows), pyarrow.large_string()),
        "reward": pyarrow.array([row["reward"] for row in rows], pyarrow.float16()),
    })
    # A column that is not in use.
    table = table.append_column("time", pyarrow.array([0] * len(rows), pyarrow.timestamp("s")))
    feather.write_feather(table, DUMPS / "zstd.feather", compression="zstd")
    feather.write_feather(table, DUMPS / "lz4.feather", compression="lz4")
    with ipc.new_stream(DUMPS / "stream.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    with ipc.new_file(DUMPS / "file.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    write_bombs()


def write_bombs():
    """Small files whose rows take gigabytes."""
    import pyarrow
    from pyarrow import feather, ipc

    (DUMPS / "bombs").mkdir(exist_ok=True)
    body = pyarrow.table({"prompt": pyarrow.array(["a" * (1 << 20)] * 1024, pyarrow.large_string())})
    feather.write_feather(body, DUMPS / "bombs" / "body.feather", compression="zstd", chunksize=1024)
    text = pyarrow.array(["a" * (1 << 16)]).dictionary_encode().dictionary
    indices = pyarrow.array([0] * (1 << 15), pyarrow.int8())
    repeated = pyarrow.table({"prompt": pyarrow.DictionaryArray.from_arrays(indices, text)})
    rows = pyarrow.table({"prompt": pyarrow.nulls(1 << 30)})
    options = ipc.IpcWriteOptions(compression="zstd")
    for name, table in {"dictionary": repeated, "rows": rows}.items():
        with ipc.new_stream(DUMPS / "bombs" / f"{name}.arrow", table.schema, options=options) as writer:
            writer.write_table(table)


def write_torch():
    import numpy
    import torch

    samples = []
    for i, row in enumerate(rollouts()):
        prompt, response = row["prompt_token_ids"], row["response_token_ids"]
        samples.append({
            "group_index": i // 2, "index": i, "prompt": "?", "tokens": prompt + response, "multimodal_inputs": None,
            "response": "?", "response_length": len(response), "label": "7", "reward": numpy.float64(i % 2),
            "loss_mask": [1] * len(response), "weight_versions": ["3"], "rollout_log_probs": [-0.5] * len(response),
            "rollout_routed_experts": numpy.zeros((2, 2), dtype=numpy.int32), "remove_sample": False,
            "status": "completed" if i % 2 else "truncated", "metadata": {"round": 1}, "train_metadata": None,
            "entropy": [0.25] * len(response),
        })
    (DUMPS / "slime").mkdir(exist_ok=True)
    torch.save({"rollout_id": 12, "samples": samples}, DUMPS / "slime" / "rollout_12.pt")
    torch.save({"rollout_id": 12, "samples": samples[:1]}, DUMPS / "slime" / "rollout_eval_12.pt")
    arrays = [{"prompt_token_ids": torch.tensor(row["prompt_token_ids"]),
               "response_token_ids": numpy.array(row["response_token_ids"], dtype=numpy.int32),
               "loss_mask": torch.ones(len(row["response_token_ids"]), dtype=torch.bool),
               "logprobs": torch.full((2, len(row["response_token_ids"])), -0.5, dtype=torch.bfloat16).T[:, 1]}
              for row in rollouts()]
    torch.save(arrays, DUMPS / "list.pt")
    torch.save(arrays, DUMPS / "protocol5.pt", pickle_protocol=5)


if __name__ == "__main__":
    main(sys.argv[1])
