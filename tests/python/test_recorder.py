"""Recording: what a training sees, and what is left on disk after kills, forks and refusals.

Needs the program in `$ENTROPY_VIZ_PROGRAM`, and the standard library alone.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import entropy_viz
from entropy_viz import _pipe

PACKAGE = str(Path(entropy_viz.__file__).parent.parent)


class Case(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.models = directory.name

    def path(self, run: str = "solver") -> Path:
        return Path(self.models, run, f"entropy_history_{run}.json")

    def rows(self, run: str = "solver") -> list[list[float]]:
        return [[row["step"], row["entropy"]] for row in json.loads(self.path(run).read_text())]

    def script(self, code: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a Python process with `models` as its first argument."""
        env = {**os.environ, "PYTHONPATH": PACKAGE, **environment}
        code = "import os, signal, sys, time\nimport entropy_viz\nmodels = sys.argv[1]\n" + textwrap.dedent(code)
        return subprocess.Popen([sys.executable, "-c", code, self.models], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def eventually(self, is_true: object, what: str) -> None:
        end = time.monotonic() + 60
        while not is_true():  # type: ignore[operator]
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)


class Recording(Case):
    def test_recorder_writes_a_history_that_auto_draws(self) -> None:
        with entropy_viz.Recorder("solver", models=self.models) as record:
            for step in range(1, 21):
                record(step, 2.0 / step)
        self.assertEqual(self.rows(), [[step, 2.0 / step] for step in range(1, 21)])
        picture = Path(self.models, "all.png")
        subprocess.run([entropy_viz.find_program(), "auto", self.models, "-o", picture, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(picture.read_bytes()[:4], b"\x89PNG")

    def test_values_are_recorded_exactly_and_not_finite_ones_as_gaps(self) -> None:
        values = [0.1 + 0.2, 1e-300, -0.0, math.pi, math.nan, math.inf, 3, True]
        with entropy_viz.Recorder("solver", models=self.models) as record:
            for step, value in enumerate(values):
                record(step, value)
        for (step, got), (wanted_step, wanted) in zip(self.rows(), enumerate(values)):
            self.assertEqual((step, repr(got)), (wanted_step, repr(float(wanted) if math.isfinite(wanted) else None)))

    def test_second_recording_continues_the_first_and_replaces_repeated_steps(self) -> None:
        with entropy_viz.Recorder("solver", models=self.models) as record:
            record(1, 3.0), record(2, 2.0)
        with entropy_viz.Recorder("solver", models=self.models) as record:
            record(2, 2.5), record(3, 1.0)
        self.assertEqual(self.rows(), [[1, 3.0], [2, 2.5], [3, 1.0]])

    def test_recorder_may_be_used_after_close(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models)
        record(1, 3.0)
        record.close()
        record(2, 2.0)
        record.close()
        record.close()
        self.assertEqual(self.rows(), [[1, 3.0], [2, 2.0]])

    def test_pickled_recorder_starts_anew(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models, metric="h")
        record(1, 3.0)
        record.close()
        copy = pickle.loads(pickle.dumps(record))
        copy.row(2, {"h": 2.0, "entropy": 9.0})
        copy.close()
        self.assertEqual(self.rows(), [[1, 3.0], [2, 2.0]])

    def test_log_completes_the_file_at_the_end_of_the_process(self) -> None:
        process = self.script("for step in range(5): entropy_viz.log(step, 1.5, run='a', models=models); entropy_viz.log(step, 2.5, run='b', models=models)")
        said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, said)
        self.assertEqual((self.rows("a"), self.rows("b")), ([[i, 1.5] for i in range(5)], [[i, 2.5] for i in range(5)]))
        self.assertEqual(said[0], b"", "stdout is the trainer's")
        self.assertIn(f"recording to {self.path('a')}".encode(), said[1])

    def test_default_directory_is_that_of_storage_path(self) -> None:
        process = self.script("entropy_viz.log(1, 2.0, run='a')", STORAGE_PATH=self.models)
        process.communicate(timeout=60)
        self.assertTrue(Path(self.models, "models/a/entropy_history_a.json").exists())

    def test_rows_are_recorded_by_the_key_of_the_first_row(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            record.row(0, {"eval_entropy": 9.0, "val/entropy": 9.0, "evaluation/entropy": 9.0, "dev/entropy": 9.0, "actor/entropy_coeff": 0.1, "loss": 1.0})
            record.row(1, {"actor/entropy": 3.0, "loss": "not a number"})
            record.row(2, {"rollout/entropy": 7.0})
            record.row(3, {"actor/entropy": 2.0, "rollout/entropy": 7.0})
            record.row(3, {"eval_entropy": 9.0})
            record.close()
        self.assertEqual(self.rows(), [[1, 3.0], [3, 2.0]])
        self.assertIn("step 2 is not recorded: it has rollout/entropy, but the run is recorded by actor/entropy", said.getvalue())
        self.assertIn("1 row was not recorded", said.getvalue())

    def test_metric_chooses_the_key_of_rows(self) -> None:
        with entropy_viz.Recorder("solver", models=self.models, metric="my[0]*/h") as record:
            record.row(1, {"my[0]*/h": 3.0, "entropy": 1.0})
            record.row(2, {"entropy": 1.0})
        self.assertEqual(self.rows(), [[1, 3.0]])


class TrainingGoesOn(Case):
    """Nothing that goes wrong raises, and each cause is named once on stderr."""

    def said(self, action: object) -> str:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            action()  # type: ignore[operator]
        return said.getvalue()

    def test_values_that_are_no_numbers_are_counted(self) -> None:
        class Odd:
            def __repr__(self) -> str:
                raise RuntimeError("no text")

        def act() -> None:
            with entropy_viz.Recorder("solver", models=self.models) as record:
                record(1, 2.0)
                record(2, "abc")
                record(3, None)
                record(math.nan, 1.0)
                record(4, Odd())
                record.row(5, {"entropy": [1, 2]})
                record(6, 1.0)

        said = self.said(act)
        self.assertEqual(self.rows(), [[1, 2.0], [6, 1.0]])
        self.assertIn("step 2 is not recorded: 'abc' is not a number", said)
        self.assertIn("5 rows were not recorded", said)

    def test_steps_that_are_no_numbers_are_named_as_such(self) -> None:
        def act(step: Any, as_row: bool) -> None:
            with entropy_viz.Recorder("a", models=self.models) as record:
                if as_row:
                    record.row(step, {"entropy": 0.4})
                else:
                    record(step, 0.4)

        for step, why in (("x", "the step is not a number"), (math.nan, "the step is not a finite number")):
            for as_row in (False, True):
                with self.subTest(step=step, as_row=as_row):
                    said = self.said(functools.partial(act, step, as_row))
                    self.assertIn(f"a: step {step!r} is not recorded: {why}", said)
                    self.assertNotIn("0.4", said)

    def test_missing_program_is_reported_once(self) -> None:
        old = os.environ["ENTROPY_VIZ_PROGRAM"]
        os.environ["ENTROPY_VIZ_PROGRAM"] = "/nowhere/entropy-viz"
        self.addCleanup(os.environ.__setitem__, "ENTROPY_VIZ_PROGRAM", old)

        def act() -> None:
            with entropy_viz.Recorder("solver", models=self.models) as record:
                for step in range(10):
                    record(step, 1.0)

        said = self.said(act)
        self.assertEqual(said.count("is no longer recorded"), 1, said)
        self.assertIn("/nowhere/entropy-viz", said)
        self.assertIn("10 rows were not recorded", said)

    def test_second_recorder_of_a_run_is_refused_and_the_first_is_kept(self) -> None:
        with entropy_viz.Recorder("solver", models=self.models) as first:
            first(1, 2.0)
            self.eventually(self.path().exists, "the first recorder wrote nothing")

            def act() -> None:
                with entropy_viz.Recorder("solver", models=self.models) as second:
                    second(1, 9.0)

            self.assertIn("exit code 2", self.said(act))
        self.assertEqual(self.rows(), [[1, 2.0]])

    def test_other_ranks_record_nothing(self) -> None:
        for rank in (1, 7):
            with entropy_viz.Recorder("solver", models=self.models, rank=rank) as record:
                record(1, 2.0)
                record.row(1, {"entropy": 2.0})
                record(2, "not even checked")
        process = self.script("entropy_viz.log(1, 2.0, run='a', models=models)", RANK="3")
        self.assertEqual(process.communicate(timeout=60), (b"", b""))
        self.assertEqual(os.listdir(self.models), [])

    def test_recorder_that_does_not_read_never_blocks_the_training(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models)
        record(0, 1.0)
        self.eventually(self.path().exists, "the recorder wrote nothing")
        process = record._pipe._process
        os.kill(process.pid, signal.SIGSTOP)
        longest = 0.0
        try:
            for step in range(1, 200_000):
                start = time.perf_counter()
                record(step, 1.0)
                longest = max(longest, time.perf_counter() - start)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        self.assertLess(longest, 0.5)
        self.assertTrue(record._pipe._backlog, "the pipe was never full, so this tests nothing")
        record.close()
        self.assertEqual(len(self.rows()), 200_000)

    def test_rows_that_wait_for_a_recorder_are_bounded_and_the_lost_ones_counted(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models)
        record(0, 1.0)
        self.eventually(self.path().exists, "the recorder wrote nothing")
        process = record._pipe._process
        os.kill(process.pid, signal.SIGSTOP)
        said = io.StringIO()
        try:
            with mock.patch.object(_pipe, "MAX_BACKLOG", 1000), contextlib.redirect_stderr(said):
                for step in range(1, 200_000):
                    record(step, 1.0)
            self.assertEqual(len(record._pipe._backlog), 1000)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        with contextlib.redirect_stderr(said):
            record.close()
        rows = self.rows()
        self.assertEqual([step for step, _ in rows], list(range(len(rows))), "the first rows are kept")
        self.assertIn("solver is no longer recorded: the recorder does not read; 1000 rows wait for it", said.getvalue())
        self.assertIn(f"{200_000 - len(rows)} rows were not recorded", said.getvalue())


class Ends(Case):
    """What is on disk when processes end in other ways than usual."""

    LOOP = """
    step = 0
    while True:
        step += 1
        entropy_viz.log(step, 1.0 / step, run="solver", models=models)
        if step == 200:
            print("running", flush=True)
        time.sleep(0.0005)
    """

    def end_by(self, number: int) -> list[list[float]]:
        process = self.script(self.LOOP)
        assert process.stdout is not None and process.stderr is not None
        self.assertEqual(process.stdout.readline(), b"running\n")
        process.send_signal(number)
        self.assertEqual(process.wait(60), -number)
        # The recorder has the stderr of the training: its end is the end of this pipe.
        said = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        self.assertIn(b"steps recorded", said)
        return self.rows()

    def test_sigterm_and_sigkill_of_the_training_lose_no_step(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number):
                rows = self.end_by(number)
                self.assertGreaterEqual(len(rows), 200)
                self.assertEqual([row[0] for row in rows], list(range(1, len(rows) + 1)))
                self.path().unlink()

    def test_recorder_ended_by_a_signal_is_started_again(self) -> None:
        # Slurm sends SIGTERM to all processes of a job, and some trainings go on until their next checkpoint.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number):
                record = entropy_viz.Recorder("solver", models=self.models)
                for step in range(100):
                    record(step, 1.0)
                record._pipe._process.send_signal(number)
                record._pipe._process.wait()
                for step in range(100, 200):
                    record(step, 1.0)
                record.close()
                self.assertEqual(self.rows(), [[step, 1.0] for step in range(200)])
                self.path().unlink()

    def test_recorder_ended_by_a_signal_before_close_loses_nothing(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models)
        for step in range(100):
            record(step, 1.0)
        record._pipe._process.kill()
        record._pipe._process.wait()
        record.close()
        self.assertEqual(len(self.rows()), 100)

    def test_recorder_that_is_killed_again_and_again_is_given_up(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            for step in range(_pipe.RESTARTS + 3):
                record(step, 1.0)
                if record._pipe._process is not None:
                    record._pipe._process.kill()
                    record._pipe._process.wait()
            record.close()
        self.assertIn("was ended by signal 9", said.getvalue())

    def test_child_processes_neither_hold_the_recording_open_nor_share_it(self) -> None:
        process = self.script(
            """
            entropy_viz.log(1, 2.0, run="solver", models=models)
            children = []
            for child in range(3):
                pid = os.fork()
                if pid == 0:
                    entropy_viz.log(child, 5.0, run=f"child{child}", models=models)
                    entropy_viz.finish()
                    time.sleep(600 if child == 2 else 0)  # outlives its parent
                    os._exit(0)
                children.append(pid)
            for pid in children[:2]:
                os.waitpid(pid, 0)
            entropy_viz.log(2, 1.0, run="solver", models=models)
            entropy_viz.finish()
            print("finished", children[2], flush=True)
            os.kill(children[2], signal.SIGKILL)
            """
        )
        out, said = process.communicate(timeout=60)
        self.assertIn(b"finished", out, said)
        self.assertEqual(self.rows(), [[1, 2.0], [2, 1.0]])
        self.assertEqual([self.rows(f"child{child}") for child in range(3)], [[[child, 5.0]] for child in range(3)])

    def test_fork_while_another_thread_logs_does_not_hang(self) -> None:
        process = self.script(
            """
            import threading
            entropy_viz.log(1, 1.0, run="solver", models=models)  # a fork during an import is a danger of Python's own
            is_done = False
            def work():
                step = 1
                while not is_done:
                    step += 1
                    entropy_viz.log(step, 1.0, run="solver", models=models)
                    time.sleep(0.00001)
            thread = threading.Thread(target=work)
            thread.start()
            for i in range(30):
                pid = os.fork()
                if pid == 0:
                    entropy_viz.finish()
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
            is_done = True
            thread.join()
            """
        )
        said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, said)
        self.assertEqual([row[0] for row in self.rows()], list(range(1, len(self.rows()) + 1)))

    def test_signal_handler_may_finish_the_recording(self) -> None:
        handler = """
    def handler(number, frame):
        entropy_viz.finish()
        sys.exit(3)
    signal.signal(signal.SIGTERM, handler)
        """
        process = self.script(handler + self.LOOP)
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        self.assertEqual(process.wait(60), 3)
        process.communicate()
        self.assertGreaterEqual(len(self.rows()), 200)


class Cost(Case):
    def test_import_is_light(self) -> None:
        code = "import sys, time; start = time.process_time(); import entropy_viz; print(time.process_time() - start)"
        environment = {**os.environ, "PYTHONPATH": PACKAGE}
        runs = [subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout.split() for _ in range(5)]
        self.assertLess(min(float(run[0]) for run in runs), 0.030)
        code = "import entropy_viz, sys; sys.exit(bool({'torch', 'transformers', 'subprocess', 'pandas'} & set(sys.modules)))"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)

    def test_log_takes_less_than_50_microseconds(self) -> None:
        record = entropy_viz.Recorder("solver", models=self.models)
        start = time.process_time()
        for step in range(10_000):
            record(step, 1.0 / (step + 1))
        took = time.process_time() - start
        record.close()
        self.assertEqual(len(self.rows()), 10_000)
        self.assertLess(took / 10_000, 50e-6)


if __name__ == "__main__":
    unittest.main()
