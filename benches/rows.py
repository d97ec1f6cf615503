"""Times the C library entropy_rows on the CPU against one pass over the same memory, and against torch.

    .venv/reference/bin/python benches/rows.py target/release/libentropy_rows.so [--rows 4096] [--threads 1] [--rounds 5]

Takes the best of the rounds; with one thread, of its CPU time, which other programs disturb least.
"""
import argparse
import ctypes
import time

import torch

DTYPES = {"float32": 0, "bfloat16": 1, "float16": 2}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtypes", default="float32,bfloat16,float16")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    library = ctypes.CDLL(options.library)
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    generator = torch.Generator().manual_seed(1)
    for name in options.dtypes.split(","):
        dtype = getattr(torch, name)
        logits = torch.empty(options.rows, options.vocabulary, dtype=dtype)
        for part in logits.split(64):
            part.copy_(4 * torch.randn(part.shape, generator=generator))
        entropy = torch.empty(options.rows, dtype=torch.float64)
        call = lambda: check(library, entropy_rows(library, logits, DTYPES[name], entropy, options.threads))
        # The bytes are read as 32-bit integers, whose maximum costs least, so that only memory limits the pass.
        words = logits.view(torch.int32).view(-1)
        one_pass = lambda: words.max()
        best = {"one pass": float("inf"), "entropy_rows": float("inf")}
        for _ in range(options.rounds):
            for what, work in [("one pass", one_pass), ("entropy_rows", call)]:
                best[what] = min(best[what], timed(work, clock))
        few = logits[:max(1, options.rows // 16)]
        for what, method in [("torch log_softmax, 32 rows at a time", chunked), ("torch softmax and logsumexp", whole)]:
            best[what] = min(timed(lambda: method(few), clock) for _ in range(2)) * options.rows / len(few)
        gigabytes = logits.nbytes / 1e9
        print(f"{name}, {options.rows} x {options.vocabulary}, {gigabytes:.2f} GB, {options.threads} thread(s)")
        for what, seconds in best.items():
            print(f"  {what:38} {seconds:8.3f} s  {gigabytes / seconds:6.2f} GB/s  {seconds / best['one pass']:6.2f} passes")


def entropy_rows(library, logits, dtype, entropy, threads):
    rows, vocabulary = logits.shape
    return library.entropy_rows(ctypes.c_void_p(logits.data_ptr()), dtype, ctypes.c_size_t(rows), ctypes.c_size_t(vocabulary), ctypes.c_size_t(vocabulary),
                                ctypes.c_double(1.0), None, ctypes.c_void_p(entropy.data_ptr()), None, None, ctypes.c_uint32(threads), None)


def check(library, result):
    if result:
        library.entropy_rows_error_text.restype = ctypes.c_char_p
        raise SystemExit(library.entropy_rows_error_text(result).decode())


def timed(work, clock):
    start = clock()
    work()
    return clock() - start


def chunked(logits):
    entropies = []
    for part in logits.split(32):
        log_probs = part.float().log_softmax(-1)
        entropies.append(-(log_probs.exp() * log_probs).sum(-1))
    return torch.cat(entropies)


def whole(logits):
    """What verl computes."""
    return torch.logsumexp(logits, -1) - (logits.softmax(-1) * logits).sum(-1)


if __name__ == "__main__":
    main()
