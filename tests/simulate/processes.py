"""Random series whose true values are known in closed form."""
import numpy as np


def ar1(rng, trials, n, phi):
    """Stationary AR(1) with mean 0 and standard deviation 1: x_t = φ·x_{t−1} + e_t."""
    x = rng.normal(size=(n, trials))
    innovation = np.sqrt(1 - phi**2)
    for t in range(1, n if phi else 1):
        x[t] = phi * x[t - 1] + innovation * x[t]
    return np.ascontiguousarray(x.T)


def wander(rng, trials, n, memory):
    """Half of the variance forgets with e^(−steps/memory), half is white noise; standard deviation 1."""
    return np.sqrt(0.5) * (ar1(rng, trials, n, np.exp(-1 / memory)) + rng.normal(size=(trials, n)))


def random_walk(rng, trials, n):
    """A random walk from 0 whose last value has the standard deviation 1."""
    return rng.normal(size=(trials, n)).cumsum(axis=1) / np.sqrt(n)


def ar1_mean_variance(n, phi):
    """The variance of the mean of `n` steps of `ar1`: (n + 2 Σ (n−k) φ^k) / n²."""
    k = np.arange(1, n)
    return (n + 2 * np.sum((n - k) * phi**k)) / n**2


def wander_mean_variance(n, memory):
    return 0.5 * ar1_mean_variance(n, np.exp(-1 / memory)) + 0.5 / n


def random_walk_mean_variance(n):
    """Σ over t of (number of steps from t on)² / n², for steps of variance 1/n."""
    return np.sum(np.arange(1, n + 1) ** 2.0) / n**3


def noisy(rng, curve, trials, noise, phi=0.0):
    """`curve` times 1 plus noise of the given standard deviation, white or AR(1), and never below 0.1 % of the curve. `curve`
    is one row, or one row per trial."""
    n = curve.shape[-1]
    errors = ar1(rng, trials, n, phi) if phi else rng.normal(size=(trials, n))
    return curve * np.maximum(1 + noise * errors, 1e-3)


def exponential_collapses(rng, trials, n):
    """0.05 + 0.95·e^(−t/τ), with τ log-uniform from 5 to n/4."""
    tau = np.exp(rng.uniform(np.log(5), np.log(n / 4), size=(trials, 1)))
    return 0.05 + 0.95 * np.exp(-np.arange(n) / tau)


def sudden_collapses(rng, trials, n):
    """1, then 0.05–0.2 from a random point on that leaves at least 10 points before it and 12 from it on."""
    at = rng.integers(10, n - 12 + 1, size=(trials, 1))
    return np.where(np.arange(n) < at, 1.0, rng.uniform(0.05, 0.2, size=(trials, 1)))
