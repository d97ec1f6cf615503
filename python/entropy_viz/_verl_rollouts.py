"""Dumps verl's rollouts with what `entropy-viz compute` and `tokens` need, and verl's own dump lacks: token ids, the
mask of the policy's own tokens, and log-probs.

verl dumps the texts of a step if `trainer.rollout_data_dir` is set. With `$ENTROPY_VIZ_ROLLOUTS` set too, each dump also
writes `$ENTROPY_VIZ_ROLLOUTS/STEP.jsonl`, one response per line:

    {"id", "step", "prompt_token_ids", "response_token_ids", "response_mask", "log_probs", "old_log_probs", "advantages", "score", "group"}

There is no padding. `log_probs` are of the sampler (`rollout_log_probs` in verl), `old_log_probs` of the trainer's model
before the update, both in nats, one per token of the response. `group` is the same for the responses to one prompt. What
verl does not have is left out.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ._files import whole_file
from ._recorder import say

# The names in the dump of values per token, and those in verl.
PER_TOKEN = {"response_mask": "response_mask", "log_probs": "rollout_log_probs", "old_log_probs": "old_log_probs", "advantages": "advantages"}

Reader = Callable[[Any, Any], Iterator[dict[str, Any]]]


def install(directory: str) -> None:
    """Makes the trainers that are loaded dump their rollouts into `directory`. stderr says if there are none."""
    readers: dict[tuple[str, str], Reader] = {
        ("verl.trainer.ppo.ray_trainer", "RayPPOTrainer"): lambda module, batch: padded_rows(batch),
        ("verl.trainer.ppo.v1.trainer_base", "PPOTrainer"): lambda module, batch: queued_rows(module.tq, batch),
    }
    found = 0
    for (module_name, name), reader in readers.items():
        module = sys.modules.get(module_name)
        trainer: Any = getattr(module, name, None)
        if hasattr(trainer, "_log_rollout_data"):
            _wrap(trainer, functools.partial(reader, module), directory)
            found += 1
    if found == 0:
        say(f"no rollouts are dumped into {directory}: this verl has no trainer with a method _log_rollout_data")


def _wrap(trainer: Any, reader: Callable[[Any], Iterator[dict[str, Any]]], directory: str) -> None:
    plain = trainer._log_rollout_data
    if hasattr(plain, "_entropy_viz"):
        return

    @functools.wraps(plain)
    def log_rollout_data(self: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            write_rollouts(reader(batch), int(self.global_steps), directory)
        except Exception as error:
            say(f"the rollouts of step {getattr(self, 'global_steps', '?')} are not dumped: {error!r}")
        return plain(self, batch, *args, **kwargs)

    log_rollout_data._entropy_viz = True  # type: ignore[attr-defined]
    trainer._log_rollout_data = log_rollout_data


def write_rollouts(rows: Iterator[dict[str, Any]], step: int, directory: str) -> str:
    """Writes rows to `directory/STEP.jsonl`, completely or not at all, and returns this path. Raises `OSError`."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"{step}.jsonl")
    with whole_file(path) as file:
        for index, row in enumerate(rows):
            file.write(json.dumps({"id": index, "step": step, **row}) + "\n")
    return path


def padded_rows(batch: Any) -> Iterator[dict[str, Any]]:
    """The rows of a `DataProto`: `prompts` (padded on the left), `responses` (padded on the right) and `attention_mask` over both.

    Raises `KeyError` without these three.
    """
    tensors, others = batch.batch, batch.non_tensor_batch
    names = set(tensors.keys())  # a TensorDict has no `in`
    prompts, responses, attention = (tensors[name].tolist() for name in ("prompts", "responses", "attention_mask"))
    per_token = {ours: tensors[theirs].tolist() for ours, theirs in PER_TOKEN.items() if theirs in names}
    scores = tensors["token_level_scores"].sum(-1).tolist() if "token_level_scores" in names else None
    for i, (prompt, response) in enumerate(zip(prompts, responses)):
        width = len(prompt)
        own = [j for j, is_token in enumerate(attention[i][width : width + len(response)]) if is_token]
        row: dict[str, Any] = {
            "prompt_token_ids": [token for token, is_token in zip(prompt, attention[i]) if is_token],
            "response_token_ids": [response[j] for j in own],
        }
        row.update((name, [values[i][j] for j in own]) for name, values in per_token.items())
        if scores is not None:
            row["score"] = scores[i]
        if "uid" in others:
            row["group"] = str(others["uid"][i])
        yield row


def queued_rows(queue: Any, batch: Any) -> Iterator[dict[str, Any]]:
    """The rows of a `KVBatchMeta`, whose tensors are in the TransferQueue `queue`, nested and without padding.

    Raises what the queue raises if it has no `prompts` and `responses`.
    """

    def values(field: str) -> list[list[Any]]:
        data = queue.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=[field])
        return [row.tolist() for row in data[field].unbind()]

    prompts, responses = values("prompts"), values("responses")
    found: dict[str, list[list[Any]]] = {}
    for ours, theirs in {**PER_TOKEN, "score": "rm_scores"}.items():
        try:
            found[ours] = values(theirs)
        except Exception as error:
            _say_once(f"rollouts are dumped without {ours}: verl has no {theirs} ({error!r})")
    for i, (prompt, response) in enumerate(zip(prompts, responses)):
        row: dict[str, Any] = {"prompt_token_ids": prompt, "response_token_ids": response}
        row.update((name, found[name][i]) for name in PER_TOKEN if name in found)
        if "score" in found:
            row["score"] = sum(found["score"][i])
        row["group"] = batch.keys[i].rsplit("_", 2)[0]  # a key is {uid}_{session}_{index}
        yield row


@functools.cache
def _say_once(message: str) -> None:
    say(message)
