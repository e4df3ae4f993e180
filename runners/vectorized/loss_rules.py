"""The update rules of optimizers whose step size depends on the loss, for many networks at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alig_deepobs.optimizers._step_size import GUARDS
from alig_deepobs.optimizers.sps import TINY_NORM
from alig_deepobs.runners.vectorized.rules import Rule, column, row_squares


def quotients(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Quotients; 0 where the denominator is 0 or so small that the quotient overflows."""
    ratio = numerator / denominator
    overflow = torch.isinf(ratio) & torch.isfinite(numerator)
    return torch.where(overflow | (denominator == 0), 0.0, ratio)


def row_products(xs: Tensor, ys: Tensor) -> Tensor:
    """The inner products of rows, float64 of shape ``(members,)``."""
    return (xs * ys).sum(dim=1).double()


class AliG(Rule):
    """ALI-G in all its forms, as `alig_deepobs.optimizers.alig.AliG`."""

    options = frozenset({"max_lr", "momentum", "eps", "adjusted_momentum", "f_min", "max_norm"})
    numbers = frozenset({"max_lr", "momentum", "eps", "f_min", "max_norm"})

    def prepare(self, weights: Tensor) -> None:
        """One buffer, if there is momentum; the guards' counts."""
        if self.has("momentum"):
            self.state["buffer"] = torch.zeros_like(weights)
        self.state["guards"] = torch.zeros(
            len(weights), len(GUARDS), dtype=torch.int64, device=self.device
        )
        balls = [optimizer.projection_fn for optimizer in self.optimizers]
        self.radii = torch.tensor(
            [math.inf if ball is None else ball.max_norm for ball in balls],
            dtype=torch.float64, device=self.device,
        )  # fmt: skip
        self.has_ball = any(ball is not None for ball in balls)
        self._project(weights)

    def keep(self, index: Tensor, optimizers: Sequence[Any]) -> None:
        """See `Rule.keep`."""
        self.radii = self.radii[index]
        super().keep(index, optimizers)

    def guarded(self, member: int) -> dict[str, int]:
        """How many steps of a member had step size 0, and why."""
        return dict(zip(GUARDS, self.state["guards"][member].tolist(), strict=True))

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        gap = loss.double() - self.vector("f_min")
        squared = row_squares(g)
        unclipped = gap / (squared + self.vector("eps"))
        finite, positive = torch.isfinite(gap + squared), gap > 0
        usable = finite & positive & torch.isfinite(unclipped)
        self.state["guards"] += torch.stack(
            (finite & positive & ~usable, finite & ~positive, ~finite), dim=1
        )
        unclipped = torch.where(usable, unclipped, 0.0)
        gamma = torch.minimum(unclipped, self.vector("lr"))
        self.sizes = gamma, unclipped
        # Where loss or gradient is not finite, weights and momentum stay as they are.
        g.masked_fill_(~finite.unsqueeze(1), 0.0)
        size = column(gamma)
        if "buffer" not in self.state:
            w.addcmul_(g, -size)
        else:
            self._move(w, g, size, finite)
        self._project(w)

    def _move(self, w: Tensor, g: Tensor, size: Tensor, finite: Tensor) -> None:
        b, mu = self.state["buffer"], self.vector("momentum")
        kept = column(torch.where(finite, mu, 1.0))
        if self.options_of_all["adjusted_momentum"]:
            torch.addcmul(g, b, kept, out=b)
            w.addcmul_(g.addcmul_(b, column(mu)), -size)
        else:
            scaled = g.mul_(size)
            torch.addcmul(scaled, b, kept, out=b)
            w.sub_(scaled.addcmul_(b, column(torch.where(finite, mu, 0.0))))

    def _project(self, w: Tensor) -> None:
        if self.has_ball:
            norms = row_squares(w).sqrt()
            w.mul_(column(torch.where(norms > self.radii, self.radii / norms, 1.0)))


class L4Mom(Rule):
    """L4 on top of momentum, as `alig_deepobs.optimizers.l4.L4Mom`."""

    options = frozenset({"fraction", "minloss_factor", "init_factor", "minloss_forget_time"})
    numbers = options
    beta = 0.9

    def prepare(self, weights: Tensor) -> None:
        """The averaged gradient, and the smallest loss so far."""
        self.state["average"] = torch.zeros_like(weights)

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        value = loss.double()
        if self.steps == 1:
            smallest = _below(value, 1 - self.vector("init_factor"))
        else:
            smallest = torch.minimum(value, self.state["smallest"])
        average = self.state["average"].mul_(self.beta).add_(g, alpha=1 - self.beta)
        gradient = average * (1 / (1 - self.beta**self.steps))
        direction = self.direction(g, gradient)
        gap = (value - _below(smallest, 1 - self.vector("minloss_factor"))).clamp(min=0.0)
        product = row_products(direction, gradient) + self.vector("eps")
        size = quotients(self.vector("fraction") * gap, product)
        self.sizes = size, size
        self.state["smallest"] = _below(smallest, -1 / self.vector("minloss_forget_time"))
        w.addcmul_(direction, column(-size))

    def direction(self, g: Tensor, gradient: Tensor) -> Tensor:
        """The direction of the step, given the averaged gradient."""
        return gradient


