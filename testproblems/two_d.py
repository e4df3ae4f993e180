"""Classical functions of two variables with linear noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.generated import two_d
from alig_deepobs.testproblems.families import ClosedForm
from alig_deepobs.testproblems.models.two_d import TwoD, beale, branin, rosenbrock


class _TwoDProblem(ClosedForm):
    """Functions of two variables.

    Data: 10,000 standard normal pairs ``(x, y)``; the test set is all zeros, which gives the
        function without noise.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: no; the minimum is 0 without noise, but single losses may be negative.
    """

    start: ClassVar[tuple[float, float]]
    function: ClassVar[staticmethod[[Tensor, Tensor], Tensor]]

    def load_data(self) -> DataSet:
        """Draws the noise."""
        return two_d(synthetic=self.synthetic)

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the function; nothing is drawn."""
        function: Callable[[Tensor, Tensor], Tensor] = self.function
        return TwoD(function, self.start)


class two_d_rosenbrock(_TwoDProblem):
    """Rosenbrock's function with linear noise.

    Network: two variables, ``u`` and ``v``, started at -0.5 and 1.5.
    Loss: ``(1 - u)^2 + 100 (v - u^2)^2 + u x + v y``; at the start 158.5 on the test set.
    """

    start = (-0.5, 1.5)
    function = staticmethod(rosenbrock)


class two_d_beale(_TwoDProblem):
    """Beale's function with linear noise.

    Network: two variables, ``u`` and ``v``, started at -4.5 and 4.5.
    Loss: ``(1.5 - u + u v)^2 + (2.25 - u + u v^2)^2 + (2.625 - u + u v^3)^2 + u x + v y``; at the
        start 169,680.83 on the test set.
    """

    start = (-4.5, 4.5)
    function = staticmethod(beale)


class two_d_branin(_TwoDProblem):
    """Branin's function with linear noise.

    Network: two variables, ``u`` and ``v``, started at 2.5 and 12.5.
    Loss: ``(v - 5.1 u^2 / (4 pi^2) + 5 u / pi - 6)^2 + 10 (1 - 1 / (8 pi)) cos(u) + 10 + u x +
        v y``; at the start 95.8447 on the test set.
    Interpolation: no; the minimum is 0.398 without noise, and single losses may be negative.
    """

    start = (2.5, 12.5)
    function = staticmethod(branin)
