"""Compares how fast entropy-viz reads logs with the readers of TensorBoard, W&B and Python.

Six logs of 100 MB, of the same ten metrics (a trainer_state.json has thirty), are written once, in target/bench,
as the trainers and their loggers write them. Each is read whole, alternately by `entropy-viz stats --json` and by
the program that a script would use instead, which takes all values of the entropy and computes the same statistics
with NumPy; both must find as many points and the same mean. Times and peaks are those of whole processes, start and
imports included. The binary logs have all cores, the JSON ones a single one.

TensorBoard reads in Python here, as it does wherever TensorFlow is not installed. W&B's reader in Python went with
wandb 0.30: that of 0.29 reads what 0.31 writes.

A report, not a test: a missed goal does not change the exit status, only a program that fails or another mean does.
Linux only; the virtual environment needs a network once.

    python3 benches/readers.py target/release/entropy-viz [--runs N] [--only NAME]
"""
import argparse
import math
import os
import platform
import random
import re
import struct
import sys
import tempfile
import zlib
from array import array
from pathlib import Path
from statistics import median

# This process imports nothing large: a child's reported peak RSS is never below that of its parent. Logs are written, and
# read in Python, by separate processes: see --write and --read below.
from run import REPO, prepare_venv, run, verdict

VENV = REPO / ".venv" / "bench-readers"
PINS = {"tensorboard": "2.21.0", "wandb": "0.29.0", "protobuf": "7.36.2", "numpy": "2.4.6"}
LOGS = REPO / "target" / "bench"
SIZE = 100_000_000

METRICS = [
    "policy/entropy", "critic/rewards/mean", "actor/pg_loss", "actor/entropy_loss", "actor/grad_norm", "actor/lr",
    "response_length/mean", "response_length/max", "perf/throughput", "timing_s/gen",
]
START = 1_795_399_397  # Unix time of the start of the training
SECONDS = 21.7  # seconds per step


def training():
    """Endless steps of a training: the step, and its values in the order of METRICS; most are 32-bit floats, like tensors."""
    rng = random.Random("a training")
    step = 0
    while True:
        step += 1
        level = 0.4 + 2.1 * 2 ** (-step / 50_000)
        longest = rng.randrange(900, 2048)
        tensors = [
            level * rng.uniform(0.8, 1.2), rng.random(), rng.gauss(0, 0.05), level * rng.uniform(0.8, 1.2),
            rng.lognormvariate(0, 0.7),
        ]
        length = longest * rng.uniform(0.2, 0.8)
        yield step, [*array("f", tensors), 1e-06, round(length * 16) / 16, float(longest), rng.uniform(900, 1500),
                     rng.uniform(9, 14)]


# Writers, one per format. A file has SIZE bytes, rounded up to a row.

