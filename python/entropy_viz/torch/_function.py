"""The functions of `entropy_viz.torch`, and their gradient."""

from __future__ import annotations

from typing import Any, Literal, Optional

import torch
from torch.autograd.function import once_differentiable

from . import _chunked, _native

Backend = Literal["auto", "chunked", "native", "triton"]

IGNORE_INDEX = -100


def entropy_from_logits(
    logits: torch.Tensor,
    chunk_size: int = 2048,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    inplace_backward: bool = False,
    backend: Backend = "auto",
) -> torch.Tensor:
    """Entropy in nats over the last dimension, with a gradient.

    `logits`: (…, vocabulary), float32, bfloat16, float16 or float64. Returns (…), float32 (float64 for float64).

    `chunk_size`: rows at a time; the extra memory is one chunk in float32. It does not change the numbers beyond
    rounding. The native library needs no extra memory and ignores it.

    `top_p`: below 1, the entropy of the set from which nucleus sampling draws, with its probabilities divided by their
    sum; tokens outside have no gradient. The set is that of `entropy-viz compute --nucleus`; sorting takes the memory of
    three more chunks.

    `inplace_backward`: the backward pass writes the gradient into the memory of `logits`, which must not be used any
    more. If another operation needs them, torch raises an error.

    `backend`: "auto" is the native library for CPU tensors if the wheel has it, else "chunked", which is plain torch on
    any device. "triton" is a kernel for CUDA that has not been measured on a GPU yet, so it has to be chosen.

    Raises `ValueError` for arguments out of range, and for a backend that cannot take these tensors.
    """
    return _run(logits, None, chunk_size, temperature, top_p, inplace_backward, backend)[0]


def entropy_and_log_probs(
    logits: torch.Tensor,
    targets: torch.Tensor,
    chunk_size: int = 2048,
    *,
    temperature: float = 1.0,
    inplace_backward: bool = False,
    backend: Backend = "auto",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Entropy, and log-prob of the token `targets`, both in nats with a gradient, in one pass over the logits.

    `targets`: (…), token ids; the log-prob of −100 is 0 and has no gradient. Other arguments as for
    `entropy_from_logits`. Returns two tensors of the shape (…).

    Raises `ValueError` also for a target that is not in the vocabulary (checked on the CPU only).
    """
    entropy, log_probs = _run(logits, targets, chunk_size, temperature, 1.0, inplace_backward, backend)
    assert log_probs is not None
    return entropy, log_probs


def backend_of(logits: torch.Tensor, top_p: float = 1.0) -> Backend:
    """The backend that "auto" takes for these logits: "native" or "chunked"."""
    can_run = top_p == 1.0 and logits.device.type == "cpu" and logits.dtype in _native.DTYPES
    return "native" if can_run and _native.find() is not None else "chunked"


def _run(
    logits: torch.Tensor,
    targets: Optional[torch.Tensor],
    chunk_size: int,
    temperature: float,
    top_p: float,
    inplace_backward: bool,
    backend: Backend,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    if logits.dim() == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits need a dimension of the vocabulary, and have the shape {tuple(logits.shape)}")
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating-point numbers, not {logits.dtype}")
    if not 1e-37 <= temperature <= 1e37:
        raise ValueError(f"temperature must be from 1e-37 to 1e37, not {temperature}")
    if not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, not {chunk_size}")
    if targets is not None and targets.shape != logits.shape[:-1]:
        raise ValueError(f"targets have the shape {tuple(targets.shape)}, and logits {tuple(logits.shape)}")
    if backend not in ("auto", "chunked", "native", "triton"):
        raise ValueError(f"backend must be auto, chunked, native or triton, not {backend!r}")
    if backend == "auto":
        backend = backend_of(logits, top_p)
    elif backend != "chunked" and top_p != 1.0:
        raise ValueError(f"the backend {backend} has no top_p; choose chunked")
    rows = logits.reshape(-1, logits.shape[-1])
    flat = None if targets is None else targets.reshape(-1).to(device=logits.device, dtype=torch.int64)
    if flat is not None and flat.device.type == "cpu":
        _check_targets(flat, rows.shape[1])
    settings = (chunk_size, float(temperature), float(top_p), inplace_backward, backend)
    entropy, log_probs = _Entropy.apply(rows, flat, settings)
    shape = logits.shape[:-1]
    return entropy.reshape(shape), None if targets is None else log_probs.reshape(shape)


def _check_targets(targets: torch.Tensor, vocabulary: int) -> None:
    is_wrong = (targets != IGNORE_INDEX) & ((targets < 0) | (targets >= vocabulary))
    if bool(is_wrong.any()):
        raise ValueError(f"the target {int(targets[is_wrong][0])} is not in the vocabulary of {vocabulary} tokens")


class _Entropy(torch.autograd.Function):
    """(rows × vocabulary) logits to the entropy and the log-prob of the target of each row."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: Optional[torch.Tensor], settings: tuple[int, float, float, bool, Backend]) -> Any:
        chunk_size, temperature, top_p, _, backend = settings
        with torch.no_grad():
            if backend == "native":
                entropy, total, log_probs = _native.forward(logits, targets, temperature)
            elif backend == "triton":
                from . import _triton

                entropy, total, log_probs = _triton.forward(logits, targets, temperature)
            else:
                entropy, total, log_probs = _chunked.forward(logits, targets, temperature, top_p, chunk_size)
        ctx.settings = settings
        ctx.save_for_backward(logits, targets, entropy, total)
        return entropy, log_probs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Optional[torch.Tensor]) -> Any:
        of_entropy, of_log_probs = gradients
        logits, targets, entropy, total = ctx.saved_tensors
        chunk_size, temperature, top_p, is_in_place, backend = ctx.settings
        if targets is None:
            of_log_probs = None
        with torch.no_grad():
            out = logits.detach() if is_in_place else torch.empty_like(logits)
            arguments = (logits, targets, entropy, total, of_entropy, of_log_probs, temperature, out)
            if backend == "triton":
                from . import _triton

                _triton.backward(*arguments)
            else:
                _chunked.backward(*arguments, top_p=top_p, chunk_size=chunk_size)
        return out, None, None
