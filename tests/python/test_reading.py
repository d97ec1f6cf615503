"""Reading and drawing, against the rows of the files themselves and against what the program prints.

Needs the program in `$ENTROPY_VIZ_PROGRAM`. pandas and polars are tested where they are installed.
"""

from __future__ import annotations

import html
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from typing import Any

import entropy_viz
from entropy_viz import _reading

FIXTURES = Path(__file__).parent.parent / "fixtures"
MODELS = FIXTURES / "models"
RUN = MODELS / "qwen3-tiny_questioner_s1"
COLLAPSED = MODELS / "qwen3-tiny_questioner_collapse_s1"


def rows_of(directory: Path) -> list[dict[str, Any]]:
    (path,) = directory.glob("entropy_history_*.json")
    return json.loads(path.read_text())


class Read(unittest.TestCase):
    def test_columns_are_the_rows_of_the_file(self) -> None:
        table = entropy_viz.read(RUN, frame="lists")
        rows = rows_of(RUN)
        self.assertEqual(list(table), ["run", "step", "metric", "entropy"])
        self.assertEqual(table["step"], [row["step"] for row in rows])
        self.assertEqual(table["entropy"], [row["entropy"] for row in rows])  # all digits
        self.assertEqual(set(table["run"]), {"qwen3-tiny_questioner_s1"})
        self.assertIsInstance(table["step"][0], int)

    def test_labels_and_flags_are_passed_on(self) -> None:
        by_name = entropy_viz.read({"a b, c": RUN, "次": COLLAPSED}, frame="lists")
        self.assertEqual(sorted(set(by_name["run"])), ["a b, c", "次"])
        by_flag = entropy_viz.read([RUN, COLLAPSED], labels=["A", "B"], frame="lists")
        self.assertEqual(sorted(set(by_flag["run"])), ["A", "B"])
        self.assertEqual(set(entropy_viz.read(RUN, metric="entropy", frame="lists")["metric"]), {"entropy"})

    def test_list_is_one_value_where_the_flag_takes_commas(self) -> None:
        log = FIXTURES / "wandb/rzero_0.31.0"
        (run,) = entropy_viz.stats(log, columns=["lr", "data.seed"]).runs
        self.assertEqual(run["config"], {"lr": 0.0001, "data.seed": 1})
        (label,) = set(entropy_viz.read(log, label_from=["config.lr", "config.data.seed"], frame="lists")["run"])
        self.assertEqual(label, "lr=0.0001, seed=1")
        sizes = [re.findall(r"<svg [^>]*", entropy_viz.plot(log, size=size).svg)[0] for size in ((5, 4), "5x4")]
        self.assertEqual(sizes[0], sizes[1])

    def test_underscore_at_the_end_of_a_name_is_no_part_of_the_flag(self) -> None:
        log = FIXTURES / "trainer_state/qwen3-tiny_questioner_s1"
        self.assertIn("reward", entropy_viz.plot(log, with_="reward").svg)
        self.assertEqual(entropy_viz.plot(log, theme_="light").svg, entropy_viz.plot(log, theme="light").svg)

    def test_data_frames_of_installed_libraries(self) -> None:
        rows = rows_of(RUN)
        for name in ("pandas", "polars"):
            if importlib.util.find_spec(name) is None:
                with self.assertRaises(ImportError):
                    entropy_viz.read(RUN, frame=name)
                continue
            with self.subTest(library=name):
                frame = entropy_viz.read(RUN, frame=name)
                self.assertIsInstance(frame, importlib.import_module(name).DataFrame)
                self.assertEqual(list(frame["entropy"]), [row["entropy"] for row in rows])
                table = entropy_viz.stats(RUN).frame(name)
                self.assertEqual(list(table["points"]), [len(rows)])

    def test_auto_prefers_the_imported_library_and_falls_back_to_lists(self) -> None:
        code = "import entropy_viz\n"
        code += "import importlib.util\nimportlib.util.find_spec = lambda name: None\n"
        code += f"print(type(entropy_viz.read({str(RUN)!r})).__name__)"
        environment = {**os.environ, "PYTHONPATH": str(Path(entropy_viz.__file__).parent.parent)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
        self.assertEqual(done.stdout, "dict\n")

    def test_repairs_are_warnings(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory, "odd.jsonl")
            log.write_text('{"step":1,"entropy":2}\n{"step":2,"entropy":NaN}\n{"step":3,"entropy":1.5}\n{"step":3,"entropy":1.25}\n')
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                table = entropy_viz.read(log, frame="lists")
        self.assertEqual((table["step"], table["entropy"]), ([1, 3], [2.0, 1.25]))
        said = [str(each.message) for each in caught if each.category is entropy_viz.EntropyVizWarning]
        self.assertEqual(len(said), 2, said)
        self.assertIn("1 value is not finite", said[0])
        self.assertEqual(caught[0].filename, __file__, "the warning points at the caller")

    def test_errors_are_those_of_the_program(self) -> None:
        for call in (entropy_viz.read, entropy_viz.stats, entropy_viz.check, entropy_viz.plot, entropy_viz.report):
            with self.assertRaisesRegex(entropy_viz.EntropyVizError, r"(?s)nowhere\.json: there is no such file.*hint: ") as caught:
                call("nowhere.json")
            self.assertEqual(caught.exception.exit_code, 2)
        with self.assertRaisesRegex(entropy_viz.EntropyVizError, "--no-such-flag"):
            entropy_viz.stats(RUN, no_such_flag=1)
        with self.assertRaisesRegex(ValueError, "frame must be one of"):
            entropy_viz.read(RUN, frame="numpy")
        with self.assertRaisesRegex(ValueError, "no path"):
            entropy_viz.read([])
        with self.assertRaisesRegex(ValueError, "has a ="):
            entropy_viz.read({"a=b": RUN})
        with self.assertRaisesRegex(TypeError, "int"):
            entropy_viz.read(3)

    def test_whole_and_broken_steps(self) -> None:
        self.assertEqual(_reading._steps(["1", "2"]), [1, 2])
        self.assertEqual(_reading._steps(["1", "2.5"]), [1.0, 2.5])


class Numbers(unittest.TestCase):
    def test_stats_are_the_document_of_the_program(self) -> None:
        printed = subprocess.run([entropy_viz.find_program(), "stats", RUN, "--json"], check=True, capture_output=True).stdout
        stats = entropy_viz.stats(RUN)
        self.assertEqual(stats, json.loads(printed))
        entropies = [row["entropy"] for row in rows_of(RUN)]
        self.assertAlmostEqual(stats.runs[0]["mean"], sum(entropies) / len(entropies), places=12)

    def test_check_is_true_if_no_rule_is_broken(self) -> None:
        self.assertTrue(entropy_viz.check(RUN))
        failed = entropy_viz.check({"q": COLLAPSED})
        self.assertFalse(failed)
        self.assertEqual([each["rule"] for each in failed.violations], ["collapse"])
        self.assertIn("q: collapsed at step", repr(failed))
        self.assertFalse(entropy_viz.check(RUN, min_entropy=100.0))


class Pictures(unittest.TestCase):
    def test_picture_is_svg_and_can_be_saved(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            picture = entropy_viz.plot({"Q": RUN}, Path(directory, "a.png"), title="A & B", smooth="ema:0.9")
            self.assertIn("A &amp; B", picture._repr_svg_())
            self.assertTrue(picture.svg.startswith("<svg") and picture.svg.rstrip().endswith("</svg>"))
            self.assertEqual(Path(directory, "a.png").read_bytes()[:4], b"\x89PNG")
            path = picture.save(Path(directory, "b.pdf"))
            self.assertEqual(Path(path).read_bytes()[:4], b"%PDF")
            light = Path(picture.save(Path(directory, "c.svg"))).read_text()
            self.assertNotEqual(light, picture.svg)
            self.assertEqual(entropy_viz.plot({"Q": RUN}, title="A & B", smooth="ema:0.9", theme="light").svg, light)

    def test_inline_picture_has_no_background_unless_a_look_is_given(self) -> None:
        background = r'<rect x="0" y="0" width="\d+" height="\d+" opacity="1" fill="#ffffff"( fill-opacity="0")?'
        for options, opacity in (({}, ' fill-opacity="0"'), ({"theme": "light"}, None), ({"style": "paper"}, None)):
            found = re.search(background, entropy_viz.plot(RUN, **options).svg, re.IGNORECASE)
            assert found is not None
            self.assertEqual(found.group(1), opacity, options)

    def test_report_is_a_page_in_a_frame(self) -> None:
        page = entropy_viz.report({"A & B": RUN}, height=500, title="T<i>")
        self.assertTrue(page.html.startswith("<!doctype html>"), page.html[:40])
        frame = page._repr_html_()
        (shown,) = re.findall(r'srcdoc="([^"]*)"', frame)
        self.assertEqual(html.unescape(shown), page.html)
        self.assertIn("height:500px", frame)
        with tempfile.TemporaryDirectory() as directory:
            path = page.save(Path(directory, "page.html"))
            self.assertEqual(Path(path).read_bytes(), page.html.encode())
            self.assertEqual(os.listdir(directory), ["page.html"])

    def test_plot_into_a_file_warns_once(self) -> None:
        with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            entropy_viz.plot(MODELS / "qwen3-tiny_solver_resumed", Path(directory, "a.svg"))
        self.assertEqual([str(each.message).endswith("the later one counts") for each in caught], [True])


class Command(unittest.TestCase):
    def test_module_is_the_program(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(entropy_viz.__file__).parent.parent)}
        run = [sys.executable, "-m", "entropy_viz"]
        done = subprocess.run([*run, "stats", RUN, "--json"], env=environment, capture_output=True, text=True)
        self.assertEqual(json.loads(done.stdout), dict(entropy_viz.stats(RUN)))
        self.assertEqual(subprocess.run([*run, "stats", "nowhere"], env=environment, capture_output=True).returncode, 2)
        environment["ENTROPY_VIZ_PROGRAM"] = "/nowhere"
        done = subprocess.run(run, env=environment, capture_output=True, text=True)
        self.assertEqual((done.returncode, "ENTROPY_VIZ_PROGRAM" in done.stderr, "Traceback" in done.stderr), (2, True, False))

    def test_all_names_exist(self) -> None:
        hooks = {"lightning", "torch", "trl"}  # they import what they hook into
        for name in set(entropy_viz.__all__) - hooks:
            self.assertIsNotNone(getattr(entropy_viz, name))
        self.assertLessEqual(set(entropy_viz.__all__), set(dir(entropy_viz)))
        with self.assertRaisesRegex(AttributeError, "no_such_name"):
            _ = entropy_viz.no_such_name


if __name__ == "__main__":
    unittest.main()
