"""Signals at random moments: every output file is complete, and a second run finishes the work."""
import json
import random
import shutil
import signal
import time
import zlib
from pathlib import Path

from common import FIXTURES, history, models, note

# `compute` takes seconds on a slow machine, so its case has a time limit and reports the number of rounds.
MOST_SECONDS = 150


def check_png(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is not a PNG"
    at, kinds = 8, []
    while at < len(data):
        length, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == int.from_bytes(data[at + 8 + length:at + 12 + length], "big"), f"{path} is truncated"
        kinds.append(kind)
        at += 12 + length
    assert kinds[-1] == b"IEND", f"{path} is truncated"


def check_file(path):
    """Checks that a file is complete, by the rules of its extension."""
    text = lambda: path.read_text(encoding="utf-8")
    match path.suffix:
        case ".png":
            check_png(path)
        case ".json":
            json.loads(text())
        case ".svg":
            assert text().endswith("</svg>\n"), f"{path} is truncated"
        case ".xml":
            assert text().rstrip().endswith("</testsuites>"), f"{path} is truncated"
        case ".html":
            assert text().rstrip().endswith("</html>"), f"{path} is truncated"
        case ".parquet":
            data = path.read_bytes()
            assert data[:4] == data[-4:] == b"PAR1", f"{path} is truncated"
        case ".csv" | ".md" | ".jsonl":
            assert text().endswith("\n"), f"{path} is truncated"


def check_all(directory):
    """Checks that every file is complete, except temporary files, whose names start with a dot."""
    for path in Path(directory).rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            check_file(path)


def moments(tool, arguments, directory, rounds):
    """Random moments within the duration of the undisturbed command."""
    whole = tool.does(arguments, directory).seconds
    chance = random.Random(1)
    return [chance.uniform(0, whole) for _ in range(rounds)]


def auto(tool, tmp):
    models(tmp / "models", 6)
    arguments = ["auto", "models", "--artifacts", "out"]
    killed = 0
    for after in moments(tool, arguments, tmp, tool.rounds):
        shutil.rmtree(tmp / "out", ignore_errors=True)
        killed += tool.killed(arguments, tmp, after)
        check_all(tmp / "out")
    tool.does(arguments, tmp)
    note(f"killed {killed} of {tool.rounds} while running")


def auto_over_earlier_files(tool, tmp):
    """Files of an earlier run are replaced completely or not at all."""
    models(tmp / "models", 6)
    arguments = ["auto", "models", "--artifacts", "out"]
    for after in moments(tool, arguments, tmp, tool.rounds // 4):
        tool.killed(arguments, tmp, after)
        check_all(tmp / "out")
    tool.does(arguments, tmp)
    rubbish = [path.name for path in (tmp / "out").iterdir() if path.name.startswith(".")]
    note(f"{len(rubbish)} temporary files left behind by the kills")


def convert(tool, tmp):
    history(tmp / "long.json", 20_000)
    targets = {"json": "out/models", "jsonl": "out/a.jsonl", "csv": "out/a.csv", "parquet": "out/a.parquet"}
    (tmp / "out").mkdir()
    killed = 0
    for form, out in targets.items():
        arguments = ["convert", "long.json", "--to", form, "-o", out]
        for after in moments(tool, arguments, tmp, tool.rounds // len(targets)):
            shutil.rmtree(tmp / "out")
            (tmp / "out").mkdir()
            killed += tool.killed(arguments, tmp, after)
            check_all(tmp / "out")
    note(f"killed {killed} of {tool.rounds} while running")


def record(tool, tmp):
    """A killed recorder keeps everything that it wrote, and the next one continues from there."""
    path = tmp / "models/r/entropy_history_r.json"
    known, step = 0, 0

    def lines():
        nonlocal step
        while True:
            step += 1
            yield f"{step} {1 + 1 / step}\n".encode()

    chance = random.Random(2)
    for _ in range(tool.rounds):
        # Most kills come early, while the file is created and locked; some after writes, which happen once per second.
        after = chance.uniform(0, 0.05) if chance.random() < 0.9 else chance.uniform(0.8, 1.4)
        tool.killed(["record", "--run", "r", "--models", "models"], tmp, after, feed=lines())
        if path.exists():
            rows = json.loads(path.read_text())
            steps = [row["step"] for row in rows]
            assert steps == sorted(set(steps)) and len(steps) >= known, f"{len(steps)} steps after {known}"
            known = len(steps)
    assert known > 0, "every kill came before the first write"
    tool.does(["record", "--run", "r", "--models", "models"], tmp, stdin=f"{step + 1} 0.5\n".encode())
    assert json.loads(path.read_text())[-1] == {"step": step + 1, "entropy": 0.5}
    note(f"{known} steps were kept")


def compute(tool, tmp):
    """A run that is killed again and again ends with the same bytes as one that was left alone."""
    if not tool.helper:
        note("skipped: the helper is not built")
        return
    tiny = FIXTURES / "compute/qwen3"
    for step in (10, 20, 30):
        shutil.copytree(tiny, tmp / f"models/m/global_step_{step}/actor/huggingface")
    rows = (FIXTURES / "compute/rollouts.jsonl").read_text() + json.dumps({"prompt": "2+2?"}) + "\n"
    (tmp / "prompts.jsonl").write_text(rows)
    helper = tool.for_helper()
    chance = random.Random(3)
    for tokens in ("tokens.jsonl", "tokens.parquet"):
        arguments = ["--device", "cpu", "--model", "models/m", "--prompts", "prompts.jsonl", "--max-new-tokens", "4",
                     "--tokens-out", tokens, "--save-rollouts", "rollouts.jsonl", "--quiet"]
        outputs = [tmp / "models/m/entropy_history_m.json", tmp / tokens, tmp / "rollouts.jsonl"]
        whole = helper.does(arguments, tmp).seconds
        wanted = [path.read_bytes() for path in outputs]
        killed, turn, until = 0, 0, time.monotonic() + MOST_SECONDS / 2
        while turn < tool.rounds // 2 and time.monotonic() < until:
            turn += 1
            for path in outputs:
                path.unlink(missing_ok=True)
            # Most kills come in the first run, some while a later one assembles the files.
            for _ in range(chance.randint(1, 3)):
                killed += helper.killed(arguments, tmp, chance.uniform(0, whole))
                check_all(tmp)
            helper.does(arguments, tmp)
            assert [path.read_bytes() for path in outputs] == wanted, "a resumed run ends with other bytes"
            left = [path.name for path in tmp.iterdir() if path.name.endswith(".parts")]
            assert not left, f"{left} is left"
        note(f"{tokens}: killed {killed} times in {turn} rounds")
        for path in outputs:
            path.unlink()


def leftovers(directory):
    """Files that no command was asked for."""
    return [path.name for path in Path(directory).rglob("*") if path.name.startswith(".")]


def unfinished_files(tool, tmp):
    """SIGTERM and SIGINT leave no temporary file, also where earlier files are replaced, and SIGKILL none where there
    were no files. The commands that write pictures, pages, tables and dumps."""
    models(tmp / "models", 3, 2_000)
    dump = FIXTURES / "tokens/run.jsonl"
    commands = {
        "plot": ["plot", "models", "-o", "out/a.png", "--with-stats"],
        "stats": ["stats", "models", "-o", "out/a.svg"],
        "report": ["report", "models", "-o", "out/a.html"],
        "auto": ["auto", "models", "--artifacts", "out"],
        "convert": ["convert", "models", "--to", "parquet", "-o", "out/a.parquet"],
        "tokens": ["tokens", dump, "-o", "out/a.png"],
    }
    killed = 0
    for arguments in commands.values():
        for name in ("SIGTERM", "SIGINT", "SIGKILL"):
            shutil.rmtree(tmp / "out", ignore_errors=True)
            for after in moments(tool, arguments, tmp, max(tool.rounds // 10, 4)):
                if name == "SIGKILL":  # a name for microseconds, while an earlier file is replaced
                    shutil.rmtree(tmp / "out", ignore_errors=True)
                killed += tool.killed(arguments, tmp, after, by=signal.Signals[name])
                assert not leftovers(tmp), f"{name} of {arguments[0]} left {leftovers(tmp)}"
                check_all(tmp / "out")
    note(f"killed {killed} processes while running")


CASES = [auto, auto_over_earlier_files, unfinished_files, convert, record, compute]
