"""Entropies in plain torch, a few rows at a time, on any device.

Numbers are shifted by the maximum of the row, which cancels: with u = z / T − max, s = Σ e^u and t = Σ u e^u, the
entropy is ln s − t / s and the log-sum-exp is max + ln s. Two buffers of half a chunk are in use at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import torch

# e^u is 0 in float32 and float64 from here on, and 0 times this is 0, unlike 0 times −inf.
LOWEST = -1e30


def _slices(rows: int, chunk_size: int) -> Iterator[slice]:
    size = max(1, chunk_size // 2)
    return (slice(start, min(rows, start + size)) for start in range(0, rows, size))


def _precision(logits: torch.Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def _scaled(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """A copy of logits / temperature in float32, or in float64 for float64."""
    z = logits.to(_precision(logits), copy=True)
    return z if temperature == 1.0 else z.div_(temperature)


def _nucleus(e: torch.Tensor, top_p: float) -> torch.Tensor:
    """Which tokens are outside of the nucleus, from unnormalised probabilities (rows × vocabulary).

    Tokens are in it, most probable first and of equal ones that with the smaller id first, as long as those before have
    less than `top_p`.
    """
    ordered, ids = torch.sort(e, dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1).sub_(ordered)
    is_outside = before >= top_p * ordered.sum(-1, keepdim=True)
    is_outside[:, 0] = False
    return torch.zeros_like(is_outside).scatter_(-1, ids, is_outside)


def forward(
    logits: torch.Tensor, targets: Optional[torch.Tensor], temperature: float, top_p: float, chunk_size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Entropy, log-sum-exp (over the nucleus if top_p < 1) and log-prob of each row. The last is 0 without targets."""
    count = logits.shape[0]
    entropy, total, log_probs = (logits.new_zeros(count, dtype=_precision(logits)) for _ in range(3))
    for part in _slices(count, chunk_size):
        u = _scaled(logits[part], temperature)
        if targets is not None:
            wanted = targets[part]
            of_target = u.gather(-1, wanted.clamp(min=0)[:, None])[:, 0]
        top = u.amax(-1)
        u.sub_(top[:, None]).clamp_(min=LOWEST)
        e = u.exp()
        if top_p < 1.0:
            e.masked_fill_(_nucleus(e, top_p), 0.0)
        s = e.sum(-1)
        t = u.mul_(e).sum(-1)
        del u, e
        log_s = s.log()
        entropy[part] = log_s - t / s
        total[part] = top + log_s
        if targets is not None:
            log_probs[part] = torch.where(wanted >= 0, of_target - total[part], 0.0)
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
    *,
    top_p: float,
    chunk_size: int,
) -> None:
    """Writes the gradient of the logits into `out`, which may be `logits`.

    For one row: −g_H p (ln p + H) / T + g_L (1[target] − p) / T.
    """
    for part in _slices(logits.shape[0], chunk_size):
        log_p = _scaled(logits[part], temperature)
        is_outside = None
        if top_p < 1.0:
            # The nucleus is found from the numbers of the forward pass.
            is_outside = _nucleus((log_p - log_p.amax(-1, keepdim=True)).clamp_(min=LOWEST).exp_(), top_p)
        log_p.sub_(total[part, None]).clamp_(min=LOWEST)
        p = log_p.exp()
        if is_outside is not None:
            p.masked_fill_(is_outside, 0.0)
        # In place: log_p becomes g_H (ln p + H), plus g_L.
        gradient = log_p.add_(entropy[part, None])
        if of_entropy is None:
            gradient.zero_()
        else:
            gradient.mul_(of_entropy[part, None])
        if of_log_probs is not None and targets is not None:
            g = torch.where(targets[part] >= 0, of_log_probs[part], 0.0)
            gradient.add_(g[:, None]).mul_(p).neg_()
            gradient.scatter_add_(-1, targets[part].clamp(min=0)[:, None], g[:, None])
        else:
            gradient.mul_(p).neg_()
        if temperature != 1.0:
            gradient.div_(temperature)
        out[part] = gradient
        del log_p, p, gradient
