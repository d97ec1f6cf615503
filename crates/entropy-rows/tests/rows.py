"""Compares the Python example of docs/library.md, and the other outputs of the library, with torch.

    python rows.py docs/library.md target/debug/libentropy_rows.so
"""
import ctypes
import multiprocessing
import re
import sys
from pathlib import Path

import numpy as np
import torch

PAGE, LIBRARY = sys.argv[1:]


def example():
    """The functions of the first Python block of the page, with the library of this test."""
    code = re.search(r"```python\n(.*?)```", Path(PAGE).read_text(encoding="utf-8"), re.DOTALL).group(1)
    code, count = re.subn(r'CDLL\("[^"]*"\)', f"CDLL({LIBRARY!r})", code)
    assert count == 1
    names = {}
    exec(compile(code, PAGE, "exec"), names)
    return names


def by_torch(logits, temperature):
    """Entropy and log-sum-exp in float64."""
    z = logits.double() / temperature
    total = torch.logsumexp(z, -1)
    return total - (z.softmax(-1) * z.where(z.isfinite(), 0.0)).sum(-1), total


def agree(what, ours, exact, tolerance=2e-6):
    ours, exact = torch.as_tensor(ours), torch.as_tensor(exact)
    assert ours.shape == exact.shape, (what, ours.shape, exact.shape)
    difference = (ours - exact).abs().max().item()
    assert difference < tolerance, (what, difference)
    print(f"{what}: largest difference {difference:.1e}")


def main():
    names = example()
    entropy_from_logits, library = names["entropy_from_logits"], names["library"]
    generator = torch.Generator().manual_seed(3)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for shape in [(1, 1), (3, 5), (2, 4, 4097), (40, 32_000), (2, 151_936)]:
            logits = (5 * torch.randn(shape, generator=generator)).to(dtype)
            if shape[-1] > 5:
                logits[..., 3:9] = float("-inf")
            for temperature in (1.0, 0.7):
                agree(f"{dtype} {shape} at {temperature}", entropy_from_logits(logits, temperature), by_torch(logits, temperature)[0])

    logits = 5 * torch.randn((30, 1000), generator=generator)
    exact = by_torch(logits, 1.0)[0]
    agree("array of NumPy", entropy_from_logits(logits.numpy()), exact)
    agree("float16 array of NumPy", entropy_from_logits(logits.numpy().astype(np.float16)), by_torch(logits.half(), 1.0)[0])
    agree("array that is not contiguous", entropy_from_logits(np.asfortranarray(logits.numpy())), exact)
    agree("every second row", entropy_from_logits(logits[::2]), exact[::2])
    agree("tensor with a gradient", entropy_from_logits(logits.clone().requires_grad_()), exact)
    assert entropy_from_logits(logits[:0]).shape == (0,)
    assert np.isnan(entropy_from_logits(torch.tensor([[0.0, float("nan")]]))).all()
    try:
        entropy_from_logits(logits, 0.0)
        raise AssertionError("a temperature of 0 is accepted")
    except ValueError as error:
        assert "temperature" in str(error), error

    # The outputs that the example does not use, for columns 100 to 899 of the rows, at their place in memory.
    part = logits[:, 100:900]
    targets = torch.randint(0, 800, (30,), generator=generator)
    log_sum_exp, log_prob = torch.empty(30, dtype=torch.float64), torch.empty(30, dtype=torch.float64)
    result = library.entropy_rows(part.data_ptr(), 0, 30, 800, part.stride(0), 0.9, targets.data_ptr(), None, log_sum_exp.data_ptr(), log_prob.data_ptr(), 3, None)
    assert result == 0
    agree("log_sum_exp with a stride", log_sum_exp, by_torch(part, 0.9)[1])
    agree("log_prob with a stride", log_prob, (part.double() / 0.9).log_softmax(-1).gather(-1, targets[:, None])[:, 0])

    # After calls on several threads, a forked process can still call.
    entropy_from_logits(logits, 1.0, 4)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(entropy_from_logits(logits.numpy(), 1.0, 4)))
    child.start()
    child.join(60)
    assert child.exitcode == 0, f"the forked process ended with {child.exitcode}"
    agree("in a forked process", queue.get(), exact)
    print("all correct")


if __name__ == "__main__":
    main()
