"""Hostile labels and file headers."""
import csv
import gzip
import io
import json
import random
import re
import shutil
import struct
import xml.etree.ElementTree as ElementTree

from common import FIXTURES, MIB, history, note

LABELS = [
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "a|b|c `code` [link](javascript:alert(1)) <!-- ",
    "=HYPERLINK(\"http://x\",\"y\")",
    "+1+cmd|' /C calc'!A0",
    "two\nlines\r\n::error::not ours",
    "::set-output name=a::b",
    "x ##[add-mask]y",
    "%0A::error::not ours",
    "\u202eevil\u202c \u200b\ufeff",
    "a\"b'c&d;e\\f$(touch pwned)`touch pwned`",
    "]]>&lt;&#x0;{{ 7*7 }}{% for %}",
    "名前 😀 " + "x" * 300,
    "\x00\x01\x08\x7f\u0085\u2028\u2029".replace("\x00", ""),
    "<!--#exec cmd=\"ls\"-->@everyone #1 @user",
]
# Characters that a terminal, editor or viewer may interpret: C0 except tab and line feed, DEL, C1, text direction.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069]")


def quiet(text, where):
    found = OBEYED.search(text)
    assert not found, f"{where} has {found.group()!r} in {text[max(0, found.start() - 40):found.end() + 10]!r}"


def labels(tool, tmp):
    inputs = []
    for i, label in enumerate(LABELS):
        history(tmp / f"{i}.json", 40, i)
        inputs.append(f"{i}.json")
    named = [*inputs, "--labels", *LABELS]
    table = tool.does(["stats", *named, "--no-plot"], tmp)
    quiet(table.out.decode(), "the table")
    quiet(table.err, "stderr of stats")
    for line in [*table.out.decode().splitlines(), *table.err.splitlines()]:
        assert not line.strip().startswith("::") and "##[" not in line, f"a job on GitHub would obey {line!r}"
    document = json.loads(tool.does(["stats", *named, "--json"], tmp).out)
    assert [run["label"] for run in document["runs"]] == LABELS, "a label was changed on its way into JSON"

    rows = list(csv.DictReader(io.StringIO(tool.does(["stats", *named, "--csv"], tmp).out.decode(), newline="")))
    assert len(rows) == len(LABELS)
    for row in rows:
        assert row["label"][:1] not in ("=", "+", "-", "@", "\t", "\r"), f"a spreadsheet would run {row['label']!r}"

    for out in ("a.svg", "a.pdf", "a.png"):
        drawn = tool.does(["plot", *named, "-o", out, "--with-stats"], tmp)
        quiet(drawn.err, "stderr of plot")
    svg = ElementTree.parse(tmp / "a.svg")
    names = {element.tag.rpartition("}")[2] for element in svg.iter()}
    assert not names & {"script", "image", "foreignObject", "a", "use"}, names
    assert b"/JavaScript" not in (tmp / "a.pdf").read_bytes() and b"/URI" not in (tmp / "a.pdf").read_bytes()

    check = tool.run(["check", *named, "--min-entropy", "9", "--junit", "j.xml", "--json"], tmp, env={"GITHUB_ACTIONS": "true"})
    assert check.code == 1, check.err
    cases = list(ElementTree.parse(tmp / "j.xml").iter("testcase"))
    assert len(cases) >= len(LABELS), "a test case is missing"
    plain = tool.run(["check", *named, "--min-entropy", "9"], tmp, env={"GITHUB_ACTIONS": "true"})
    both = plain.out.decode() + plain.err
    quiet(both.replace("\r", ""), "check")
    for line in both.splitlines():
        command = line.strip().startswith("::") or "##[" in line
        assert not command or line.startswith("::error title="), f"a job on GitHub would obey {line!r}"
    for command in (["inspect", inputs[0]], ["convert", f"{LABELS[0]}={inputs[0]}", "--to", "csv", "-o", "c.csv"]):
        quiet(tool.does(command, tmp).err, str(command[0]))
    assert not (tmp / "pwned").exists()


def artifacts(tool, tmp):
    """Hostile names as file names, in every file that `auto` writes."""
    for i, label in enumerate(LABELS):
        name = label.replace("/", "_")[:60]
        history(tmp / "models" / name / f"entropy_history_{name}.json", 40, i)
    made = tool.does(["auto", "models", "--artifacts", "out", "--recursive"], tmp)
    quiet(made.err, "stderr of auto")
    assert f"{len(LABELS)} runs compared: " in made.err, made.err[-300:]
    summary = (tmp / "out/summary.md").read_text()
    quiet(summary, "summary.md")
    assert "<img" not in summary and "<script" not in summary and "<!--" not in summary, "markup in summary.md"
    tables = [line for line in summary.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables[:len(LABELS) + 2]}
    assert len(widths) == 1, f"a label breaks the table: {widths}"
    ElementTree.parse(tmp / "out/junit.xml")
    for picture in (tmp / "out").glob("*.svg"):
        ElementTree.parse(picture)
    page = tmp / "out/report.html"
    if page.exists():
        text = page.read_text()
        quiet(text, "report.html")
        assert "<img src=x" not in text and "</script><script>alert" not in text


