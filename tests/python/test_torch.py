"""entropy_viz.torch against definitions in float64, torch's own gradients, and the functions of verl and TRL.

The functions of verl 0.9.1 and TRL 1.16.0 are copied below, because importing them needs Ray and accelerate.
"""

from __future__ import annotations

import math
import os
import unittest
from unittest import mock

import torch
import torch.nn.functional as F
from entropy_viz import torch as ours
from entropy_viz.torch import _native, entropy_and_log_probs, entropy_from_logits

try:
    import triton
except ImportError:
    triton = None

BACKENDS = ["chunked", "native", *(["triton"] if triton is not None else [])]
F32, F64, BF16 = torch.float32, torch.float64, torch.bfloat16


def verl_entropy_from_logits(logits: torch.Tensor) -> torch.Tensor:
    """verl/utils/torch_functional.py."""
    pd = torch.nn.functional.softmax(logits, dim=-1)
    return torch.logsumexp(logits, dim=-1) - torch.sum(pd * logits, dim=-1)


def trl_entropy_from_logits(logits: torch.Tensor, chunk_size: int = 128) -> torch.Tensor:
    """trl/trainer/utils.py, without its Triton kernel."""
    entropies = []
    for chunk in logits.reshape(-1, logits.shape[-1]).split(chunk_size, dim=0):
        logps = F.log_softmax(chunk, dim=-1)
        entropies.append(-(torch.exp(logps) * logps).sum(-1))
    return torch.cat(entropies, dim=0).reshape(logits.shape[:-1])


