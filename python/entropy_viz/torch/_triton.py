"""Triton kernels for CUDA: entropy, log-sum-exp and log-prob in one pass over the logits, and their gradient in another.

Not measured on a GPU yet; the arithmetic is tested on the CPU by Triton's interpreter (`TRITON_INTERPRET=1`).

Forward: one program per row goes over the vocabulary in blocks. It keeps the maximum m so far, s = Σ e^(z−m) and
t = Σ (z−m) e^(z−m). When the maximum grows by d, s becomes s e^−d and t becomes (t − d s) e^−d.
"""

from __future__ import annotations

from typing import Any, Optional

import torch
import triton
import triton.language as tl

BLOCK = 4096


@triton.jit
def _forward_kernel(
    logits: Any,
    stride: Any,
    targets: Any,
    entropy: Any,
    total: Any,
    log_probs: Any,
    inverse: Any,
    VOCABULARY: tl.constexpr,
    HAS_TARGETS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    start = logits + row * stride
    m = -float("inf")
    s = 0.0
    t = 0.0
    for at in range(0, VOCABULARY, BLOCK):
        columns = at + tl.arange(0, BLOCK)
        z = tl.load(start + columns, mask=columns < VOCABULARY, other=-float("inf")).to(tl.float32) * inverse
        # A NaN in the block makes m NaN, and all results with it.
        top = tl.maximum(m, tl.max(z, 0))
        has_nan = tl.sum((z != z).to(tl.float32), 0) > 0
        top = tl.where(has_nan | (m != m), float("nan"), top)
        is_first = m == -float("inf")
        d = tl.where(is_first, 0.0, m - top)
        scale = tl.where(is_first, 0.0, tl.exp(d))
        t = tl.where(is_first, 0.0, (t + d * s) * scale)
        s = s * scale
        u = z - top
        e = tl.where(z == -float("inf"), 0.0, tl.exp(u))
        s += tl.sum(e, 0)
        t += tl.sum(tl.where(z == -float("inf"), 0.0, u * e), 0)
        m = top
    log_s = tl.log(s)
    has_softmax = (m == m) & (m > -float("inf")) & (m < float("inf"))
    tl.store(entropy + row, tl.where(has_softmax, log_s - t / s, float("nan")))
    tl.store(total + row, tl.where(has_softmax, m + log_s, float("nan")))
    if HAS_TARGETS:
        target = tl.load(targets + row)
        z = tl.load(start + tl.maximum(target, 0)).to(tl.float32) * inverse
        value = tl.where(has_softmax, z - (m + log_s), float("nan"))
        tl.store(log_probs + row, tl.where(target >= 0, value, 0.0))


@triton.jit
def _backward_kernel(
    logits: Any,
    stride: Any,
    targets: Any,
    entropy: Any,
    total: Any,
    of_entropy: Any,
    of_log_probs: Any,
    out: Any,
    out_stride: Any,
    inverse: Any,
    VOCABULARY: tl.constexpr,
    HAS_TARGETS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = columns < VOCABULARY
    z = tl.load(logits + row * stride + columns, mask=mask, other=-float("inf")).to(tl.float32) * inverse
    log_p = z - tl.load(total + row)
    p = tl.exp(log_p)
    h = tl.load(entropy + row)
    gradient = tl.where(z == -float("inf"), 0.0, -tl.load(of_entropy + row) * p * (log_p + h))
    if HAS_TARGETS:
        target = tl.load(targets + row)
        g = tl.where(target >= 0, tl.load(of_log_probs + row), 0.0)
        gradient += g * (tl.where(columns == target, 1.0, 0.0) - p)
    gradient = gradient * inverse
    tl.store(out + row * out_stride + columns, gradient.to(out.dtype.element_ty), mask=mask)


def _check(logits: torch.Tensor) -> None:
    if logits.dtype == torch.float64:
        raise ValueError("the backend triton computes in float32; choose chunked for float64")
    if logits.device.type != "cuda" and not triton.knobs.runtime.interpret:
        raise ValueError(f"the backend triton needs a CUDA device, and the logits are on {logits.device}")


def forward(logits: torch.Tensor, targets: Optional[torch.Tensor], temperature: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Entropy, log-sum-exp and log-prob of each row, float32. Raises `ValueError` for tensors that it cannot take."""
    _check(logits)
    if logits.stride(-1) != 1:
        logits = logits.contiguous()
    count, vocabulary = logits.shape
    entropy, total, log_probs = (logits.new_zeros(count, dtype=torch.float32) for _ in range(3))
    if count > 0:
        _forward_kernel[(count,)](
            logits, logits.stride(0), targets, entropy, total, log_probs, 1.0 / temperature, VOCABULARY=vocabulary, HAS_TARGETS=targets is not None, BLOCK=BLOCK
        )
    return entropy, total, log_probs


def backward(
    logits: torch.Tensor,
    targets: Optional[torch.Tensor],
    entropy: torch.Tensor,
    total: torch.Tensor,
    of_entropy: Optional[torch.Tensor],
    of_log_probs: Optional[torch.Tensor],
    temperature: float,
    out: torch.Tensor,
) -> None:
    """Writes the gradient of the logits into `out`, which may be `logits`; see `_chunked.backward`."""
    count, vocabulary = logits.shape
    if count == 0:
        return
    if logits.stride(-1) != 1 or out.stride(-1) != 1:
        raise ValueError("the backend triton needs logits whose last dimension is contiguous")
    zero = torch.zeros_like(entropy)
    of_entropy = zero if of_entropy is None else of_entropy.contiguous()
    of_log_probs = zero if of_log_probs is None else of_log_probs.contiguous()
    _backward_kernel[(count, triton.cdiv(vocabulary, BLOCK))](
        logits,
        logits.stride(0),
        targets,
        entropy,
        total,
        of_entropy,
        of_log_probs,
        out,
        out.stride(0),
        1.0 / temperature,
        VOCABULARY=vocabulary,
        HAS_TARGETS=targets is not None,
        BLOCK=BLOCK,
    )