def mutated(tool, tmp):
    """Random bytes of real logs changed, mostly in the first hundred: the result is an answer or a clear error."""
    logs = ("tensorboard", "wandb", "swanlab", "parquet", "trackio", "mlflow", "clearml", "compressed")
    logs = [path for name in logs for path in sorted((FIXTURES / name).rglob("*")) if path.is_file() and 0 < path.stat().st_size < MIB]
    chance = random.Random(5)
    for turn in range(tool.rounds * 2):
        source = chance.choice(logs)
        data = bytearray(source.read_bytes())
        for _ in range(chance.choice((1, 1, 4, 30))):
            place = chance.randrange(min(len(data), 100) if chance.random() < 0.6 else len(data))
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)):]
        path = tmp / f"mutated{source.suffix}"
        path.write_bytes(data)
        result = tool.run(["stats", str(path), "--json"], tmp, limit=20)
        assert result.peak < 300 * MIB, f"{source.name} changed: {result.peak / MIB:.0f} MiB"


def headers_that_promise_too_much(tool, tmp):
    """Headers that claim lengths of terabytes must not cause large allocations."""
    huge = 0x7FFF_FFFF_FFFF
    crafted = {
        "events.out.tfevents.1.host.1.0": struct.pack("<QI", huge, 0) + b"x" * 64,
        "run-x.wandb": b":W&B\xee\xbe\x00" + struct.pack("<IHB", 0, 0xFFFF, 1) + b"x" * 64,
        "run-x.swanlab": b":SWL\xd6\xe1\x02" + struct.pack("<IHB", 0, 0xFFFF, 1) + b"x" * 64,
        "offline-1.zip": b"PK\x03\x04" + b"x" * 60 + b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, 0xFFFFFFF0, 0, 0),
        "a.parquet": b"PAR1" + b"x" * 64 + struct.pack("<I", 0x7FFFFFF0) + b"PAR1",
        "a.jsonl.gz": b"\x1f\x8b\x08\x04" + b"\x00" * 6 + b"\xff\xff" + b"x" * 64,
        "a.json.zst": b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", huge) + b"x" * 64,
        "entropy.db": b"SQLite format 3\x00" + struct.pack(">H", 1) + b"\xff" * 82 + b"x" * 400,
        "deep.json": b"[" * 300_000,
        "deep.jsonl": b'{"a":' * 100_000,
        "long_key.jsonl": b'{"step": 1, "' + b"k" * 3_000_000 + b'": 1}\n',
    }
    for name, data in crafted.items():
        (tmp / name).write_bytes(data)
        result = tool.refuses(["stats", name, "--json"], tmp, name, limit=30)
        note(f"{name}: {result.peak / MIB:.0f} MiB: {result.err.splitlines()[0][:110]}")
        assert result.peak < 200 * MIB


def bombs(tool, tmp):
    """Compressed files that unpack to a huge size."""
    with gzip.open(tmp / "bomb.jsonl.gz", "wb", compresslevel=9) as file:
        for _ in range(200 if tool.heavy else 40):
            for _ in range(100):
                file.write(b" " * 100_000)
    result = tool.refuses(["stats", "bomb.jsonl.gz", "--json"], tmp, "bomb.jsonl.gz", limit=100)
    note(f"{result.peak / MIB:.0f} MiB: {result.err.splitlines()[0][:110]}")
    assert result.peak < 200 * MIB