def write_tensorboard(file):
    """Like torch.utils.tensorboard: one Event per value, in TFRecord framing."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)

    def masked(data):
        crc = 0xFFFFFFFF
        for byte in data:
            crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
        crc ^= 0xFFFFFFFF
        return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")

    def frame(event):
        if len(event) not in lengths:
            length = len(event).to_bytes(8, "little")
            lengths[len(event)] = length + masked(length)
        file.write(lengths[len(event)] + event + masked(event))

    lengths = {}
    tags = [field(1, name.encode()) + b"\x15" for name in METRICS]  # 2 simple_value, a 32-bit float
    frame(b"\x09" + struct.pack("<d", START) + field(3, b"brain.Event:2"))
    for step, values in training():
        head = b"\x09" + struct.pack("<d", START + SECONDS * step) + b"\x10" + varint(step)
        for tag, value in zip(tags, values):
            frame(head + field(5, field(1, tag + struct.pack("<f", value))))
        if file.tell() >= SIZE:
            return


def write_wandb(file):
    """Like wandb-core 0.31: two summary updates and one history row per step, in LevelDB framing. Go writes the items of a
    row in random order."""
    block, header = 1 << 15, 7
    rng = random.Random("the order of items")
    records = 0

    def frame(data, chunk=1):
        nonlocal records
        records += 1
        record = memoryview(b"\x08" + varint(records) + data)
        while True:
            left = block - file.tell() % block
            if left < header:
                file.write(bytes(left))
                left = block
            part, record = record[:left - header], record[left - header:]
            if record.nbytes == 0:
                chunk = {1: 1, 3: 4}[chunk]
            elif chunk == 1:
                chunk = 2
            crc = zlib.crc32(part, zlib.crc32(bytes([chunk])))
            file.write(struct.pack("<IHB", crc, len(part), chunk) + part)
            if record.nbytes == 0:
                return
            chunk = 3

    def item(key, text):
        return field(1, field(2, key.encode()) + field(16, text.encode()))  # 2 nested_key, 16 value_json

    file.write(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
    frame(field(21, field(1, field(1, b"0.31.0") + field(2, b"0.70.0"))))  # header {version_info}
    frame(field(17, field(1, b"b3nch001") + field(3, b"bench") + field(8, b"bench")))  # run
    for step, values in training():
        now = SECONDS * step + rng.random()
        items = [item(name, repr(value)) for name, value in zip(METRICS, values)]
        items += [item("_timestamp", f"{START + now:.16e}"), item("_runtime", f"{now:.9f}"), item("_step", str(step))]
        turn = rng.randrange(len(items))
        items = b"".join(items[turn:] + items[:turn])
        runtime = field(1, field(2, b"_wandb") + field(2, b"runtime") + field(16, b"%d" % now))
        frame(field(3, runtime + item("_runtime", str(int(now)))))
        frame(field(3, items))
        frame(field(2, items + field(2, b"\x08" + varint(step))))
        if file.tell() >= SIZE:
            break
    frame(field(18, b"\x10" + varint(int(now))))  # exit


def write_swanlab(file):
    """Like swanlab 0.10: one record per value, in the framing of W&B's file."""
    block, header = 1 << 15, 7
    records = 0

    def frame(number, message):
        nonlocal records
        records += 1
        record = b"\x08" + varint(records) + field(2, b"\x08" + varint(START)) + field(number, message)
        chunk = 1
        while True:
            left = block - file.tell() % block
            if left < header:
                file.write(bytes(left))
                left = block
            part, record = record[:left - header], record[left - header:]
            kind = {(1, False): 1, (1, True): 2, (3, True): 3, (3, False): 4}[chunk, bool(record)]
            crc = zlib.crc32(part, zlib.crc32(bytes([kind])))
            file.write(struct.pack("<IHB", crc, len(part), kind) + part)
            if not record:
                return
            chunk = 3

    file.write(struct.pack("<4sHB", b":SWL", 0xE1D6, 2))
    frame(10, field(1, b"bench") + field(4, b"bench") + field(10, b"b3nch001"))  # start
    for step, values in training():
        time = b"\x08" + varint(START + int(SECONDS * step))
        for name, value in zip(METRICS, values):
            number = b"\x09" + struct.pack("<d", value) if value else b""
            frame(13, field(1, name.encode()) + b"\x10" + varint(step) + b"\x18\x01" + field(4, time) + field(5, number))
        if file.tell() >= SIZE:
            break
    frame(11, b"\x08\x01")  # finish


def field(number, data):
    """A bytes field of a protocol buffer."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number):
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def write_verl(file):
    """Like verl's file logger, with orjson."""
    names = ["actor/entropy", *METRICS[1:]]
    for step, values in training():
        data = ",".join(f'"{name}":{value!r}' for name, value in zip(names, values)).replace("e-0", "e-")
        file.write(f'{{"step":{step},"data":{{{data},"training/global_step":{step},"training/epoch":0}}}}\n'.encode())
        if file.tell() >= SIZE:
            return


def write_easyr1(file):
    """Like EasyR1's file logger: nested by the parts of the names."""
    import json

    for step, values in training():
        row = {"step": step}
        for name, value in zip(METRICS, values):
            *path, last = name.split("/")
            inner = row
            for part in path:
                inner = inner.setdefault(part, {})
            inner[last] = value
        file.write(json.dumps(row).encode() + b"\n")
        if file.tell() >= SIZE:
            return


def write_trainer_state(file):
    """Like transformers for TRL's GRPO trainer: indented, with sorted keys."""
    import json

    rng = random.Random("the rest of a row")
    zeros = [f"clip_ratio/{name}" for name in ("high_max", "high_mean", "low_mean", "low_min", "region_mean")]
    lengths = [f"completions/{name}_length" for name in ("max", "max_terminated", "min", "min_terminated")]
    means = ["completions/clipped_ratio", "completions/mean_length", "completions/mean_terminated_length",
             "frac_reward_zero_std", "kl", "reward_std", "rewards/reward_solver/mean", "rewards/reward_solver/std",
             "sampling/importance_sampling_ratio/max", "sampling/importance_sampling_ratio/mean",
             "sampling/importance_sampling_ratio/min", "sampling/sampling_logp_difference/mean"]
    rest = {**dict.fromkeys(zeros, 0.0), "learning_rate": 1e-06}
    tokens = 0
    file.write(b'{\n  "best_global_step": null,\n  "best_metric": null,\n  "log_history": [\n')
    for step, (entropy, reward, loss, _, norm, _, _, longest, _, seconds) in training():
        tokens += rng.randrange(20_000, 40_000)
        row = {
            **rest, **dict.fromkeys(lengths, longest), **dict(zip(means, array("f", (rng.random() for _ in means)))),
            "entropy": entropy, "epoch": step / 256, "grad_norm": norm, "loss": loss, "num_tokens": tokens,
            "reward": reward, "step": step, "step_time": seconds,
        }
        text = json.dumps(row, indent=2, sort_keys=True).replace("\n", "\n    ")
        file.write(f"    {text}".encode())
        if file.tell() >= SIZE:
            break
        file.write(b",\n")
    file.write(b'\n  ],\n  "max_steps": -1,\n  "total_flos": 0.0\n}\n')


