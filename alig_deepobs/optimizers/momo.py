"""MoMo and MoMo-Adam: momentum models with an adaptive step size."""

from __future__ import annotations

from typing import Any, ClassVar

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import checked
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least, at_most, choose


class _Momo(LossMethod):
    """The model that both share, and the estimate of its lower bound.

    In the notation of the paper, with sums over all parameters of all groups: ``f`` is the averaged
    loss, ``A = <w, d>`` with the averaged gradient ``d``, ``q`` the average of ``<w, g>``, and
    ``D`` the squared norm of ``d``.
    """

    regularization = "own"
    memory: ClassVar[dict[str, Any]] = {"steps": 0, "loss_average": 0.0, "bound": None}
    shared: ClassVar[tuple[str, ...]] = ("lb", "use_fstar")

    def _make_state(self, part: Work) -> None:
        self._buffers(part, "gradient_average")
        for owner in part.owners:
            self.state[owner].setdefault("product_average", 0.0)
            self.state[owner].setdefault("step", 0)

    def _average_loss(self, loss: Scalar, beta: float, start: Scalar) -> Scalar:
        first = self.param_groups[0]
        old = self._scalar(first["loss_average"]) if first["steps"] > 1 else start
        first["loss_average"] = average = beta * old + (1 - beta) * loss
        return average

    def _average_products(self, part: Work, beta: float) -> Scalar:
        """Updates the averages of ``<w, g>`` of a group and returns their sum."""
        total: Scalar = 0.0
        products = self._dots(part.params, part.grads)
        for owner, product in zip(part.owners, products, strict=True):
            state = self.state[owner]
            is_first = state["step"] == 1
            old = self._first_product(product) if is_first else state["product_average"]
            old = self._scalar(old)
            state["product_average"] = new = beta * old + (1 - beta) * product
            total = total + new
        return total

    def _first_product(self, product: Scalar) -> Scalar:
        return 0.0

    def _tau(
        self, group: dict[str, Any], f: Scalar, a: Scalar, q: Scalar, d: Scalar, rho: float
    ) -> Scalar:
        """A group's step size; updates the estimate of the lower bound."""
        first = self.param_groups[0]
        # Not 1 + lr * 0, which is nan where there is no cap.
        scale = 1 + group["lr"] * group["weight_decay"] if group["weight_decay"] else 1.0
        bound = first["lb"] if first["bound"] is None else self._scalar(first["bound"])
        if first["use_fstar"]:
            cap = scale * f + a - scale * q
            reset = at_least(cap / (2 * scale * rho), first["lb"])
            bound = choose(cap < scale * rho * bound, reset, bound)
        unclipped = self._quotient(at_least(scale * (f - rho * bound) + a - scale * q, 0.0), d)
        tau = at_most(unclipped, group["lr"] / rho)
        if first["use_fstar"]:
            bound = at_least((f + a - q - 0.5 * tau * d) / rho, first["lb"])
            first["bound"] = bound
        if group is first:
            self._sizes = tau, unclipped
        return tau


class Momo(_Momo):
    r"""MoMo: SGD with momentum, with a Polyak-type step size for the averaged model.

    With the averages (decay ``beta``) ``f`` of the loss, ``d`` of the gradient and ``q`` of
    ``<w, g>``, which start at their first values (with ``bias_correction``, at 0), ``rho = 1``
    (``1 - beta^k`` in step ``k``) and ``scale = 1 + lr weight_decay``::

        tau = min(lr / rho, max(scale (f - rho lb) + <w, d> - scale q, 0) / |d|^2)
        w   = (w - tau d) / scale

    The step size is 0 where ``d`` is 0. With ``beta = 0`` this is ALI-G without momentum, with
    ``max_lr = lr`` and ``eps = 0``.

    Args:
        params: parameters, or groups of them with their own ``lr`` and ``weight_decay``.
        lr: cap of the step size, positive; infinity for no cap.
        weight_decay: factor of the (decoupled) weight decay.
        beta: decay of the averages, in [0, 1).
        lb: lower bound of the loss.
        bias_correction: start the averages at 0 and correct for it.
        use_fstar: estimate the lower bound while training (``lb`` is then its lowest value).
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Schaipp, Ohana, Eickenberg, Defazio, Gower: MoMo: Momentum Models for Adaptive Learning
        Rates, ICML 2024.

    Example:
        >>> import torch
        >>> w = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> optimizer = Momo([w], lr=10.0)
        >>> loss = w.norm()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> round(optimizer.step_size, 3)
        5.0
    """

    shared = (*_Momo.shared, "beta", "bias_correction")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        weight_decay: float = 0.0,
        beta: float = 0.9,
        lb: float = 0.0,
        bias_correction: bool = False,
        use_fstar: bool = False,
        *,
        foreach: bool | None = None,
    ) -> None:
        defaults = checked(
            lr=lr,
            weight_decay=weight_decay,
            beta=beta,
            lb=lb,
            bias_correction=bias_correction,
            use_fstar=use_fstar,
        )
        super().__init__(params, defaults, foreach)

    def _first_product(self, product: Scalar) -> Scalar:
        return 0.0 if self.param_groups[0]["bias_correction"] else product

    def _lower_bound(self) -> float:
        return float(self.param_groups[0]["lb"])

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        first = self.param_groups[0]
        beta, correct = first["beta"], first["bias_correction"]
        first["steps"] = k = first["steps"] + 1
        rho = 1 - beta**k if correct else 1.0
        f = self._average_loss(loss, beta, 0.0 if correct else loss)
        a: Scalar = 0.0
        q: Scalar = 0.0
        d: Scalar = 0.0
        averages = []
        for part in work:
            average = self._buffers(part, "gradient_average")
            # A parameter whose first gradient comes late starts its averages then.
            for count, d_p, g in zip(self._count(part), average, part.grads, strict=True):
                if count == 1 and not correct:
                    d_p.copy_(g)
            part.vectors.average_(average, part.grads, beta)
            averages.append(average)
            a = a + self._dot(part.params, average)
            q = q + self._average_products(part, beta)
            d = d + self._squared_norm(average)
        for part, average in zip(work, averages, strict=True):
            tau = self._tau(part.group, f, a, q, d, rho)
            part.vectors.add_(part.params, average, -tau)
            if part.group["weight_decay"]:
                scale = 1 + part.group["lr"] * part.group["weight_decay"]
                part.vectors.mul_(part.params, 1 / scale)


