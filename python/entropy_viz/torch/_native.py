"""The C library `entropy_rows` of the wheel, for logits on the CPU: it reads each logit once and needs no extra memory."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from pathlib import Path
from typing import Optional

import torch

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}

NAMES = {"linux": "libentropy_rows.so", "darwin": "libentropy_rows.dylib", "win32": "entropy_rows.dll"}


@functools.lru_cache(maxsize=1)
def find() -> Optional[ctypes.CDLL]:
    """The library that `$ENTROPY_VIZ_ROWS` names, else that beside this file; `None` if there is none.

    Raises `ValueError` if the named one cannot be loaded.
    """
    named = os.environ.get("ENTROPY_VIZ_ROWS")
    path = Path(named) if named else Path(__file__).with_name(NAMES.get(sys.platform, NAMES["linux"]))
    if not named and not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ValueError(f"cannot load the library entropy_rows: {error}") from error
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.entropy_rows.argtypes = [pointer, ctypes.c_int32, size, size, size, ctypes.c_double, *[pointer] * 4, ctypes.c_uint32, pointer]
    library.entropy_rows.restype = ctypes.c_int32
    library.entropy_rows_error_text.restype = ctypes.c_char_p
    return library


def forward(logits: torch.Tensor, targets: Optional[torch.Tensor], temperature: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Entropy, log-sum-exp and log-prob of each row, as float32, computed in float64 across blocks.

    Uses as many threads as torch. Raises `ValueError` without the library and for tensors that it cannot take.
    """
    library = find()
    if library is None:
        raise ValueError("this installation has no library entropy_rows; choose the backend chunked, or name the library in $ENTROPY_VIZ_ROWS")
    if logits.device.type != "cpu" or logits.dtype not in DTYPES:
        raise ValueError(f"the backend native takes float32, bfloat16 and float16 on the CPU, not {logits.dtype} on {logits.device}")
    if logits.stride(-1) != 1 or logits.stride(0) < logits.shape[1]:
        logits = logits.contiguous()
    count, vocabulary = logits.shape
    entropy, total, log_probs = (torch.zeros(count, dtype=torch.float64) for _ in range(3))
    wanted = None if targets is None else targets.contiguous()
    result = library.entropy_rows(
        logits.data_ptr(),
        DTYPES[logits.dtype],
        count,
        vocabulary,
        max(vocabulary, logits.stride(0)),
        temperature,
        None if wanted is None else wanted.data_ptr(),
        entropy.data_ptr(),
        total.data_ptr(),
        None if wanted is None else log_probs.data_ptr(),
        torch.get_num_threads(),
        None,
    )
    if result != 0:
        raise ValueError(f"entropy_rows: {library.entropy_rows_error_text(result).decode()}")
    if wanted is not None:
        log_probs.masked_fill_(wanted < 0, 0.0)
    return entropy.float(), total.float(), log_probs.float()
