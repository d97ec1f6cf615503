"""Trains a tiny Qwen3 by GRPO with the callback of docs/recording.md: `train.py CHECKPOINT RECORDING.md RUN LOG`, or with
that of the Python package: `train.py CHECKPOINT package RUN LOG`.

CHECKPOINT is read from disk, LOG becomes the entropies that the trainer itself kept, as `[[step, entropy], …]`.
"""
import json
import os
import re
import sys
import tempfile
from pathlib import Path

scratch = tempfile.TemporaryDirectory()
os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=scratch.name, TOKENIZERS_PARALLELISM="false")

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

STEPS = 12

checkpoint, document, run, log = sys.argv[1:]

if document == "package":
    from entropy_viz.trl import EntropyCallback

    callback = EntropyCallback()  # by default, the name is the trainer's run_name
else:
    namespace = {}
    for block in re.findall(r"```python\n(.*?)```", Path(document).read_text(encoding="utf-8"), flags=re.S):
        exec(block, namespace)
    callback = namespace["EntropyCallback"](run)

tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="float32")
prompts = Dataset.from_dict({"prompt": [f"{i} and {i + 1} are" for i in range(8)]})


def shorter(completions, **kwargs):
    return [-float(len(completion)) for completion in completions]


config = GRPOConfig(
    output_dir=scratch.name, run_name=run, max_steps=STEPS, logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, bf16=False,
    per_device_train_batch_size=4, num_generations=4, max_completion_length=8, learning_rate=1e-3, seed=1,
    gradient_checkpointing=False, disable_tqdm=True,
)
trainer = GRPOTrainer(
    model=model, processing_class=tokenizer, reward_funcs=shorter, train_dataset=prompts, args=config,
    callbacks=[callback],
)
trainer.train()

kept = [[row["step"], row["entropy"]] for row in trainer.state.log_history if "entropy" in row]
Path(log).write_text(json.dumps(kept), encoding="utf-8")
