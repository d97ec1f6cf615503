"""The hooks, with stand-ins for their trainers where those are large, and W&B's public interface.

`test_trainers.py` runs the real ones.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import entropy_viz
from entropy_viz import _verl_rollouts, easyr1, verl, wandb


class Case(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        patch = mock.patch.dict(os.environ, {"STORAGE_PATH": self.directory})
        patch.start()
        self.addCleanup(patch.stop)

    def rows(self, run: str) -> list[list[float]]:
        path = Path(self.directory, "models", run, f"entropy_history_{run}.json")
        return [[row["step"], row["entropy"]] for row in json.loads(path.read_text())]

    def with_modules(self, **modules: Any) -> None:
        patch = mock.patch.dict(sys.modules, {name.replace("__", "."): module for name, module in modules.items()})
        patch.start()
        self.addCleanup(patch.stop)

    def said(self, action: Any) -> str:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            action()
        return said.getvalue()


class Verl(Case):
    def tracking(self) -> Any:
        """A class with the interface of verl's `Tracking` before `finish` was added."""

        class Tracking:
            supported_backend = ["console"]  # noqa: RUF012

            def __init__(self, project_name: str, experiment_name: str, default_backend: Any = "console", config: Any = None) -> None:
                assert all(each in self.supported_backend for each in default_backend)
                self.logger: dict[str, Any] = {}

            def log(self, data: dict[str, Any], step: int) -> None:
                for each in self.logger.values():
                    each.log(data=data, step=step)

        module = types.SimpleNamespace(Tracking=Tracking)
        self.with_modules(verl=types.SimpleNamespace(), verl__utils=types.SimpleNamespace(tracking=module), verl__utils__tracking=module)
        return Tracking

    def test_backend_is_added_once_and_records_only_where_it_is_chosen(self) -> None:
        tracking = self.tracking()
        self.assertTrue(verl.register() and verl.register())
        self.assertEqual(tracking.supported_backend, ["console", "entropy_viz"])
        self.assertEqual(tracking("p", "e", ["console"]).logger, {})
        logger = tracking("p", "org/e", ["console", "entropy_viz"])
        logger.log({"val-core/entropy": 9.0}, step=0)
        for step in (1, 2):
            logger.log({"actor/entropy": 2.0 / step, "actor/entropy_coeff": 0.0, "timing/step": 1.0}, step=step)
        entropy_viz.finish()
        self.assertEqual(self.rows("org_e"), [[1, 2.0], [2, 1.0]])

    def test_verl_without_the_interface_is_named_on_stderr(self) -> None:
        module = types.SimpleNamespace(Tracking=type("Tracking", (), {}))
        self.with_modules(verl=types.SimpleNamespace(), verl__utils=types.SimpleNamespace(), verl__utils__tracking=module)
        self.assertIn("Tracking has no list supported_backend", self.said(lambda: self.assertFalse(verl.register())))
        self.with_modules(verl__utils__tracking=None)
        self.assertIn("cannot import verl.utils.tracking", self.said(lambda: self.assertFalse(verl.register())))

    def test_rollouts_have_ids_masks_and_log_probs_without_padding(self) -> None:
        class Tensor(list):  # type: ignore[type-arg]
            def tolist(self) -> list[Any]:
                return list(self)

            def sum(self, dimension: int) -> Any:
                assert dimension == -1
                return Tensor(sum(row) for row in self)

        tensors = {
            "prompts": Tensor([[0, 11, 12], [21, 22, 23]]),
            "responses": Tensor([[13, 14, 15, 0], [24, 25, 0, 0]]),
            "attention_mask": Tensor([[0, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0, 0]]),
            "response_mask": Tensor([[1, 0, 1, 0], [1, 1, 0, 0]]),
            "rollout_log_probs": Tensor([[-1.0, -2.0, -3.0, 0.0], [-4.0, -5.0, 0.0, 0.0]]),
            "token_level_scores": Tensor([[0.0, 0.0, 1.0, 0.0], [0.0, 0.5, 0.0, 0.0]]),
        }
        batch = types.SimpleNamespace(batch=tensors, non_tensor_batch={"uid": ["a", "a"]})

        class RayPPOTrainer:
            global_steps = 7

            def _log_rollout_data(self, batch: Any, infos: Any) -> str:
                return "verl's own dump"

        self.with_modules(verl__trainer__ppo__ray_trainer=types.SimpleNamespace(RayPPOTrainer=RayPPOTrainer))
        _verl_rollouts.install(self.directory)
        _verl_rollouts.install(self.directory)
        self.assertEqual(RayPPOTrainer()._log_rollout_data(batch, {}), "verl's own dump")
        self.assertEqual(os.listdir(self.directory), ["7.jsonl"])
        rows = [json.loads(line) for line in Path(self.directory, "7.jsonl").read_text().splitlines()]
        first = {"id": 0, "step": 7, "prompt_token_ids": [11, 12], "response_token_ids": [13, 14, 15], "response_mask": [1, 0, 1]}
        self.assertEqual(rows[0], {**first, "log_probs": [-1.0, -2.0, -3.0], "score": 1.0, "group": "a"})
        self.assertEqual((rows[1]["prompt_token_ids"], rows[1]["response_token_ids"], rows[1]["log_probs"]), ([21, 22, 23], [24, 25], [-4.0, -5.0]))

        del tensors["attention_mask"]
        said = self.said(lambda: self.assertEqual(RayPPOTrainer()._log_rollout_data(batch, {}), "verl's own dump"))
        self.assertIn("the rollouts of step 7 are not dumped: KeyError('attention_mask')", said)

    def test_rollouts_in_a_transfer_queue_are_dumped_too(self) -> None:
        class Row(list):  # type: ignore[type-arg]
            def tolist(self) -> list[Any]:
                return list(self)

        class Nested(list):  # type: ignore[type-arg]
            def unbind(self) -> list[Any]:
                return [Row(row) for row in self]

        stored = {
            "prompts": Nested([[11, 12], [21]]),
            "responses": Nested([[13, 14, 15], [22]]),
            "response_mask": Nested([[1, 0, 1], [1]]),
            "rollout_log_probs": Nested([[-1.0, -2.0, -3.0], [-4.0]]),
            "rm_scores": Nested([[0.0, 0.0, 1.0], [0.5]]),
        }

        def kv_batch_get(keys: list[str], partition_id: str, select_fields: list[str]) -> dict[str, Any]:
            assert (keys, partition_id) == (["u_1_0_0", "u_1_1_0"], "train")
            return {field: stored[field] for field in select_fields}

        class PPOTrainer:
            global_steps = 3

            def _log_rollout_data(self, batch: Any, timing: Any, directory: str) -> None:
                pass

        module = types.SimpleNamespace(PPOTrainer=PPOTrainer, tq=types.SimpleNamespace(kv_batch_get=kv_batch_get))
        self.with_modules(verl__trainer__ppo__v1__trainer_base=module, verl__trainer__ppo__ray_trainer=None)
        _verl_rollouts.install(self.directory)
        batch = types.SimpleNamespace(keys=["u_1_0_0", "u_1_1_0"], partition_id="train")
        said = self.said(lambda: [PPOTrainer()._log_rollout_data(batch, {}, "text") for _ in range(2)])
        self.assertEqual(said.count("without old_log_probs: verl has no old_log_probs"), 1, said)
        rows = [json.loads(line) for line in Path(self.directory, "3.jsonl").read_text().splitlines()]
        last = {"id": 1, "step": 3, "prompt_token_ids": [21], "response_token_ids": [22], "response_mask": [1], "log_probs": [-4.0]}
        self.assertEqual(rows[1], {**last, "score": 0.5, "group": "u_1"})
        self.assertEqual((len(rows), rows[0]["response_mask"], rows[0]["score"]), (2, [1, 0, 1], 1.0))

    def test_trainer_without_rollout_dumps_is_named_on_stderr(self) -> None:
        self.with_modules(verl__trainer__ppo__ray_trainer=None)
        self.assertIn("no rollouts are dumped", self.said(lambda: _verl_rollouts.install(self.directory)))