def definition(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    log_p = (logits.double() / temperature).log_softmax(-1)
    return -(log_p.exp() * log_p.clamp(min=-1e300)).sum(-1)


def sample(*shape: int, dtype: torch.dtype = F32, seed: int = 0, scale: float = 5.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(shape, generator=generator)).to(dtype)


class Forward(unittest.TestCase):
    def test_equals_the_definition_in_float64(self) -> None:
        for backend in BACKENDS:
            for dtype in (F32, BF16, torch.float16):
                for shape in [(1, 1), (3, 5), (2, 4, 5003), (3, 151_936)]:
                    for temperature in (1.0, 0.7):
                        if backend == "triton" and shape[-1] > 10_000 and (dtype, temperature) != (F32, 0.7):
                            continue  # the interpreter is slow
                        with self.subTest(backend=backend, dtype=dtype, shape=shape, temperature=temperature):
                            logits = sample(*shape, dtype=dtype)
                            if shape[-1] > 5:
                                logits[..., 3:9] = -math.inf
                            entropy = entropy_from_logits(logits, temperature=temperature, backend=backend)
                            self.assertEqual(entropy.dtype, F32)
                            torch.testing.assert_close(entropy.double(), definition(logits, temperature), atol=1e-5, rtol=0)

    def test_float64_keeps_its_precision(self) -> None:
        logits = sample(7, 1000, dtype=F64)
        torch.testing.assert_close(entropy_from_logits(logits), definition(logits), atol=1e-12, rtol=0)

    def test_chunks_do_not_change_the_result(self) -> None:
        logits = sample(37, 211)
        whole = entropy_from_logits(logits, 1000, backend="chunked")
        for chunk_size in (1, 2, 5, 37):
            torch.testing.assert_close(entropy_from_logits(logits, chunk_size, backend="chunked"), whole, atol=1e-6, rtol=0)

    def test_replaces_the_functions_of_verl_and_trl(self) -> None:
        logits = sample(2, 9, 4001)
        torch.testing.assert_close(entropy_from_logits(logits), verl_entropy_from_logits(logits), atol=1e-4, rtol=0)
        torch.testing.assert_close(entropy_from_logits(logits, chunk_size=128), trl_entropy_from_logits(logits), atol=1e-4, rtol=0)
        self.assertEqual(ours.entropy_from_logits_with_chunking(logits=logits[0], chunk_size=4).shape, (9,))

    def test_log_probs_of_targets(self) -> None:
        logits, targets = sample(2, 6, 3001), torch.randint(0, 3001, (2, 6), generator=torch.Generator().manual_seed(1))
        targets[0, 2] = -100
        exact = (logits.double() / 0.8).log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        exact[0, 2] = 0.0
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                entropy, log_probs = entropy_and_log_probs(logits, targets, temperature=0.8, backend=backend)
                torch.testing.assert_close(entropy.double(), definition(logits, 0.8), atol=1e-5, rtol=0)
                torch.testing.assert_close(log_probs.double(), exact, atol=1e-5, rtol=0)

    def test_rows_without_softmax_are_nan_and_others_are_not(self) -> None:
        logits = sample(6, 5000)
        logits[0, 4999], logits[1, 7], logits[2] = math.nan, math.inf, -math.inf
        logits[3], logits[3, 4] = -math.inf, 2.0  # one possible token
        logits[4, :4096] = -math.inf  # a whole block of the Triton kernel
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                entropy = entropy_from_logits(logits, backend=backend)
                self.assertEqual(entropy.isnan().tolist(), [True, True, True, False, False, False])
                self.assertEqual(entropy[3].item(), 0.0)
                torch.testing.assert_close(entropy[4:].double(), definition(logits[4:]), atol=1e-5, rtol=0)

    def test_offset_of_the_logits_cancels(self) -> None:
        for backend in BACKENDS:
            logits = torch.zeros(1, 1000) + 1e4
            self.assertAlmostEqual(entropy_from_logits(logits, backend=backend).item(), math.log(1000), places=5)

    def test_views_are_taken_as_they_are(self) -> None:
        logits = sample(8, 900)
        for backend in BACKENDS:
            for view in (logits[::2, 100:800], logits.T, logits[:0], logits[:, :1]):
                with self.subTest(backend=backend, shape=view.shape, stride=view.stride()):
                    got = entropy_from_logits(view, backend=backend)
                    torch.testing.assert_close(got.double(), definition(view), atol=1e-5, rtol=0)
        torch.testing.assert_close(entropy_from_logits(logits[:1].expand(3, 900)), entropy_from_logits(logits[:1]).expand(3))


class Nucleus(unittest.TestCase):
    def test_top_p_keeps_the_smallest_set_that_reaches_p(self) -> None:
        p = torch.tensor([[0.1, 0.4, 0.2, 0.3]])
        expected = {0.3: [0.4], 0.5: [0.4, 0.3], 0.75: [0.4, 0.3, 0.2], 0.95: [0.4, 0.3, 0.2, 0.1]}
        for top_p, kept in expected.items():
            kept = [value / sum(kept) for value in kept]
            exact = -sum(value * math.log(value) for value in kept)
            self.assertAlmostEqual(entropy_from_logits(p.log(), top_p=top_p).item(), exact, places=5, msg=str(top_p))

    def test_of_equal_tokens_only_as_many_as_needed_are_kept(self) -> None:
        for top_p, kept in {0.2: 1, 0.25: 1, 0.5: 2, 0.51: 3, 0.99: 4}.items():
            self.assertAlmostEqual(entropy_from_logits(torch.ones(1, 4), top_p=top_p).item(), math.log(kept), places=6)

    def test_gradient_is_that_of_the_kept_tokens(self) -> None:
        logits = sample(4, 50, dtype=F64, scale=2.0).requires_grad_()
        entropy_from_logits(logits, top_p=0.8, temperature=0.9).sum().backward()
        free = logits.detach().clone().requires_grad_()
        p = (free / 0.9).softmax(-1)
        ordered, ids = torch.sort(p, dim=-1, descending=True, stable=True)
        is_kept = torch.zeros_like(p, dtype=torch.bool).scatter(-1, ids, ordered.cumsum(-1) - ordered < 0.8)
        self.assertTrue(bool((is_kept.sum(-1) > 1).all() and (~is_kept).any(-1).all()))
        kept = (free / 0.9).masked_fill(~is_kept, -math.inf).log_softmax(-1)
        (-(kept.exp() * kept.masked_fill(~is_kept, 0.0)).sum()).backward()
        torch.testing.assert_close(logits.grad, free.grad, atol=1e-10, rtol=0)


class Backward(unittest.TestCase):
    def gradients(self, logits: torch.Tensor, targets: torch.Tensor | None, temperature: float = 1.0, **options: object) -> torch.Tensor:
        """The gradient of a sum with a weight for each row."""
        logits = logits.clone().requires_grad_()
        weight = torch.linspace(-1, 2, logits.shape[0])
        if targets is None:
            total = (entropy_from_logits(logits, temperature=temperature, **options) * weight).sum()
        else:
            entropy, log_probs = entropy_and_log_probs(logits, targets, temperature=temperature, **options)
            total = (entropy * weight + log_probs * (1 - weight)).sum()
        total.backward()
        assert logits.grad is not None
        return logits.grad

    def by_torch(self, logits: torch.Tensor, targets: torch.Tensor | None, temperature: float) -> torch.Tensor:
        logits = logits.double().clone().requires_grad_()
        weight = torch.linspace(-1, 2, logits.shape[0]).double()
        log_p = (logits / temperature).log_softmax(-1)
        finite = log_p.masked_fill(log_p == -math.inf, 0.0)
        total = (-(log_p.exp() * finite).sum(-1) * weight).sum()
        if targets is not None:
            total = total + (log_p.gather(-1, targets.clamp(min=0)[:, None])[:, 0] * (targets >= 0) * (1 - weight)).sum()
        total.backward()
        assert logits.grad is not None
        return logits.grad.nan_to_num(0.0)  # torch has NaN for a masked token

    def test_equals_torchs_gradient_in_float64(self) -> None:
        logits = sample(9, 4500, scale=3.0)
        logits[:, 5:8] = -math.inf
        targets = torch.randint(10, 4500, (9,), generator=torch.Generator().manual_seed(2))
        targets[4] = -100
        for backend in BACKENDS:
            for wanted in (None, targets):
                for temperature in (1.0, 0.7):
                    with self.subTest(backend=backend, with_targets=wanted is not None, temperature=temperature):
                        got = self.gradients(logits, wanted, temperature, backend=backend)
                        torch.testing.assert_close(got.double(), self.by_torch(logits, wanted, temperature), atol=1e-6, rtol=1e-4)

    def test_gradcheck(self) -> None:
        logits = sample(3, 7, dtype=F64, scale=1.0).requires_grad_()
        targets = torch.tensor([0, -100, 6])
        self.assertTrue(torch.autograd.gradcheck(lambda z: entropy_and_log_probs(z, targets, temperature=1.3), logits))

    def test_second_derivative_is_an_error(self) -> None:
        logits = sample(2, 5).requires_grad_()
        (gradient,) = torch.autograd.grad((entropy_from_logits(logits) ** 2).sum(), logits, create_graph=True)
        with self.assertRaisesRegex(RuntimeError, "once_differentiable"):
            gradient.sum().backward()

    def test_bfloat16_logits_get_bfloat16_gradients(self) -> None:
        logits = sample(5, 300, dtype=BF16)
        for backend in BACKENDS:
            got = self.gradients(logits, None, backend=backend)
            self.assertEqual(got.dtype, BF16)
            exact = self.by_torch(logits, None, 1.0)
            torch.testing.assert_close(got.double(), exact, atol=1e-5, rtol=2**-7)

    def test_in_place_gradient_is_the_same_and_uses_the_memory_of_the_logits(self) -> None:
        for backend in BACKENDS:
            logits = sample(11, 100)
            plain = self.gradients(logits, None, backend=backend)
            leaf = logits.clone().requires_grad_()
            inner = leaf * 1.0  # the memory that may be overwritten
            seen: list[torch.Tensor] = []
            inner.register_hook(lambda gradient, seen=seen: seen.append(gradient))
            weight = torch.linspace(-1, 2, 11)
            (entropy_from_logits(inner, inplace_backward=True, backend=backend) * weight).sum().backward()
            torch.testing.assert_close(leaf.grad, plain)
            self.assertEqual(seen[0].data_ptr(), inner.data_ptr(), backend)

    def test_in_place_gradient_of_logits_that_others_need_is_an_error(self) -> None:
        logits = sample(4, 10).requires_grad_()
        inner = logits * 1.0
        other = inner.exp().log().sum() + (inner**2).sum()
        total = entropy_from_logits(inner, inplace_backward=True).sum()
        with self.assertRaisesRegex(RuntimeError, "inplace operation"):
            total.backward()
            other.backward()


class Arguments(unittest.TestCase):
    def test_wrong_arguments_are_named(self) -> None:
        logits = sample(2, 5)
        cases = [
            ({"temperature": 0.0}, "temperature"),
            ({"top_p": 0.0}, "top_p"),
            ({"chunk_size": 0}, "chunk_size"),
            ({"backend": "cuda"}, "backend"),
            ({"backend": "native", "top_p": 0.5}, "top_p"),
        ]
        for options, named in cases:
            with self.assertRaisesRegex(ValueError, named):
                entropy_from_logits(logits, **options)
        with self.assertRaisesRegex(ValueError, "floating"):
            entropy_from_logits(torch.ones(2, 3, dtype=torch.int64))
        with self.assertRaisesRegex(ValueError, "target 5"):
            entropy_and_log_probs(logits, torch.tensor([1, 5]))
        with self.assertRaisesRegex(ValueError, "shape"):
            entropy_and_log_probs(logits, torch.tensor([1]))

    def test_native_is_the_default_on_the_cpu_if_it_is_installed(self) -> None:
        self.assertEqual(ours.backend_of(sample(1, 2)), "native")
        self.assertEqual(ours.backend_of(sample(1, 2, dtype=F64)), "chunked")
        _native.find.cache_clear()
        self.addCleanup(_native.find.cache_clear)
        with mock.patch.dict(os.environ), mock.patch.object(_native, "NAMES", {"linux": "absent.so"}):
            os.environ.pop("ENTROPY_VIZ_ROWS", None)
            self.assertEqual(ours.backend_of(sample(1, 2)), "chunked")
            with self.assertRaisesRegex(ValueError, "no library"):
                entropy_from_logits(sample(1, 2), backend="native")


if __name__ == "__main__":
    unittest.main()