class MomoAdam(_Momo):
    r"""MoMo on top of Adam.

    As `Momo`, with averages that start at 0, in the norm of Adam's preconditioner ``D = eps +
    sqrt(v / (1 - beta2^k))``. With ``c = 1 - beta1^k``::

        tau = min(lr / c, max(scale (f - c lb) + <w, d> - scale q, 0) / sum(d^2 / D))
        w   = (w - tau d / D) / scale        (divide=False: (1 - lr weight_decay) w - tau d / D)

    Where the cap binds this is exactly Adam (AdamW with ``divide=False``). The step size is 0
    where ``d`` is 0.

    Args:
        params: parameters, or groups of them with their own ``lr``, ``betas``, ``eps`` and
            ``weight_decay``; the average of the loss has the first group's ``betas``.
        lr: cap of the step size, positive; infinity for no cap.
        betas: decay of the averages of gradient and loss, and of the squared gradient.
        eps: added to the root of the second moment.
        weight_decay: factor of the (decoupled) weight decay.
        lb: lower bound of the loss.
        divide: apply the weight decay as a proximal step; False: as AdamW does.
        use_fstar: estimate the lower bound while training (``lb`` is then its lowest value).
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Schaipp, Ohana, Eickenberg, Defazio, Gower: MoMo: Momentum Models for Adaptive Learning
        Rates, ICML 2024.

    Example:
        >>> import torch
        >>> w = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> optimizer = MomoAdam([w], lr=0.1)
        >>> loss = w.norm()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> w.detach()  # far from the minimum the cap binds: Adam's first step
        tensor([2.9000, 3.9000])
    """

    capped = "Adam"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        lb: float = 0.0,
        divide: bool = True,
        use_fstar: bool = False,
        *,
        foreach: bool | None = None,
    ) -> None:
        defaults = checked(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            lb=lb,
            divide=divide,
            use_fstar=use_fstar,
        )
        super().__init__(params, defaults, foreach)

    def _make_state(self, part: Work) -> None:
        super()._make_state(part)
        self._buffers(part, "square_average")

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        first = self.param_groups[0]
        first["steps"] = k = first["steps"] + 1
        f = self._average_loss(loss, first["betas"][0], 0.0)
        a: Scalar = 0.0
        q: Scalar = 0.0
        d: Scalar = 0.0
        directions = []
        for part in work:
            beta1, beta2 = part.group["betas"]
            average = self._buffers(part, "gradient_average")
            squares = self._buffers(part, "square_average")
            part.vectors.average_(average, part.grads, beta1)
            part.vectors.average_square_(squares, part.grads, beta2)
            corrections = [1 - beta2**count for count in self._count(part)]
            roots = part.vectors.roots(squares, corrections, part.group["eps"])
            direction = part.vectors.divide(average, roots)
            directions.append(direction)
            a = a + self._dot(part.params, average)
            q = q + self._average_products(part, beta1)
            d = d + self._dot(average, direction)
        for part, direction in zip(work, directions, strict=True):
            lr, decay = part.group["lr"], part.group["weight_decay"]
            tau = self._tau(part.group, f, a, q, d, 1 - part.group["betas"][0] ** k)
            if decay and not part.group["divide"]:
                part.vectors.mul_(part.params, 1 - lr * decay)
            part.vectors.add_(part.params, direction, -tau)
            if decay and part.group["divide"]:
                part.vectors.mul_(part.params, 1 / (1 + lr * decay))
