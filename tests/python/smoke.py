"""Uses the installed wheel as a user does, with nothing but the standard library: `smoke.py HISTORY.json`.

Run in an empty directory, by the Python of the environment that has the wheel.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path

for name in ("ENTROPY_VIZ_PROGRAM", "ENTROPY_VIZ_ROWS", "PYTHONPATH", "STORAGE_PATH", "RANK"):
    os.environ.pop(name, None)
os.environ["PATH"] = "/usr/bin:/bin"  # the program is found without it

import entropy_viz  # noqa: E402

history = sys.argv[1]
installed = Path(entropy_viz.__file__).parent
assert installed.is_relative_to(sys.prefix), installed
assert entropy_viz.find_program() == str(Path(sysconfig.get_path("scripts"), "entropy-viz"))
version = subprocess.run([sys.executable, "-m", "entropy_viz", "--version"], check=True, capture_output=True, text=True).stdout
assert entropy_viz.__version__ in version, (entropy_viz.__version__, version)
assert (installed / "py.typed").exists()

with entropy_viz.Recorder("solver") as record:
    for step in range(1, 41):
        record(step, 2.0 / step)
rows = json.loads(Path("models/solver/entropy_history_solver.json").read_text())
assert rows == [{"step": step, "entropy": 2.0 / step} for step in range(1, 41)]

picture = entropy_viz.plot({"solver": "models", "questioner": history}, "both.png")
assert "questioner" in picture._repr_svg_() and Path("both.png").read_bytes()[1:4] == b"PNG"
assert entropy_viz.stats("models").runs[0]["points"] == 40
assert not entropy_viz.check("models", min_entropy=0.3)
assert entropy_viz.read("models")["entropy"][0] == 2.0

# What verl looks for, and what entropy_viz.torch calls.
(entry_point,) = (each for each in metadata.distribution("entropy-viz").entry_points if each.group == "verl.plugins")
assert (entry_point.name, entry_point.value) == ("entropy_viz", "entropy_viz.verl_plugin")
(library_file,) = installed.glob("torch/libentropy_rows.*")
library = ctypes.CDLL(str(library_file))
library.entropy_rows_version.restype = ctypes.c_char_p
assert library.entropy_rows_version().decode() == entropy_viz.__version__

record = entropy_viz.Recorder("cost")
start = time.perf_counter()
for step in range(10_000):
    record(step, 1.0)
took = (time.perf_counter() - start) / 10_000
record.close()
assert took < 50e-6, f"a call takes {took * 1e6:.0f} µs"
print(f"the package works; a recorded step takes {took * 1e6:.1f} µs of the training")
