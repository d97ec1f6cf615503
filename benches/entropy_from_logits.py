"""Time and memory of `entropy_viz.torch.entropy_from_logits` beside verl's and TRL's functions, on the CPU.

    scripts/python.sh measure        (or: python benches/entropy_from_logits.py [ROWS VOCABULARY])

Each case runs in its own process, alone: forward, and forward with backward. Time is the best of three, in CPU seconds
of one thread. Memory is the growth of the peak of the process above the logits (and above their gradient, which every
function has to return). The largest difference is to float64.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

CASES = ["verl", "verl chunked", "TRL", "entropy_viz chunked", "entropy_viz native", "entropy_viz native in place"]
MIB = 1 << 20


def function(name: str):
    import torch.nn.functional as F
    import torch

    from entropy_viz.torch import entropy_from_logits as ours

    def verl(logits):  # verl/utils/torch_functional.py, 0.9.1
        pd = torch.nn.functional.softmax(logits, dim=-1)
        return torch.logsumexp(logits, dim=-1) - torch.sum(pd * logits, dim=-1)

    def verl_chunked(logits, chunk_size=2048):
        entropy = torch.zeros(logits.shape[0], device=logits.device)
        for i in range(0, logits.shape[0], chunk_size):
            chunk = logits[i : i + chunk_size].float()
            pd = torch.nn.functional.softmax(chunk, dim=-1)
            entropy[i : i + chunk_size] = torch.logsumexp(chunk, dim=-1) - torch.sum(pd * chunk, dim=-1)
        return entropy

    def trl(logits, chunk_size=128):  # trl/trainer/utils.py, 1.16.0
        entropies = []
        for chunk in logits.split(chunk_size, dim=0):
            logps = F.log_softmax(chunk, dim=-1)
            entropies.append(-(torch.exp(logps) * logps).sum(-1))
        return torch.cat(entropies, dim=0)

    return {
        "verl": verl,
        "verl chunked": verl_chunked,
        "TRL": trl,
        "entropy_viz chunked": lambda logits: ours(logits, 128, backend="chunked"),
        "entropy_viz native": lambda logits: ours(logits, 128, backend="native"),
        "entropy_viz native in place": lambda logits: ours(logits, 128, backend="native", inplace_backward=True),
    }[name]


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(name: str, dtype: str, rows: int, vocabulary: int, direction: str) -> dict[str, float | None]:
    import torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    leaf = torch.empty(rows, vocabulary, dtype=getattr(torch, dtype))
    for row in leaf:
        row.copy_(3 * torch.randn(vocabulary, generator=generator))
    compute = function(name)
    with torch.no_grad():
        compute(leaf[:2])  # loads libraries
    before, seconds = peak(), []
    for _ in range(3):
        if direction == "forward":
            start = time.process_time()
            with torch.no_grad():
                result = compute(leaf)
        else:
            logits = leaf.detach().requires_grad_()
            start = time.process_time()
            # In place, the gradient needs logits that are not a leaf, as in a model.
            inner = logits.view_as(logits)
            result = compute(inner)
            if "in place" in name:
                torch.autograd.grad(result.sum(), inner)
            else:
                result.sum().backward()
                logits.grad = None
        seconds.append(time.process_time() - start)
        if "in place" in name:
            break  # the logits are gone
    log_p = leaf[:4].double().log_softmax(-1)
    exact = -(log_p.exp() * log_p).sum(-1)
    error = (result[:4].double() - exact).abs().max().item() if "in place" not in name else None
    return {"seconds": min(seconds), "extra_mib": (peak() - before) / MIB, "error": error}


def main() -> None:
    if len(sys.argv) == 6:
        name, dtype, rows, vocabulary, direction = sys.argv[1:]
        print(json.dumps(measure(name, dtype, int(rows), int(vocabulary), direction)))
        return
    rows, vocabulary = map(int, sys.argv[1:3]) if len(sys.argv) == 3 else (256, 151_936)
    for dtype in ("float32", "bfloat16"):
        size = rows * vocabulary * (4 if dtype == "float32" else 2) / MIB
        print(f"\n{rows} × {vocabulary} {dtype}, {size:.0f} MiB of logits\n\n| function | direction | CPU s | extra MiB | error |\n| --- | --- | --- | --- | --- |")
        for direction in ("forward", "forward and backward"):
            for name in CASES:
                if "in place" in name and direction == "forward":
                    continue
                command = [sys.executable, __file__, name, dtype, str(rows), str(vocabulary), direction]
                got = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                error = "–" if got["error"] is None else f"{got['error']:.0e}"
                print(f"| {name} | {direction} | {got['seconds']:.2f} | {got['extra_mib']:.0f} | {error} |", flush=True)


if __name__ == "__main__":
    main()
