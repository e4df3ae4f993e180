"""Planted cases: does a whole comparison, tuning included, say what is true?

    python benchmarks/planted.py same      # one method under two names: how often told apart?
    python benchmarks/planted.py better    # one that is better: how often is it found?

Each study is a `compare` under the protocol `equal`, with seeds of its own. The two methods of
`same` draw gradient noise from streams of their own, so that they are equal in distribution and in
nothing else.
"""

from __future__ import annotations

import statistics
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import click
import torch

from alig_deepobs import compare

sys.path.append(str(Path(__file__).parent))  # the classes below are named by their path


class First(torch.optim.SGD):
    """SGD with a gradient noise of 30 % from a stream that its name and the run's seed give."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        super().__init__(params, lr=lr)
        seed = torch.initial_seed() ^ zlib.crc32(type(self).__name__.encode())
        self.noise = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    scale = 0.3 * p.grad.norm() / p.numel() ** 0.5
                    p.grad += scale * torch.randn(p.shape, generator=self.noise)
        super().step(closure)


class Second(First):
    """The same method under another name."""


class Blind(First):
    """The same, but it learns nothing from four of the 64 pixels: about one point worse."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim == 2:
                    p.grad[:, 5::16] = 0.0
        super().step(closure)


@click.command(help=__doc__)
@click.argument("case", type=click.Choice(["same", "better"]))
@click.option("--studies", default=100, show_default=True)
@click.option("--seeds", default="3,10", show_default=True)
def main(case: str, studies: int, seeds: str) -> None:
    """See the module."""
    other = {"same": "Second", "better": "Blind"}[case]
    for count in map(int, seeds.split(",")):
        apart, gaps, start = 0, [], time.perf_counter()
        for number in range(studies):
            found = compare(
                "digits_logreg", f"planted:First,planted:{other}", seeds=count, num_epochs=2,
                random_seed=10_000 + 100 * number, output_dir=None,
            )  # fmt: skip
            rows = {row.label: row for row in found.leaderboard.rows}
            apart += any(row.separated for row in rows.values())
            gaps.append(100 * (rows["First"].headline.mean - rows[other].headline.mean))
        seconds = time.perf_counter() - start
        click.echo(
            f"{case}, {count} seeds: told apart in {apart} of {studies} studies; the first is "
            f"better by {statistics.fmean(gaps):.2f} points on average ({seconds:.0f} s)"
        )


if __name__ == "__main__":
    main()
