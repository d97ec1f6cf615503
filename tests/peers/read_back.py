#!/usr/bin/env python3
"""Reads files of `convert` with TensorBoard, wandb and pyarrow, and compares the points.

    read_back.py DIR [--only tensorboard|wandb|parquet]

DIR holds the same runs in every format:

    expected.json            [{"label", "metric", "points": [[step, entropy], …]}, …]
    tensorboard/<label>/…    read by TensorBoard's EventAccumulator
    wandb/offline-run-…/…    by wandb's reader and its protobuf classes
    table.parquet            by pyarrow

Entropies must come back bit for bit, from TensorBoard as the nearest float32. wandb 0.17 and later
read the log in Go, so the file is also given to `wandb-core leet inspect`; older ones have a
Python reader, which is then taken. Ends with 1 and a message at the first difference.
"""

import argparse
import calendar
import json
import re
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path


class Difference(Exception):
    """The points read differ from those expected."""


def same(place, what, found, expected):
    if found != expected:
        raise Difference(f"{place}: {what}: {found!r}, expected {expected!r}")


def bits(number):
    """Compares floats, distinguishing -0.0 from 0.0."""
    return struct.pack("<d", number)


def same_points(place, found, expected):
    """Compares lists of (step, entropy)."""
    same(place, "the number of points", len(found), len(expected))
    for row, ((step, entropy), (wanted_step, wanted)) in enumerate(zip(found, expected)):
        same(place, f"step of row {row}", step, wanted_step)
        if bits(entropy) != bits(wanted):
            raise Difference(f"{place}: entropy of step {step} is {entropy!r}, expected {wanted!r}")


# TensorBoard


def read_tensorboard(directory, runs):
    import numpy
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    place = directory / "tensorboard"
    logs = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(str(place)).Reload()
    same(place, "the runs", sorted(logs.Runs()), sorted(run["label"] for run in runs))
    for run in runs:
        metric, place = run["metric"], directory / "tensorboard" / run["label"]
        accumulator = logs.GetAccumulator(run["label"])
        tags = {kind: tags for kind, tags in accumulator.Tags().items() if tags}
        same(place, "the tags", tags, {"scalars": [metric]})
        same(place, "the file version", accumulator.file_version, 2.0)
        scalars = accumulator.Scalars(metric)
        expected = [(step, float(numpy.float32(entropy))) for step, entropy in run["points"]]
        same_points(place, [(scalar.step, scalar.value) for scalar in scalars], expected)
        files = [path.name for path in place.glob("*.tfevents.*")]
        same(place, "the number of files", len(files), 1)
        start = int(files[0].split(".")[3])
        for second, scalar in enumerate(scalars):
            same(place, f"the time of row {second}", int(scalar.wall_time), start + second)


# W&B: a record is {"num", "type", <type>: fields}, as `leet inspect --json` prints it, with all
# numbers as floats


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def decoded(items):
    """The items of a history or a summary as one dict."""
    row = {}
    for item in items:
        if len(item.nested_key) > 1 or bool(item.key) == bool(item.nested_key):
            raise Difference(f"an item has key {item.key!r}, nested_key {item.nested_key!r}")
        row[item.key or item.nested_key[0]] = json.loads(item.value_json, parse_int=float)
    return row


def joined(path):
    """The records of a .wandb file, for wandb versions without a Python reader."""
    data = path.read_bytes()
    same(path, "the header", data[:7], b":W&B\xe1\xbe\x00")
    block, position, record = 1 << 15, 7, None
    while position < len(data):
        left = block - position % block
        if left < 7:
            same(
                f"{path}, byte {position}",
                "the padding",
                data[position : position + left],
                bytes(left),
            )
            position += left
            continue
        crc, length, kind = struct.unpack_from("<IHB", data, position)
        chunk = data[position + 6 : position + 7] + data[position + 7 : position + 7 + length]
        same(f"{path}, byte {position}", "the checksum", zlib.crc32(chunk), crc)
        same(
            f"{path}, byte {position}", "going on with a record", kind in (3, 4), record is not None
        )
        record = (record or b"") + chunk[1:]
        position += 7 + length
        if kind in (1, 4):
            yield record
            record = None
    same(path, "a record without an end", record, None)


def scanned(path):
    """The records of a .wandb file, by wandb's Python reader."""
    import wandb
    from wandb.sdk.internal.datastore import DataStore

    wandb._set_internal_process(disable=True)
    store = DataStore()
    store.open_for_scan(str(path))
    while (record := store.scan_data()) is not None:
        yield record


def records_by_protobuf(path):
    from wandb.proto.wandb_internal_pb2 import Record

    try:
        import wandb.sdk.internal.datastore  # noqa: F401

        payloads = scanned(path)
    except ImportError:
        payloads = joined(path)
    for payload in payloads:
        record = Record.FromString(payload)
        kind = record.WhichOneof("record_type")
        message = getattr(record, kind)
        if kind == "history":
            fields = {"item": decoded(message.item), "step": {"num": message.step.num}}
        elif kind == "summary":
            fields = {"update": decoded(message.update)}
        else:
            fields = {field.name: value for field, value in message.ListFields()}
        if kind == "run":
            fields["start_time"] = utc(fields["start_time"].seconds)
        yield {"num": record.num, "type": kind, kind: fields}


