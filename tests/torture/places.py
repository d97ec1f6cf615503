"""Full disks, read-only directories, odd file names, and many or huge files."""
import json
import os
import random
import subprocess
import threading
import time
from pathlib import Path

from common import FIXTURES, MIB, environment, history, largest_file, models, note, open_files


def files(directory):
    return sorted(str(path.relative_to(directory)) for path in Path(directory).rglob("*") if path.is_file())


def full_disk(tool, tmp):
    """If a file cannot be written completely, the earlier file stays."""
    models(tmp / "models", 3)
    (tmp / "out").mkdir()
    arguments = ["auto", "models", "--artifacts", "out"]
    nothing = tool.run(arguments, tmp, preexec=largest_file(0))  # stdout and stderr cannot be written either
    assert nothing.code == 2, nothing.code
    for size in (2_000, 5_000, 20_000):
        result = tool.refuses(arguments, tmp, "cannot write", "hint:", preexec=largest_file(size))
        for path in (tmp / "out").iterdir():
            assert not path.name.startswith("."), f"{path} was left behind"
        assert "os error" not in result.err, result.err
    (tmp / "a.json").write_bytes(b"[]")
    tool.refuses(["convert", "models/run00000", "--to", "csv", "-o", "a.csv"], tmp, "cannot write", preexec=largest_file(64))
    assert not (tmp / "a.csv").exists()


def library_path_of_the_helper(tool, tmp):
    """The helper looks for libraries only beside itself: a path of the building machine may be anybody's elsewhere."""
    if not tool.helper or "release" not in tool.helper:
        note("skipped: there is no release build of the helper")
        return
    said = subprocess.run(["readelf", "--dynamic", tool.helper], capture_output=True, text=True, check=True).stdout
    paths = [line.split("[")[1].rstrip("]") for line in said.splitlines() if "(RUNPATH)" in line or "(RPATH)" in line]
    assert paths and all(path.startswith("$ORIGIN/") for path in ":".join(paths).split(":")), paths


def full_tmpfs(tool, tmp):
    """A full file system of 64 KiB, if one can be mounted."""
    disk = tmp / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        note("skipped: no tmpfs can be mounted here")
        return
    try:
        models(tmp / "models", 8, 500)
        tool.refuses(["auto", "models", "disk/picture.png"], tmp, "cannot write", "no space")
        assert files(disk) == [], files(disk)
        rows = "".join(f"{step} 1.0\n" for step in range(20_000)).encode()
        tool.refuses(["record", "--run", "r", "--models", "disk"], tmp, "cannot write", "no space", stdin=rows)
    finally:
        subprocess.run(["umount", disk], check=True)


def read_only_directory(tool, tmp):
    if os.geteuid() == 0:
        # Root may write into any directory, except on a read-only file system.
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", mkdir(tmp / "ro")], capture_output=True).returncode:
            note("skipped: nothing is read-only for root here")
            return
        end = lambda: subprocess.run(["umount", tmp / "ro"], check=True)
    else:
        mkdir(tmp / "ro").chmod(0o555)
        end = lambda: (tmp / "ro").chmod(0o755)
    try:
        history(tmp / "a.json")
        tool.refuses(["plot", "a.json", "-o", "ro/a.png"], tmp, "cannot write ro/a.png", "hint:")
        tool.refuses(["stats", "a.json", "-o", "ro/deeper/a.svg"], tmp, "cannot write", "hint:")
        tool.refuses(["record", "--run", "r", "--models", "ro"], tmp, "cannot create", "hint:", stdin=b"1 2\n")
    finally:
        end()


def mkdir(path):
    path.mkdir()
    return path


def many_histories(tool, tmp):
    count = 10_000 if tool.heavy else 300
    models(tmp / "models", count, 20)
    result = tool.does(["auto", "models"], tmp)
    assert f"{count} runs compared" in result.err.replace(",", ""), result.err[-300:]
    assert len(result.err.splitlines()) < 60, "a line for each run"
    note(f"{count} histories: {result.seconds:.1f} s, {result.peak / MIB:.0f} MiB")
    assert result.peak < 600 * MIB
    table = tool.does(["stats", "models", "--csv"], tmp)
    assert table.out.count(b"\n") == count + 1, "a run is missing"


def long_history(tool, tmp):
    """A history of 2 GB; docs/limits.md has the memory limit."""
    size = 2_000 * MIB if tool.heavy else 4 * MIB
    # Ten thousand rows; @ stands for the first digits of their steps.
    block = ", ".join(f'{{"step": @{i:04}, "entropy": {1 + (i * 7919 % 1000) / 1000:.6f}}}' for i in range(10_000)).encode()
    blocks = 0
    with open(tmp / "long.json", "wb") as file:
        file.write(b"[")
        while file.tell() < size:
            blocks += 1
            file.write((b", " if blocks > 1 else b"") + block.replace(b"@", str(blocks).encode()))
        file.write(b"]")
    rows = 10_000 * blocks
    result = tool.does(["stats", "long.json", "--json"], tmp, limit=300)
    run = json.loads(result.out)["runs"][0]
    assert run["points"] == rows, f"{run['points']} points of {rows}"
    bound = 50 * MIB + 64 * rows
    note(f"{size / 1e9:.2f} GB, {rows} points: stats {result.seconds:.1f} s, {result.peak / MIB:.0f} MiB, bound {bound / MIB:.0f}")
    assert result.peak < bound
    drawn = tool.does(["plot", "long.json"], tmp, limit=300)
    note(f"plot {drawn.seconds:.1f} s, {drawn.peak / MIB:.0f} MiB")
    assert drawn.peak < 100 * MIB + 130 * rows
    (tmp / "long.json").unlink()


