"""What the ALI-G tests share: two small problems, and every way to build and drive the optimizer.

All factories are session fixtures without state, so that hypothesis may call them many times.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from alig_deepobs import AliG
from alig_deepobs.optimizers.alig_reference import ReferenceAliG


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors of a few numbers gain nothing from threads, and the tests run in parallel."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _leaf(values: list[float], dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, dtype=dtype, requires_grad=True)


@dataclass
class ProblemQ:
    """f(w) = 1/2 (a1^2 + 4 a2^2 + b^2 / 4) from w = (a1, a2, b) = (1, -1, 2).

    Two tensors on purpose: norms and inner products have to be summed over tensors.
    """

    dtype: torch.dtype = torch.float64
    a: Tensor = field(init=False)
    b: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.a = _leaf([1.0, -1.0], self.dtype)
        self.b = _leaf([2.0], self.dtype)

    @property
    def parameters(self) -> list[Tensor]:
        return [self.a, self.b]

    @property
    def weights(self) -> Tensor:
        return torch.cat([self.a, self.b]).detach().clone()

    def loss(self) -> Tensor:
        return 0.5 * (self.a[0] ** 2 + 4 * self.a[1] ** 2 + self.b[0] ** 2 / 4)

    def backward(self) -> Tensor:
        """Put the gradients in place and return the loss they belong to."""
        self.a.grad = self.b.grad = None
        loss = self.loss()
        loss.backward()
        return loss.detach()


@dataclass
class ProblemP(ProblemQ):
    """Gradients and losses are prescribed and do not depend on the weights."""

    # (loss, gradient of a, gradient of b)
    fed: tuple[tuple[float, list[float], list[float]], ...] = (
        (3.0, [1.0, -4.0], [0.5]),
        (0.02, [0.02, -0.05], [0.5]),
        (0.5, [-0.3, 0.01], [-0.25]),
    )

    def feed(self, t: int) -> float:
        """Put the gradients of step ``t`` in place and return the loss of that step."""
        loss, grad_a, grad_b = self.fed[t]
        self.set_gradients(grad_a, grad_b)
        return loss

    def set_gradients(self, grad_a: list[float] | None, grad_b: list[float] | None) -> None:
        for parameter, grad in ((self.a, grad_a), (self.b, grad_b)):
            parameter.grad = None if grad is None else torch.tensor(grad, dtype=self.dtype)


@pytest.fixture(scope="session")
def problem_q() -> type[ProblemQ]:
    return ProblemQ


@pytest.fixture(scope="session")
def problem_p() -> type[ProblemP]:
    return ProblemP


def _flagged(**flags: bool) -> Callable[..., AliG]:
    def build(params: Any, *args: Any, **kwargs: Any) -> AliG:
        return AliG(params, *args, **flags, **kwargs)

    return build


PATHS: dict[str, Callable[..., Any]] = {
    "loop": _flagged(foreach=False, fused=False),
    "foreach": _flagged(foreach=True),
    "fused": _flagged(fused=True),
    "reference": ReferenceAliG,
}


@pytest.fixture(scope="session", params=list(PATHS))
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Build the optimizer, once per code path and once as the slow twin (numbers only)."""
    return PATHS[request.param]


@pytest.fixture(scope="session", params=["loop", "foreach", "fused"])
def make_fast(request: pytest.FixtureRequest) -> Callable[..., AliG]:
    """Build the optimizer, once per code path of ``AliG`` itself."""
    return PATHS[request.param]


@pytest.fixture(scope="session")
def may_refuse() -> Callable[[AliG], AbstractContextManager[None]]:
    """Within it, fused kernels may refuse what is documented, but not compute something else."""

    @contextmanager
    def refusal(optimizer: AliG) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if "fused=True" not in str(error):
                raise
            (group,) = optimizer.param_groups
            tensors = [x for p in group["params"] for x in (p, p.grad)]
            assert group["fused"] is True
            assert any(_is_for_other_paths(x, group["capturable"]) for x in tensors)
            pytest.skip("the fused kernels refuse this, as documented")

    return refusal


def _is_for_other_paths(x: torch.Tensor, capturable: bool) -> bool:
    """Half precision on the CPU, float64 in a graph, and memory that is not in the plain order."""
    wide = (torch.float32,) if capturable else (torch.float32, torch.float64)
    return x.dtype not in wide or not x.is_contiguous()


@pytest.fixture(scope="session")
def paths() -> dict[str, Callable[..., Any]]:
    return PATHS


def _by_keyword(optimizer: Any, backward: Callable[[], Any]) -> Any:
    return optimizer.step(loss=backward())


def _by_ready_closure(optimizer: Any, backward: Callable[[], Any]) -> Any:
    loss = backward()
    return optimizer.step(lambda: loss)


def _by_working_closure(optimizer: Any, backward: Callable[[], Any]) -> Any:
    return optimizer.step(backward)


@pytest.fixture(
    scope="session",
    params=[_by_keyword, _by_ready_closure, _by_working_closure],
    ids=["loss=", "ready closure", "working closure"],
)
def drive(request: pytest.FixtureRequest) -> Callable[[Any, Callable[[], Any]], Any]:
    """Take one step; ``backward`` fills the gradients and returns the loss."""
    return request.param


@pytest.fixture(scope="session")
def velocity() -> Callable[[Any, Tensor], Tensor]:
    """The velocity of a parameter in the paper's sign: torch's buffers carry the opposite one."""

    def read(optimizer: Any, parameter: Tensor) -> Tensor:
        state = optimizer.state[parameter]
        if "velocity" in state:
            return state["velocity"]
        scale = optimizer.param_groups[0].get("velocity_scale", 1.0)
        return -scale * state["momentum_buffer"]

    return read


@dataclass
class Regression:
    """A small network with a loss that can come close to zero, in any precision."""

    dtype: torch.dtype = torch.float32
    seed: int = 0
    batch: int = 16

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(self.dtype)

        self.inputs, self.targets = draw(self.batch, 6), draw(self.batch, 3)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
        ).to(self.dtype)
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.copy_(0.4 * draw(*parameter.shape))

    @property
    def parameters(self) -> list[Tensor]:
        return list(self.net.parameters())

    @property
    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.net.parameters()]).clone()

    def backward(self, rows: slice = slice(None)) -> Tensor:
        self.net.zero_grad()
        loss = torch.nn.functional.mse_loss(self.net(self.inputs[rows]), self.targets[rows])
        loss.backward()
        return loss.detach()

    def minibatches(self, steps: int, size: int = 4) -> list[slice]:
        starts = itertools.cycle(range(0, self.batch, size))
        return [slice(s, s + size) for s in itertools.islice(starts, steps)]


@pytest.fixture(scope="session")
def regression() -> type[Regression]:
    return Regression
