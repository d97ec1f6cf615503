"""Dumps verl's rollouts with what `entropy-viz compute` and `tokens` need, and verl's own dump lacks: token ids, the
mask of the policy's own tokens, and log-probs.

verl dumps the texts of a step if `trainer.rollout_data_dir` is set. With `$ENTROPY_VIZ_ROLLOUTS` set too, each dump also
writes `$ENTROPY_VIZ_ROLLOUTS/STEP.jsonl`, one response per line:

    {"id", "step", "prompt_token_ids", "response_token_ids", "response_mask", "log_probs", "old_log_probs", "score", "group"}

Padding is removed. `log_probs` are of the sampler (`rollout_log_probs` in verl), `old_log_probs` of the trainer's model
before the update, both in nats, one per token of the response; each is there only if verl has it.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from ._recorder import say

# The keys of the dump, and those of verl's batch.
PER_TOKEN = {"log_probs": "rollout_log_probs", "old_log_probs": "old_log_probs", "advantages": "advantages"}
TRAINERS = ("verl.trainer.ppo.ray_trainer", "RayPPOTrainer")


def install(directory: str) -> None:
    """Makes the trainer that is loaded dump its rollouts into `directory`. stderr says if it cannot."""
    module, name = TRAINERS
    trainer: Any = getattr(sys.modules.get(module), name, None)
    plain = getattr(trainer, "_log_rollout_data", None)
    if plain is None:
        say(f"no rollouts are dumped into {directory}: this verl has no {module}.{name}._log_rollout_data")
        return
    if hasattr(plain, "_entropy_viz"):
        return

    @functools.wraps(plain)
    def log_rollout_data(self: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            write_rollouts(batch, int(self.global_steps), directory)
        except Exception as error:
            say(f"the rollouts of step {getattr(self, 'global_steps', '?')} are not dumped: {error!r}")
        return plain(self, batch, *args, **kwargs)

    log_rollout_data._entropy_viz = True  # type: ignore[attr-defined]
    trainer._log_rollout_data = log_rollout_data


def write_rollouts(batch: Any, step: int, directory: str) -> str:
    """Writes the responses of a `DataProto` to `directory/STEP.jsonl` and returns this path.

    The batch has `prompts` (responses × prompt length, padded on the left), `responses` (responses × response length,
    padded on the right), `attention_mask` (over both), and what `PER_TOKEN` names. Raises `KeyError` without the first
    three, and `OSError`. The file is written completely or not at all.
    """
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"{step}.jsonl")
    handle, temporary = tempfile.mkstemp(prefix=".rollouts-", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for row in rows(batch, step):
                file.write(json.dumps(row) + "\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def rows(batch: Any, step: int) -> Iterator[dict[str, Any]]:
    """The rows of a batch, in its order."""
    tensors, others = batch.batch, getattr(batch, "non_tensor_batch", {})
    prompts, responses = tensors["prompts"].tolist(), tensors["responses"].tolist()
    attention = tensors["attention_mask"].tolist()
    names = set(tensors.keys())  # a TensorDict has no `in`
    mask = tensors["response_mask"].tolist() if "response_mask" in names else None
    per_token = {ours: tensors[theirs].tolist() for ours, theirs in PER_TOKEN.items() if theirs in names}
    scores = tensors["token_level_scores"].sum(-1).tolist() if "token_level_scores" in names else None
    for i, (prompt, response) in enumerate(zip(prompts, responses)):
        width = len(prompt)
        in_response = [j for j, is_token in enumerate(attention[i][width : width + len(response)]) if is_token]
        row: dict[str, Any] = {
            "id": i,
            "step": step,
            "prompt_token_ids": [token for token, is_token in zip(prompt, attention[i]) if is_token],
            "response_token_ids": [response[j] for j in in_response],
        }
        if mask is not None:
            row["response_mask"] = [int(mask[i][j]) for j in in_response]
        for name, values in per_token.items():
            row[name] = [values[i][j] for j in in_response]
        if scores is not None:
            row["score"] = scores[i]
        if "uid" in others:
            row["group"] = str(others["uid"][i])  # responses to one prompt
        yield row