class L4Adam(L4Mom):
    """L4 on top of Adam, as `alig_deepobs.optimizers.l4.L4Adam`."""

    beta_square = 0.999
    adam_eps = 1e-4

    def prepare(self, weights: Tensor) -> None:
        """The two averages."""
        super().prepare(weights)
        self.state["squares"] = torch.zeros_like(weights)

    def direction(self, g: Tensor, gradient: Tensor) -> Tensor:
        """Adam's direction."""
        squares = self.state["squares"].mul_(self.beta_square)
        squares.addcmul_(g, g, value=1 - self.beta_square)
        correction = 1 - self.beta_square**self.steps
        return gradient / (squares / correction).sqrt_().add_(self.adam_eps)


def _below(x: Tensor, part: Tensor) -> Tensor:
    return x - part * x.abs()


class DFW(Rule):
    """Deep Frank-Wolfe, as `alig_deepobs.optimizers.dfw.DFW`."""

    options = frozenset({"lr", "momentum", "eps", "weight_decay"})

    def prepare(self, weights: Tensor) -> None:
        """One buffer, if there is momentum."""
        if self.has("momentum"):
            self.state["buffer"] = torch.zeros_like(weights)

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        lr, decay = self.vector("lr"), self.vector("weight_decay")
        numerator, decays = loss.double(), self.has("weight_decay")
        regularized = w if self.decayed is None else w * self.decayed
        if decays:
            numerator = numerator - lr * decay * row_products(g, regularized)
        ratio = quotients(numerator, self.vector("eps") + lr * row_squares(g))
        gamma = ratio.clamp(0.0, 1.0)
        self.sizes = lr * gamma, lr * ratio
        size = column(-lr * gamma)
        if "buffer" in self.state:
            b = self.state["buffer"].mul_(self.column("momentum")).addcmul_(g, size)
            if decays:
                b.addcmul_(regularized, column(-lr * decay * gamma))
        if decays:
            w.mul_(1 - self.decay(lr * decay))
        w.addcmul_(g, size)
        if "buffer" in self.state:
            w.addcmul_(self.state["buffer"], self.column("momentum"))


class SPS(Rule):
    """The stochastic Polyak step size, as `alig_deepobs.optimizers.sps.SPS`."""

    options = frozenset(
        {"c", "adapt_flag", "init_step_size", "gamma", "eta_max", "f_star", "eps"}
    )  # fmt: skip
    numbers = options - {"adapt_flag"}

    def prepare(self, weights: Tensor) -> None:
        """The step size before the first one."""
        self.refresh()
        self.state["previous"] = self.vector("previous_step_size")

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        squared = row_squares(g)
        gap = (loss.double() - self.vector("f_star")).clamp(min=0.0)
        idle = (squared < TINY_NORM**2) | (gap <= 0)
        unclipped = quotients(gap, self.vector("c") * squared + self.vector("eps"))
        unclipped = torch.where(idle, 0.0, unclipped)
        if self.options_of_all["adapt_flag"] == "smooth_iter":
            previous = self.state["previous"]
            growth = self.vector("gamma") ** (1 / self.vector("n_batches_per_epoch"))
            size = torch.minimum(unclipped, previous * growth)
            self.state["previous"] = torch.where(idle, previous, size)
        else:
            size = torch.minimum(unclipped, self.vector("lr"))
        self.sizes = size, unclipped
        w.addcmul_(g, column(-size))


class Momo(Rule):
    """MoMo, as `alig_deepobs.optimizers.momo.Momo`."""

    options = frozenset({"lr", "beta", "lb", "bias_correction", "use_fstar", "weight_decay"})
    numbers = frozenset({"lr", "beta", "lb", "weight_decay"})

    def prepare(self, weights: Tensor) -> None:
        """The averages of gradient, loss and products, and the lower bound."""
        self.refresh()
        zeros = torch.zeros(len(weights), dtype=torch.float64, device=self.device)
        self.state |= {
            "gradient": torch.zeros_like(weights), "loss": zeros, "product": zeros,
            "bound": self.vector("lb"),
        }  # fmt: skip

    def update(self, w: Tensor, g: Tensor, loss: Tensor) -> None:
        """See `Rule.update`."""
        beta, lb, lr = self.vector("beta"), self.vector("lb"), self.vector("lr")
        correct = self.options_of_all["bias_correction"]
        rho = 1 - beta**self.steps if correct else torch.ones_like(beta)
        value, product = loss.double(), row_products(w, g)
        average = self.state["gradient"]
        if self.steps == 1 and not correct:
            self.state["loss"], self.state["product"] = value, product
            average.copy_(g)
        average.mul_(column(beta)).addcmul_(g, column(1 - beta))
        self.state["loss"] = f = beta * self.state["loss"] + (1 - beta) * value
        self.state["product"] = q = beta * self.state["product"] + (1 - beta) * product
        a, d = row_products(w, average), row_squares(average)
        decays = self.has("weight_decay")
        scale = 1 + lr * self.vector("weight_decay") if decays else torch.ones_like(beta)
        bound = self.state["bound"]
        if self.options_of_all["use_fstar"]:
            cap = scale * f + a - scale * q
            reset = torch.maximum(cap / (2 * scale * rho), lb)
            bound = torch.where(cap < scale * rho * bound, reset, bound)
        unclipped = quotients((scale * (f - rho * bound) + a - scale * q).clamp(min=0.0), d)
        tau = torch.minimum(unclipped, lr / rho)
        if self.options_of_all["use_fstar"]:
            self.state["bound"] = torch.maximum((f + a - q - 0.5 * tau * d) / rho, lb)
        self.sizes = tau, unclipped
        w.addcmul_(average, column(-tau))
        if decays:
            w.mul_(1 / (1 + self.decay(scale - 1)))
