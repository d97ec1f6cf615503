"""The hooks in real programs: a GRPO training by TRL, verl's `Tracking`, a Lightning logger, and a notebook.

Needs what tests/python/requirements.txt lists, torch, and the program in `$ENTROPY_VIZ_PROGRAM`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest
from importlib import metadata
from pathlib import Path

import entropy_viz

ROOT = Path(__file__).parent.parent.parent
RUN = ROOT / "tests/fixtures/models/qwen3-tiny_questioner_s1"


class Case(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        paths = [str(Path(entropy_viz.__file__).parent.parent)]
        try:
            metadata.distribution("entropy-viz")
        except metadata.PackageNotFoundError:  # not installed: entry points are declared as the wheel does it
            paths.append(str(self.declare_entry_points()))
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "STORAGE_PATH": str(self.directory), "OMP_NUM_THREADS": "1"}

    def declare_entry_points(self) -> Path:
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        found = re.search(r'\[project\.entry-points\."(.*)"\]\n(\w+) = "(.*)"\n', text)
        assert found is not None
        group, name, module = found.groups()
        information = self.directory / "declared/entropy_viz-0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: entropy-viz\nVersion: 0\n")
        (information / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        return information.parent

    def run_python(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.directory, env={**self.environment, **environment}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def history(self, run: str) -> list[list[float]]:
        path = self.directory / "models" / run / f"entropy_history_{run}.json"
        return [[row["step"], row["entropy"]] for row in json.loads(path.read_text())]

    def assert_auto_draws(self) -> None:
        subprocess.run([entropy_viz.find_program(), "auto", "--quiet"], cwd=self.directory, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self.assertEqual((self.directory / "entropy_comparison.png").read_bytes()[:4], b"\x89PNG")


class Trainers(Case):
    def test_grpo_training_by_trl_leaves_its_entropies(self) -> None:
        self.run_python(ROOT / "tests/trl/train.py", ROOT / "tests/fixtures/compute/qwen3", "package", "tiny", "kept.json")
        kept = json.loads((self.directory / "kept.json").read_text())
        self.assertEqual(len(kept), 12)
        self.assertEqual(self.history("tiny"), kept)
        self.assert_auto_draws()

    def test_verl_finds_the_logger_by_itself(self) -> None:
        script = self.directory / "train.py"
        script.write_text(
            textwrap.dedent("""
            from verl.utils.tracking import Tracking

            tracking = Tracking("project", "solver_v1", default_backend=["console", "entropy_viz"], config={})
            tracking.log({"val-core/math/reward/mean@1": 0.5}, step=0)
            for step in range(1, 31):
                tracking.log({"actor/entropy": 2.0 / step, "actor/entropy_coeff": 0.0, "perf/throughput": 1.0}, step=step)
            tracking.finish()
            """)
        )
        done = self.run_python(script)
        self.assertIn("step:30", done.stdout, "verl's console logger goes on")
        self.assertEqual(self.history("solver_v1"), [[step, 2.0 / step] for step in range(1, 31)])
        self.assert_auto_draws()

    def test_verl_workers_see_nothing_of_it(self) -> None:
        done = self.run_python("-c", "import verl, sys; from verl.utils.tracking import Tracking; print(Tracking.supported_backend)")
        self.assertIn("'entropy_viz'", done.stdout)
        self.assertNotIn("entropy_viz:", done.stderr)
        self.assertFalse((self.directory / "models").exists())

    def test_lightning_logger_records(self) -> None:
        script = textwrap.dedent("""
            from entropy_viz.lightning import EntropyLogger

            logger = EntropyLogger("l")
            for step in range(3):
                logger.log_metrics({"entropy": 1.5, "loss": 1.0}, step=step)
            logger.log_hyperparams({})
            logger.finalize("success")
            print(logger.name)
            """)
        self.assertEqual(self.run_python("-c", script).stdout, "l\n")
        self.assertEqual(self.history("l"), [[0, 1.5], [1, 1.5], [2, 1.5]])


class Notebook(Case):
    def test_executed_notebook_has_the_picture(self) -> None:
        code = f"import entropy_viz\nentropy_viz.plot({{'questioner': {str(RUN)!r}}}, smooth='ema:0.8')"
        cell = {"cell_type": "code", "source": code, "metadata": {}, "outputs": [], "execution_count": None, "id": "one"}
        notebook = {
            "cells": [cell],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.directory / "in.ipynb").write_text(json.dumps(notebook))
        kept = os.environ.get("ENTROPY_VIZ_KEEP_NOTEBOOK")  # a directory, to look at the page
        self.run_python("-m", "nbconvert", "--execute", "--to", "notebook", "--output", "out", "in.ipynb")
        outputs = json.loads((self.directory / "out.ipynb").read_text())["cells"][0]["outputs"]
        svg = "".join(outputs[0]["data"]["image/svg+xml"])
        self.assertEqual(svg.strip(), entropy_viz.plot({"questioner": RUN}, smooth="ema:0.8").svg.strip())
        self.run_python("-m", "nbconvert", "--to", "html", "--output", kept + "/page" if kept else "page", "out.ipynb")


if __name__ == "__main__":
    unittest.main()
