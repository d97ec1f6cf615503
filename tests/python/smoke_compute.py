"""Runs `entropy-viz compute` of an environment that has both wheels and torch: `smoke_compute.py FIXTURES`, by the Python
of that environment, in an empty directory, which it fills with libraries that must not be loaded.

The numbers are those of transformers for a tiny checkpoint (tests/compute/make_golden.py); golden.json has its version.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

fixtures = Path(sys.argv[1]) / "compute"
here = Path.cwd()
program = Path(sysconfig.get_path("scripts"), "entropy-viz")
torch = Path(sysconfig.get_path("platlib"), "torch").resolve()

# The loader fails at a library that is none.
for directory in (here, here / "lib", here / "libtorch/lib", here / "torch/lib", here / ".libtorch/lib"):
    directory.mkdir(parents=True, exist_ok=True)
    for library in ("libtorch_cpu.so", "libtorch.so", "libc10.so"):
        (directory / library).write_text("not a library")
    (directory.parent / "version.py").write_text("__version__ = '2.11.0'\n")
(here / "torch/__init__.py").write_text("raise SystemExit('the torch of the current directory was imported')\n")
helper = here / "entropy-viz-compute"
helper.write_text("#!/bin/sh\necho the helper of the current directory was started >&2; exit 9\n")
helper.chmod(0o755)

shutil.copytree(fixtures / "qwen3", "models/qwen3")
arguments = ["-v", "compute", "--device", "cpu", "--model", "models/qwen3", "--prompts", str(fixtures / "rollouts.jsonl")]
golden = json.loads((fixtures / "qwen3/golden.json").read_text())["temperatures"]["1.0"]
environment = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": ":.:lib", "LANG": "C.UTF-8"}
for command in ([str(program)], [sys.executable, "-I", "-m", "entropy_viz"]):
    shutil.rmtree("out", ignore_errors=True)
    done = subprocess.run([*command, *arguments, "-o", "out/h.json"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    found = f"with libtorch in {torch} (the program's Python environment)"
    assert found in done.stderr, done.stderr
    (row,) = json.loads(Path("out/h.json").read_text())
    assert math.isclose(row["entropy"], golden["token_mean"], abs_tol=1e-4), (row, golden["token_mean"])
print(f"compute works: entropy {row['entropy']:.6f} nats, transformers has {golden['token_mean']:.6f}")