def safetensors_and_templates(tool, tmp):
    """Checkpoints with false lengths and offsets, and endless chat templates."""
    if not tool.helper:
        note("skipped: the helper is not built")
        return
    helper = tool.for_helper()
    tiny = FIXTURES / "compute/qwen3"
    prompts = str(FIXTURES / "compute/rollouts.jsonl")
    weights = next(tiny.glob("*.safetensors"))
    good = weights.read_bytes()
    length = struct.unpack("<Q", good[:8])[0]
    lies = {
        "length": struct.pack("<Q", 1 << 62) + good[8:],
        "header beyond the file": struct.pack("<Q", len(good) + 5) + good[8:],
        "no header": struct.pack("<Q", 0) + good[8:],
        "header of rubbish": good[:8] + b"\xff" * length + good[8 + length:],
        "cut": good[: len(good) // 2],
        "empty": b"",
        "offsets": good[:8] + good[8:8 + length].replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1) + good[8 + length:],
    }
    chance = random.Random(6)
    for i in range(max(tool.rounds // 10, 3)):
        data = bytearray(good)
        for _ in range(8):
            data[chance.randrange(8 + length)] = chance.randrange(256)
        lies[f"mutation {i}"] = bytes(data)
    for name, data in lies.items():
        model = tmp / "model"
        shutil.copytree(tiny, model)
        (model / weights.name).write_bytes(data)
        result = helper.run(["--device", "cpu", "--model", "model", "--prompts", prompts, "-o", "h.json", "--overwrite"], tmp, limit=60)
        assert name.startswith("mutation") or result.code == 2, f"{name}: left with {result.code}"
        shutil.rmtree(model)
    for template in ("{% for i in range(10**9) %}{% for j in range(10**9) %}x{% endfor %}{% endfor %}",
                     "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ 'x' * 10**12 }}",
                     "{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"):
        model = tmp / "model"
        shutil.copytree(tiny, model)
        config = json.loads((model / "tokenizer_config.json").read_text())
        config["chat_template"] = template
        (model / "tokenizer_config.json").write_text(json.dumps(config))
        (model / "chat_template.jinja").unlink(missing_ok=True)
        (tmp / "chat.jsonl").write_text('{"messages": [{"role": "user", "content": "hi"}], "response": "yes"}\n')
        result = helper.refuses(["--device", "cpu", "--model", "model", "--prompts", "chat.jsonl", "-o", "h.json", "--overwrite"], tmp,
                                "chat", limit=60)
        note(f"{template[:30]}…: {result.seconds:.1f} s, {result.peak / MIB:.0f} MiB: {result.err.splitlines()[0][:100]}")
        assert result.peak < 2_000 * MIB
        shutil.rmtree(model)


def checkpoints_and_prompts(tool, tmp):
    """Small files that describe models, tokenizers or prompts of gigabytes, and a prompt of 200 MB."""
    if not tool.helper:
        note("skipped: the helper is not built")
        return
    helper = tool.for_helper()
    tiny = FIXTURES / "compute/qwen3"
    (tmp / "short.jsonl").write_text('{"prompt": "hello", "response": "you"}\n')

    def refuses(what, prompts, *words, file=None, change=None):
        model = tmp / "model"
        shutil.copytree(tiny, model)
        if file:
            value = json.loads((model / file).read_text())
            value.update(change)
            (model / file).write_text(json.dumps(value))
        result = helper.refuses(["--device", "cpu", "--model", "model", "--prompts", prompts, "-o", "h.json"], tmp, *words, limit=100)
        note(f"{what}: {result.peak / MIB:.0f} MiB: {result.err.splitlines()[-1][:110]}")
        assert result.peak < 2_000 * 1_000_000, what
        shutil.rmtree(model)

    for key in ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "head_dim", "num_hidden_layers"):
        for size in (1 << 29, 1 << 39):
            refuses(f"{key} {size}", "short.jsonl", "config.json", file="config.json", change={key: size})
    step = {"type": "Replace", "pattern": {"Regex": "."}, "content": "a" * 1000}
    refuses("replacements", "short.jsonl", "times as long", file="tokenizer.json",
            change={"normalizer": {"type": "Sequence", "normalizers": [step] * 4}})
    refuses("nested expression", "short.jsonl", "tokenizer.json", file="tokenizer.json",
            change={"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(" * 5000}, "behavior": "Isolated", "invert": False}})
    with open(tmp / "long.jsonl", "w") as rows:
        rows.write('{"prompt": "' + "word " * (40_000_000 if tool.heavy else 4_000_000) + '"}\n')
    refuses("long prompt", "long.jsonl", "line 1", "MiB of text")
    for output in ("--tokens-out", "--save-rollouts", "-o"):
        shutil.copytree(tiny, tmp / "model")
        history = [] if output == "-o" else ["-o", "h.json"]
        result = helper.run(["--device", "cpu", "--model", "model", "--prompts", "short.jsonl", "--overwrite", *history, output, "/dev/zero"],
                            tmp, limit=60)
        assert result.peak < 2_000 * 1_000_000, output
        shutil.rmtree(tmp / "model")


CASES = [checkpoints_and_prompts, labels, artifacts, mutated, headers_that_promise_too_much, bombs, safetensors_and_templates]
