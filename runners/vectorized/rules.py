"""The update rules of optimizers for many networks at once.

Weights and gradients are matrices with one row for each run (*member*). What differs from run to
run is a column. A rule computes what its optimizer's class computes; a test ties each to its class.
Numbers are kept in double precision, as an optimizer of PyTorch keeps them, until they meet a
matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor


class Rule:
    """The update of all members; this one keeps what all rules need.

    Args:
        optimizers: one ordinary optimizer for each member, of which the options are read.
        weights: of all members, ``(members, weights)``.
        decayed: which weights an optimizer's own weight decay applies to, ``(weights,)`` of 0 and
            1; None: to all.

    Attributes:
        options: hyper-parameters that may be given; others have no rule here.
        numbers: those in which members may differ.
        state: tensors with one row for each member.
        sizes: step sizes of the last step and the same before any cap, each ``(members,)``; None
            for an optimizer whose step size is its rate.
    """

    options: ClassVar[frozenset[str]] = frozenset()
    numbers: ClassVar[frozenset[str]] = frozenset({"lr", "momentum", "eps", "weight_decay"})
    sizes: tuple[Tensor, Tensor] | None = None

    def __init__(
        self, optimizers: Sequence[Any], weights: Tensor, decayed: Tensor | None = None
    ) -> None:
        self.optimizers = list(optimizers)
        self.decayed = decayed
        self.steps = 0
        self.state: dict[str, Tensor] = {}
        self.device = weights.device
        self.options_of_all = dict(self.optimizers[0].param_groups[0])
        self.prepare(weights)
        self.refresh()

    def prepare(self, weights: Tensor) -> None:
        """Makes the state before the first step."""

    def refresh(self) -> None:
        """Reads the options again, after rates were changed or members were dropped."""
        self._columns: dict[str, Tensor] = {}

    def keep(self, index: Tensor, optimizers: Sequence[Any]) -> None:
        """Goes on with some of the members only."""
        self.optimizers = list(optimizers)
        self.state = {name: rows[index] for name, rows in self.state.items()}
        self.refresh()

    def step(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """Updates the weights of all members in place.

        Args:
            w: weights, ``(members, weights)``.
            g: gradients, likewise; may be changed.
            loss: the objective of each member, ``(members,)``.
        """
        self.steps += 1
        self.update(w, g, loss)

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """The update of one step; `steps` counts it already."""
        raise NotImplementedError

    def vector(self, name: str) -> Tensor:
        """An option of each member, float64 of shape ``(members,)``; None counts as infinity."""
        if name not in self._columns:
            values = [self._value(optimizer, name) for optimizer in self.optimizers]
            self._columns[name] = torch.tensor(values, dtype=torch.float64, device=self.device)
        return self._columns[name]

    def column(self, name: str) -> Tensor:
        """An option of each member as a column, in single precision."""
        key = f"column {name}"
        if key not in self._columns:
            self._columns[key] = column(self.vector(name))
        return self._columns[key]

    def has(self, name: str) -> bool:
        """Whether an option is not 0 for some member."""
        return any(self._value(optimizer, name) for optimizer in self.optimizers)

    def decay(self, factors: Tensor) -> Tensor:
        """Factors of the weights, one for each member, where the weight decay applies, else 0."""
        rows = column(factors)
        return rows if self.decayed is None else rows * self.decayed

    def _value(self, optimizer: Any, name: str) -> float:
        if name in ("beta1", "beta2"):
            return float(optimizer.param_groups[0]["betas"][name == "beta2"])
        # The groups of one optimizer differ in the weight decay, which some weights do not have.
        values = [group.get(name, 0.0) for group in optimizer.param_groups]
        return max(float("inf") if value is None else float(value) for value in values)


def column(values: Tensor) -> Tensor:
    """A column of single precision, to be multiplied with a matrix of rows."""
    return values.float().unsqueeze(1)


def row_squares(rows: Tensor) -> Tensor:
    """The squared norm of each row, float64 of shape ``(members,)``."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1).double()
    return norms.square()