class HuggingFace(Case):
    def setUp(self) -> None:
        super().setUp()
        self.with_modules(transformers=types.SimpleNamespace(TrainerCallback=object))
        sys.modules.pop("entropy_viz.trl", None)
        self.addCleanup(sys.modules.pop, "entropy_viz.trl", None)
        self.trl = importlib.import_module("entropy_viz.trl")

    def train(self, callback: Any, rows: list[dict[str, float]], rank: int = 0, **args: Any) -> None:
        """Calls a callback as transformers' `CallbackHandler` does."""
        arguments = types.SimpleNamespace(**args)
        state = types.SimpleNamespace(global_step=0, is_world_process_zero=rank == 0)
        for state.global_step, logs in enumerate(rows, 1):
            callback.on_log(arguments, state, None, logs=logs, model=None)
        callback.on_train_end(arguments, state, None)

    def test_each_training_has_the_name_of_its_arguments(self) -> None:
        callback = self.trl.EntropyCallback()
        self.train(callback, [{"entropy": 2.0}, {"eval_entropy": 9.0}, {"entropy": 1.0}], run_name=None, output_dir="out/first")
        self.train(callback, [{"entropy": 3.0}], run_name="org/second", output_dir="out/first")
        self.train(callback, [{"entropy": 4.0}], run_name="out/third/", output_dir="out/third/")
        self.assertEqual([self.rows("first"), self.rows("org_second"), self.rows("third")], [[[1, 2.0], [3, 1.0]], [[1, 3.0]], [[1, 4.0]]])

    def test_other_ranks_and_trainings_without_entropy_record_nothing(self) -> None:
        self.train(self.trl.EntropyCallback("a"), [{"entropy": 2.0}], rank=1)
        said = self.said(lambda: self.train(self.trl.EntropyCallback("a"), [{"loss": 2.0}]))
        self.assertIn("a: nothing is recorded, because the trainer logged no row with an entropy", said)
        self.assertEqual(os.listdir(self.directory), [])