def names_that_are_not_utf8(tool, tmp):
    name = b"q\xff\xfe\x80"
    directory = os.path.join(os.fsencode(tmp), b"models", name)
    os.makedirs(directory)
    source = history(tmp / "a.json").read_bytes()
    with open(os.path.join(directory, b"entropy_history_" + name + b".json"), "wb") as file:
        file.write(source)
    tool.does(["auto", "models"], tmp)
    table = tool.does(["stats", "models", "--json"], tmp)
    assert json.loads(table.out)["runs"][0]["points"] == 50
    tool.does(["plot", os.path.join(directory, b"entropy_history_" + name + b".json"), "-o", "a.svg"], tmp)
    tool.does(["convert", "models", "--to", "csv", "-o", "a.csv"], tmp)


def links_in_circles(tool, tmp):
    models(tmp / "models", 2)
    (tmp / "models/run00000/again").symlink_to("..")
    (tmp / "models/loop").symlink_to("loop")
    (tmp / "models/here").symlink_to(".")
    (tmp / "models/gone").symlink_to("nowhere")
    for arguments in (["auto", "models"], ["auto", "models", "--recursive"]):
        result = tool.does(arguments, tmp)
        assert "2 runs compared" in result.err, result.err
    tool.refuses(["plot", "models/loop"], tmp, "models/loop")


def pipes_and_devices(tool, tmp):
    """Pipes and devices found in a directory must not block."""
    models(tmp / "models", 1)
    mkdir(tmp / "models/pipe")
    os.mkfifo(tmp / "models/pipe/entropy_history_pipe.json")
    (tmp / "models/zero").mkdir()
    (tmp / "models/zero/entropy_history_zero.json").symlink_to("/dev/zero")
    result = tool.run(["auto", "models", "--allow-partial"], tmp, limit=20)
    assert result.code in (0, 2) and "1 run compared" in result.err, result.err


def files_that_change_while_read(tool, tmp):
    """A log is truncated and rewritten while it is read: the result is a curve or a clear error."""
    log = tmp / "models/run/entropy_history_run.json"
    history(log, 5_000)
    whole = log.read_bytes()
    chance, stop = random.Random(4), threading.Event()

    def meddle():
        while not stop.is_set():
            with open(log, "r+b") as file:
                file.truncate(chance.randrange(len(whole)))
                file.seek(0)
                file.write(whole[:chance.randrange(1, len(whole))])
            time.sleep(0.001)

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        for _ in range(max(tool.rounds // 4, 5)):
            tool.run(["stats", str(log), "--json"], tmp, limit=20)
    finally:
        stop.set()
        thread.join()


def more_runs_than_open_files(tool, tmp):
    runs, most = (1_000, 256) if tool.heavy else (150, 40)
    models(tmp / "models", runs, 20)
    result = tool.does(["auto", "models"], tmp, preexec=open_files(most))
    assert f"{runs} runs compared" in result.err.replace(",", ""), result.err[-300:]


def stdout_that_goes_away(tool, tmp):
    models(tmp / "models", 200, 20)
    shell = f"'{tool.program}' stats models --no-plot | head -1 > /dev/null; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", shell], cwd=tmp, capture_output=True, text=True, env=environment(None), timeout=60)
    assert result.returncode == 0 and "panicked" not in result.stderr, result.stderr
    full = subprocess.run(["bash", "-c", f"'{tool.program}' stats models --no-plot > /dev/full"], cwd=tmp, capture_output=True, text=True,
                          env=environment(None), timeout=60)
    assert full.returncode == 2 and "no space" in full.stderr, (full.returncode, full.stderr)


def awkward_logs(tool, tmp):
    """Every log in tests/fixtures/awkward, with every command that reads logs."""
    logs = sorted((FIXTURES / "awkward").iterdir())
    for path in logs if tool.heavy else logs[::10]:
        for command in (["inspect"], ["stats", "--json"], ["check"], ["plot", "-o", "a.svg"], ["convert", "--to", "csv", "-o", "a.csv"]):
            tool.run([*command, str(path)], tmp, limit=20)


CASES = [library_path_of_the_helper, full_disk, full_tmpfs, read_only_directory, many_histories, long_history, names_that_are_not_utf8, links_in_circles,
         pipes_and_devices, files_that_change_while_read, more_runs_than_open_files, stdout_that_goes_away, awkward_logs]
