"""Runs the Python of docs/recording.md: argument 1 is that file, 2 the run's name. `entropy-viz` is on the PATH.

The Hugging Face base class is stood in for by an empty one; what the callback is called with is what
transformers' `CallbackHandler` passes (args, state, control, and `logs` by name).
"""
import os
import re
import sys
import time
import types
from pathlib import Path

sys.modules["transformers"] = types.SimpleNamespace(TrainerCallback=object)
namespace = {}
for block in re.findall(r"```python\n(.*?)```", Path(sys.argv[1]).read_text(encoding="utf-8"), flags=re.S):
    exec(block, namespace)



def state_of(step, rank):
    return types.SimpleNamespace(global_step=step, is_world_process_zero=rank == 0)


def log(callback, step, rank=0):
    logs = {"loss": 0.1} if step % 10 == 0 else {"entropy": 2.0 / step, "loss": 0.1}
    callback.on_log(None, state_of(step, rank), None, logs=logs, model=None)


run = sys.argv[2]
# Other processes of a distributed training have the callback too.
others = [namespace["EntropyCallback"](run) for _ in range(3)]
callback = namespace["EntropyCallback"](run)
for step in range(1, 31):
    for rank, other in enumerate(others, 1):
        log(other, step, rank)
    log(callback, step)

# The first recorder must hold the run before a second one starts.
end = time.monotonic() + 60
while not list(Path(os.environ["STORAGE_PATH"]).glob("models/*/entropy_history_*.json")):
    assert time.monotonic() < end, "the first recorder wrote nothing within 60 s"
    time.sleep(0.01)

# A second recorder of the same run refuses to start; its training goes on.
refused = namespace["EntropyCallback"](run)
for step in range(1, 8):
    log(refused, step)
    refused.record.process.wait()
assert refused.record.lost
refused.on_train_end(None, state_of(8, 0), None)

# The training goes on even without the program.
absent = namespace["EntropyCallback"](run)
absent.record.command[0] = "entropy-viz-is-not-installed"
log(absent, 1)
assert absent.record.lost
absent.on_train_end(None, state_of(2, 0), None)

for each in [callback, *others]:
    each.on_train_end(None, state_of(30, 0), None)