# Readers, as a script would write them: steps and values of the entropy.

def read_tensorboard(path):
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    events = EventAccumulator(path, size_guidance={SCALARS: 0}).Reload().Scalars("policy/entropy")
    return [event.step for event in events], [event.value for event in events]


def read_wandb(path):
    import json

    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    store = DataStore()
    store.open_for_scan(path)
    steps, values = [], []
    while data := store.scan_data():
        record = Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") != "history":
            continue
        for item in record.history.item:
            if (item.key or "/".join(item.nested_key)) == "policy/entropy":
                steps.append(record.history.step.num)
                values.append(json.loads(item.value_json))
    return steps, values


def read_swanlab(path):
    """SwanLab has no reader that reads without uploading, so this is one in Python."""

    def number(data, at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at

    def fields(data):
        at, found = 0, {}
        while at < len(data):
            tag, at = number(data, at)
            if tag & 7 == 0:
                found[tag >> 3], at = number(data, at)
            elif tag & 7 == 1:
                found[tag >> 3], at = struct.unpack_from("<d", data, at)[0], at + 8
            else:
                size, at = number(data, at)
                found[tag >> 3], at = data[at:at + size], at + size
        return found

    def records(data):
        at, parts = 7, []
        while at + 7 <= len(data):
            if (left := 32768 - at % 32768) < 7:
                at += left
                continue
            crc, length, kind = struct.unpack_from("<IHB", data, at)
            part = data[at + 7:at + 7 + length]
            assert zlib.crc32(part, zlib.crc32(bytes([kind]))) == crc
            parts.append(part)
            at += 7 + length
            if kind in (1, 4):
                yield b"".join(parts)
                parts = []

    steps, values = [], []
    for record in records(Path(path).read_bytes()):
        scalar = fields(record).get(13)
        if scalar is not None and (scalar := fields(scalar))[1] == b"policy/entropy":
            steps.append(scalar.get(2, 0))
            values.append(fields(scalar[5]).get(1, 0.0))
    return steps, values


def read_verl(path):
    import json

    with open(path) as file:
        rows = [(row["step"], row["data"]["actor/entropy"]) for row in map(json.loads, file)]
    return zip(*rows)


def read_easyr1(path):
    import json

    with open(path) as file:
        rows = [(row["step"], row["policy"]["entropy"]) for row in map(json.loads, file)]
    return zip(*rows)


def read_trainer_state(path):
    import json

    with open(path) as file:
        rows = [(row["step"], row["entropy"]) for row in json.load(file)["log_history"]]
    return zip(*rows)


def read(name, path):
    """Prints those statistics of a log as JSON that `entropy-viz stats --json` also has."""
    import json

    import numpy

    steps, values = CASES[name].read(path)
    values = numpy.array(values)
    top, bottom = values.argmax(), values.argmin()
    print(json.dumps({
        "points": len(values), "mean": values.mean(), "median": numpy.median(values), "std": values.std(ddof=1),
        "max": values[top], "max_step": steps[top], "min": values[bottom], "min_step": steps[bottom],
    }))


class Case:
    def __init__(self, file, what, write, read, theirs, times=None, rate=None, one_core=True):
        self.path, self.what, self.write, self.read, self.theirs = LOGS / file, what, write, read, theirs
        self.times, self.rate, self.one_core = times, rate, one_core  # goals: times as fast, MB/s

    def goal(self, ratio, rate):
        if self.times:
            return f"{self.times} times: {verdict(ratio >= self.times)}"
        return f"{self.rate} MB/s: {verdict(rate >= self.rate)}" if self.rate else ""


CASES = {
    "tensorboard": Case(f"events.out.tfevents.{START}.bench.1.0", "TensorBoard events, ten tags", write_tensorboard,
                        read_tensorboard, "EventAccumulator", times=50, one_core=False),
    "wandb": Case("run-b3nch001.wandb", "W&B run file, 13 items a row", write_wandb, read_wandb, "DataStore, Record",
                  times=20, one_core=False),
    "swanlab": Case("run-b3nch001.swanlab", "SwanLab run file, ten keys", write_swanlab, read_swanlab,
                    "a reader in Python", times=30, one_core=False),
    "verl": Case("verl.jsonl", "verl JSON lines, one core", write_verl, read_verl, "json.loads", rate=400),
    "easyr1": Case("experiment_log.jsonl", "EasyR1 nested JSON lines, one core", write_easyr1, read_easyr1,
                   "json.loads"),
    "trainer_state": Case("trainer_state.json", "trainer_state.json, 30 keys a row, one core", write_trainer_state,
                          read_trainer_state, "json.load"),
}


def write(name, path):
    with open(path, "wb", buffering=1 << 20) as file:
        CASES[name].write(file)


def prepare_log(name, log):
    """The log of a case, written when it is missing or older than this script."""
    path = CASES[name].path
    if not path.exists() or path.stat().st_mtime < Path(__file__).stat().st_mtime:
        print(f"writing {path.relative_to(REPO)} ...", file=sys.stderr)
        LOGS.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        run([sys.executable, __file__, "--write", name, part], log)
        part.rename(path)
    return path


def found(log):
    """The number of points that a program found, and their mean."""
    text = Path(log).read_text()
    return [float(re.search(rf'"{key}": ([^,}}\s]+)', text)[1]) for key in ("points", "mean")]


def compare(name, binary, python, pairs, log):
    """A row of the table: pairs of runs, A B A B ..., after one warm-up each."""
    case, path = CASES[name], prepare_log(name, log)
    least = run(["/bin/true"], log)[1]  # smaller peaks cannot be measured
    size = path.stat().st_size / 1e6
    core = min(os.sched_getaffinity(0)) if case.one_core else None

    def a():
        return run([binary, "stats", "--json", path], log, core)

    def b():
        return run([python, __file__, "--read", name, path], log, core)

    repeats = max(1, min(9, int(0.5 / a()[0])))  # a fast A is run several times in each pair
    points, mean = found(log)
    b()
    their_points, their_mean = found(log)
    if points != their_points or not math.isclose(mean, their_mean, rel_tol=1e-9):
        sys.exit(f"{name}: entropy-viz found {points:.0f} points and a mean of {mean}, "
                 f"{case.theirs} {their_points:.0f} and {their_mean}")

    ours, theirs, ratios = [], [], []
    for pair in range(pairs):
        print(f"\r{name}: pair {pair + 1} of {pairs} ", end="", file=sys.stderr, flush=True)
        batch = [a() for _ in range(repeats)]
        ours += batch
        theirs.append(b())
        ratios.append(theirs[-1][0] / median(wall for wall, _ in batch))
    print(file=sys.stderr)

    wall, their_wall = median(wall for wall, _ in ours), median(wall for wall, _ in theirs)
    peak = max(peak for _, peak in ours)
    peak = f"{peak:.0f} MiB" if peak > least + 1 else f"at most {peak:.0f} MiB"
    return (
        f"| {case.what} ({points:,.0f} points) "
        f"| {case.theirs}: {their_wall:.2f} s, {size / their_wall:.1f} MB/s, {max(peak for _, peak in theirs):.0f} MiB "
        f"| {wall * 1000:.0f} ms, {size / wall:.0f} MB/s, {peak} "
        f"| {median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) | {case.goal(median(ratios), size / wall)} |"
    )


def conditions(binary, log):
    model = "unknown CPU"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    run([binary, "--version"], log)
    versions = [Path(log).read_text().strip(), f"Python {platform.python_version()}", *map(" ".join, PINS.items())]
    return f"{model}, {len(os.sched_getaffinity(0))} cores; {', '.join(versions)}"


def main():
    parser = argparse.ArgumentParser(description="Measures how entropy-viz reads logs, beside other readers.")
    parser.add_argument("binary", nargs="?", type=Path, help="the entropy-viz to measure, a release build")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="pairs of runs a case (default: 5)")
    parser.add_argument("--only", choices=CASES, metavar="NAME", help=f"one case alone: {', '.join(CASES)}")
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        return write(*args.write)
    if args.read:
        return read(*args.read)
    if args.binary is None or not args.binary.is_file():
        parser.error(f"no such file: {args.binary}")
    if args.runs < 1:
        parser.error("--runs must be 1 or more")
    binary = args.binary.resolve()

    with tempfile.TemporaryDirectory(prefix="entropy-viz-bench-") as work:
        log = Path(work) / "log"
        python = prepare_venv(log, VENV, PINS)
        print(f"Conditions: {conditions(binary, log)}; {args.runs} pairs a case", flush=True)
        print("\n| 100 MB of | read in Python: median wall, rate, peak | entropy-viz: median wall, rate, peak "
              "| times as fast: median of pairs (min–max) | goal |\n|---|---|---|---|---|", flush=True)
        for name in [args.only] if args.only else CASES:
            print(compare(name, binary, python, args.runs, log), flush=True)


if __name__ == "__main__":
    main()