class EasyR1(Case):
    def test_logger_is_registered_and_records(self) -> None:
        loggers: dict[str, Any] = {}
        module = types.SimpleNamespace(LOGGERS=loggers)
        self.with_modules(
            verl=types.SimpleNamespace(), verl__utils=types.SimpleNamespace(), verl__utils__logger=types.SimpleNamespace(), verl__utils__logger__logger=module
        )
        self.assertTrue(easyr1.register())
        logger = loggers["entropy_viz"]({"trainer": {"experiment_name": "solver", "project_name": "p"}})
        logger.log(data={"actor/entropy_loss": 1.5, "critic/score/mean": 0.1}, step=3)
        logger.finish()
        self.assertEqual(self.rows("solver"), [[3, 1.5]])

    def test_other_verl_is_named_on_stderr(self) -> None:
        self.with_modules(verl__utils__logger__logger=None)
        self.assertIn("cannot import LOGGERS", self.said(lambda: self.assertFalse(easyr1.register())))


class Run:
    """A run as `wandb.Api` returns it."""

    def __init__(self, name: str, identity: str, rows: list[dict[str, Any]]) -> None:
        self.name, self.id, self.rows = name, identity, rows

    def scan_history(self, keys: list[str] | None = None) -> list[dict[str, Any]]:
        return [row for row in self.rows if keys is None or all(key in row for key in keys)]


class Wandb(Case):
    def api(self, *runs: Run) -> Any:
        return types.SimpleNamespace(runs=lambda path, filters: runs if path == "me/rl" else [], run=lambda path: runs[-1])

    def test_pulled_runs_are_read_with_all_digits(self) -> None:
        rows: list[dict[str, Any]] = [
            {"_step": step, "_timestamp": 1e9 + step, "actor/entropy": 2.0 / step, "text": "no", "flag": True} for step in range(1, 12)
        ]
        rows[4]["actor/entropy"] = "NaN"
        paths = wandb.pull("me/rl", directory=self.directory, api=self.api(Run("a/b", "x1", rows), Run("c", "x2", rows[:2])))
        self.assertEqual([Path(path).name for path in paths], ["a_b-x1.jsonl", "c-x2.jsonl"])
        with self.assertWarnsRegex(entropy_viz.EntropyVizWarning, "1 value is not finite"):
            table = entropy_viz.read(paths[0], frame="lists")
        self.assertEqual(table["step"], [1, 2, 3, 4, 6, 7, 8, 9, 10, 11])
        self.assertEqual(table["entropy"], [2.0 / step for step in table["step"]])

    def test_one_run_and_chosen_keys(self) -> None:
        rows = [{"_step": 1, "a": 1.0}, {"_step": 2, "a": 1.0, "entropy": 0.5}]
        api = self.api(Run("c", "x2", rows))
        (path,) = wandb.pull("me/rl/x2", directory=self.directory, keys=["entropy"], api=api)
        self.assertEqual(len(Path(path).read_text().splitlines()), 1)
        with self.assertRaisesRegex(ValueError, "has no rows with missing"):
            wandb.pull("me/rl/x2", directory=self.directory, keys=["missing"], api=api)
        self.assertEqual(os.listdir(self.directory), ["c-x2.jsonl"])

    def test_wrong_paths_are_named(self) -> None:
        for path, why in {"rl": "neither", "a/b/c/d": "neither", "me/none": "has no runs"}.items():
            with self.assertRaisesRegex(ValueError, why):
                wandb.pull(path, directory=self.directory, api=self.api())
        with self.assertRaisesRegex(ValueError, "is one run"):
            wandb.pull("me/rl/x2", filters={"state": "finished"}, api=self.api())


if __name__ == "__main__":
    unittest.main()