class SGD(Rule):
    """SGD, heavy ball and Nesterov's momentum, as `torch.optim.SGD`."""

    options = frozenset({"lr", "momentum", "nesterov"})

    def prepare(self, weights: Tensor) -> None:
        """One buffer, if there is momentum."""
        if self.has("momentum"):
            self.state["velocity"] = torch.zeros_like(weights)

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        down = -self.column("lr")
        if "velocity" not in self.state:
            w.addcmul_(g, down)
            return
        v, mu = self.state["velocity"], self.column("momentum")
        torch.addcmul(g, v, mu, out=v)
        w.addcmul_(g.addcmul_(v, mu) if self.options_of_all["nesterov"] else v, down)


class Adam(Rule):
    """Adam and AMSGrad, as `torch.optim.Adam`."""

    options = frozenset({"lr", "betas", "eps", "amsgrad"})
    numbers = frozenset({"lr", "betas", "eps", "weight_decay"})

    def prepare(self, weights: Tensor) -> None:
        """Two moments; AMSGrad's largest second one."""
        self.state["first"] = torch.zeros_like(weights)
        self.state["second"] = torch.zeros_like(weights)
        if self.options_of_all["amsgrad"]:
            self.state["largest"] = torch.zeros_like(weights)

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        first, second = self.state["first"], self.state["second"]
        beta1, beta2 = self.vector("beta1"), self.vector("beta2")
        first.lerp_(g, column(1 - beta1))
        second.mul_(column(beta2)).addcmul_(g.square_(), column(1 - beta2))
        if "largest" in self.state:
            second = torch.maximum(self.state["largest"], second, out=self.state["largest"])
        root = torch.sqrt(second, out=g).mul_(column((1 - beta2**self.steps).rsqrt()))
        rate = self.vector("lr") / (1 - beta1**self.steps)
        w.addcmul_(first / root.add_(self.column("eps")), column(-rate))


class AdamW(Adam):
    """Adam with decoupled weight decay, as `torch.optim.AdamW`."""

    options = frozenset({"lr", "betas", "eps", "weight_decay"})

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        if self.has("weight_decay"):
            w.mul_(1 - self.decay(self.vector("lr") * self.vector("weight_decay")))
        super().update(w, g, loss)


class RMSprop(Rule):
    """RMSProp in PyTorch's form, as `torch.optim.RMSprop`."""

    options = frozenset({"lr", "alpha", "eps", "momentum"})
    numbers = frozenset({"lr", "alpha", "eps", "momentum"})

    def prepare(self, weights: Tensor) -> None:
        """The second moment, and a buffer if there is momentum."""
        self.state["second"] = torch.zeros_like(weights)
        if self.has("momentum"):
            self.state["velocity"] = torch.zeros_like(weights)

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        second, alpha = self.state["second"], self.vector("alpha")
        second.mul_(column(alpha)).addcmul_(g * g, column(1 - alpha))
        direction = g / second.sqrt().add_(self.column("eps"))
        if "velocity" in self.state:
            v = self.state["velocity"]
            direction = torch.addcmul(direction, v, self.column("momentum"), out=v)
        w.addcmul_(direction, -self.column("lr"))


class RMSpropTF1(Rule):
    """RMSProp in TensorFlow's form, as `alig_deepobs.optimizers.rmsprop_tf1.RMSpropTF1`."""

    options = frozenset({"lr", "decay", "momentum", "eps"})
    numbers = options

    def prepare(self, weights: Tensor) -> None:
        """The second moment, which starts at 1, and a buffer if there is momentum."""
        self.state["second"] = torch.ones_like(weights)
        if self.has("momentum"):
            self.state["velocity"] = torch.zeros_like(weights)

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        second, decay = self.state["second"], self.vector("decay")
        second.mul_(column(decay)).addcmul_(g * g, column(1 - decay))
        step = g.div_((second + self.column("eps")).sqrt_()).mul_(self.column("lr"))
        if "velocity" in self.state:
            v = self.state["velocity"]
            step = torch.addcmul(step, v, self.column("momentum"), out=v)
        w.sub_(step)


class Adagrad(Rule):
    """Adagrad, as `torch.optim.Adagrad`."""

    options = frozenset({"lr", "initial_accumulator_value", "eps"})
    numbers = options

    def prepare(self, weights: Tensor) -> None:
        """The sum of squares."""
        self.refresh()
        start = self.column("initial_accumulator_value")
        self.state["sum"] = torch.zeros_like(weights) + start

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        total = self.state["sum"].addcmul_(g, g)
        w.addcmul_(g / total.sqrt().add_(self.column("eps")), -self.column("lr"))