def records_by_core(path):
    """None if this wandb has no `leet inspect`."""
    try:
        from wandb.cli.leet import launch_inspect  # noqa: F401
    except ImportError:
        return None
    from wandb.util import get_core_path

    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file"]
    command += [str(path), str(path.parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0 or done.stderr:  # it skips corrupt records with a message
        raise Difference(f"{path}: wandb-core ends with {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line, parse_int=float) for line in done.stdout.splitlines()]


def check_run(place, records, runs):
    """Compares one file with the run of the same name, and removes that from `runs`."""
    for number, record in enumerate(records, 1):
        same(place, f"the number of record {number}", record["num"], number)
    field = {record["type"]: record[record["type"]] for record in records}
    order = ["header", "run", "history", "summary", "exit", "final", "footer"]
    same(place, "the order of records", list(field), order)
    rows = [record["history"] for record in records if record["type"] == "history"]
    same(place, "the number of records besides the history", len(records) - len(rows), 6)

    about = field["run"]
    name = about.get("display_name", "")
    run = next((run for run in runs if run["label"] == name), None)
    if run is None:
        raise Difference(f"{place}: no run, or a second one, is called {name!r}")
    same(place, "the file name", place.name, f"run-{about['run_id']}.wandb")
    parts = re.fullmatch(r"offline-run-(\d{8}_\d{6})-([a-z0-9]{8})", place.parent.name)
    if parts is None:
        raise Difference(f"{place}: {place.parent.name!r} is no name of an offline run's directory")
    same(place, "the id in the directory's name", parts[2], about["run_id"])
    start = calendar.timegm(time.strptime(parts[1], "%Y%m%d_%H%M%S"))
    same(place, "the start", about["start_time"], utc(start))
    same(place, "having a project", bool(about.get("project")), True)

    metric = run["metric"]
    keys = {"_step", "_runtime", "_timestamp", metric}
    for second, row in enumerate(rows):
        item = row["item"]
        same(place, f"the keys of row {second}", set(item), keys)
        same(place, f"_step of row {second}", item["_step"], row["step"]["num"])
        same(place, f"_runtime of row {second}", item["_runtime"], second)
        same(place, f"_timestamp of row {second}", item["_timestamp"], start + second)
    points = [(row["item"]["_step"], row["item"][metric]) for row in rows]
    same_points(place, points, [tuple(point) for point in run["points"]])

    runtime = len(rows) - 1
    expected = {**rows[-1]["item"], "_wandb": {"runtime": runtime}}
    same(place, "the summary", field["summary"]["update"], expected)
    same(place, "the exit code", field["exit"].get("exit_code", 0), 0)
    same(place, "the runtime", field["exit"].get("runtime", 0), runtime)
    runs.remove(run)


def read_wandb(directory, runs):
    files = sorted((directory / "wandb").glob("offline-run-*/run-*.wandb"))
    left, left_for_core = list(runs), list(runs)
    for path in files:
        check_run(path, list(records_by_protobuf(path)), left)
        by_core = records_by_core(path)
        if by_core is None:
            left_for_core = []
        else:
            check_run(path, by_core, left_for_core)
    same(directory / "wandb", "what is missing", [run["label"] for run in left + left_for_core], [])


# Parquet


def read_parquet(directory, runs):
    import pyarrow
    import pyarrow.parquet

    place = directory / "table.parquet"
    file = pyarrow.parquet.ParquetFile(place)
    whole = all(float(step).is_integer() for run in runs for step, _ in run["points"])
    columns = [
        ("run", pyarrow.string()),
        ("step", pyarrow.int64() if whole else pyarrow.float64()),
        ("metric", pyarrow.string()),
        ("entropy", pyarrow.float64()),
    ]
    columns = [pyarrow.field(name, kind, nullable=False) for name, kind in columns]
    same(place, "the schema", list(file.schema_arrow), columns)
    same(place, "the writer", file.metadata.created_by.split(" version ")[0], "entropy-viz")

    table = file.read().to_pydict()
    names = list(zip(table["run"], table["metric"], strict=True))
    expected = [(run["label"], run["metric"]) for run in runs for _ in run["points"]]
    same(place, "the number of rows", len(names), len(expected))
    for row, (name, wanted) in enumerate(zip(names, expected)):
        same(place, f"run and metric of row {row}", name, wanted)
    points = [tuple(point) for run in runs for point in run["points"]]
    same_points(place, list(zip(table["step"], table["entropy"])), points)


def main():
    readers = {"tensorboard": read_tensorboard, "wandb": read_wandb, "parquet": read_parquet}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", choices=readers)
    arguments = parser.parse_args()
    runs = json.loads((arguments.directory / "expected.json").read_text(encoding="utf-8"))
    rows = sum(len(run["points"]) for run in runs)
    for name, read in readers.items():
        if arguments.only in (None, name):
            try:
                read(arguments.directory, runs)
            except Difference as difference:
                sys.exit(f"read_back: {name}: {difference}")
            print(f"{name}: {len(runs)} runs, {rows} points read back")


if __name__ == "__main__":
    main()
