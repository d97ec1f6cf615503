"""Token entropies of logits, exact and with a gradient, in little memory.

    from entropy_viz.torch import entropy_from_logits
    entropy = entropy_from_logits(logits)              # (batch, length, vocabulary) -> (batch, length), in nats

For logits z and the temperature T: p = softmax(z / T), H = −Σ p ln p, and dH/dz = −p (ln p + H) / T.

The functions take the arguments of verl's `entropy_from_logits` and `entropy_from_logits_with_chunking` and of TRL's
`entropy_from_logits`, so that they can replace them. They differ in one thing: the result is float32 for any logits,
since a bfloat16 has 2 to 3 digits. All sums are in float32, or in float64 in the native library.

A masked token, with the logit −∞, adds nothing. A row with NaN or +∞, or with −∞ alone, gives NaN.
"""

from __future__ import annotations

from ._function import Backend, backend_of, entropy_and_log_probs, entropy_from_logits

entropy_from_logits_with_chunking = entropy_from_logits

__all__ = ["Backend", "backend_of", "entropy_and_log_probs", "entropy_from_logits", "entropy_from_logits_with_chunking"]
