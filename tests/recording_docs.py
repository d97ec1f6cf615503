"""Runs the Python of docs/recording.md: argument 1 is that file, 2 the run's name. `entropy-viz` is on the PATH.

The Hugging Face base class is stood in for by an empty one; what the callback is called with is what
transformers' `CallbackHandler` passes (args, state, control, and `logs` by name).
"""
import re
import sys
import types
from pathlib import Path

sys.modules["transformers"] = types.SimpleNamespace(TrainerCallback=object)
namespace = {}
for block in re.findall(r"```python\n(.*?)```", Path(sys.argv[1]).read_text(encoding="utf-8"), flags=re.S):
    exec(block, namespace)

callback = namespace["EntropyCallback"](sys.argv[2])
for step in range(1, 31):
    state = types.SimpleNamespace(global_step=step, is_world_process_zero=True)
    logs = {"loss": 0.1} if step % 10 == 0 else {"entropy": 2.0 / step, "loss": 0.1}
    callback.on_log(None, state, None, logs=logs, model=None)
callback.on_train_end(None, state, None)
