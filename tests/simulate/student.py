"""Student's t distribution in NumPy, by the continued fraction of the incomplete beta function."""
from functools import lru_cache
from math import lgamma

import numpy as np

_lgamma = np.vectorize(lgamma, otypes=[float])


def incomplete_beta(a, b, x):
    """The regularised incomplete beta function I_x(a, b); DLMF 8.17.22, evaluated by Lentz's method."""
    a, b, x = np.broadcast_arrays(*(np.asarray(v, float) for v in (a, b, x)))
    swap = x > (a + 1) / (a + b + 2)
    a, b, x = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    tiny = 1e-300
    c, d = np.ones_like(x), 1 - (a + b) * x / (a + 1)
    d = 1 / np.where(np.abs(d) < tiny, tiny, d)
    fraction = d.copy()
    for m in range(1, 200):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 + term * d
            d = 1 / np.where(np.abs(d) < tiny, tiny, d)
            c = 1 + term / c
            c = np.where(np.abs(c) < tiny, tiny, c)
            fraction = fraction * c * d
    with np.errstate(divide="ignore"):
        front = np.exp(_lgamma(a + b) - _lgamma(a) - _lgamma(b) + a * np.log(x) + b * np.log1p(-x)) / a
    return np.where(swap, 1 - front * fraction, front * fraction)


def t_two_sided(t, df):
    """The probability of a value beyond ±`t`."""
    return incomplete_beta(np.asarray(df) / 2, 0.5, df / (df + np.asarray(t) ** 2))


@lru_cache
def t_quantile(df, level=0.95):
    """The half-width of a two-sided `level` interval, in standard errors."""
    low, high = 0.0, 1000.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided(middle, df) > 1 - level else (low, middle)
    return low
