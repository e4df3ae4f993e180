"""The optimizers and test problems that come with the package, as plain data."""

from __future__ import annotations

from alig_deepobs.catalog.baselines import BASELINES
from alig_deepobs.catalog.deepobs_problems import DEEPOBS_PROBLEMS
from alig_deepobs.catalog.paper_optimizers import PAPER_OPTIMIZERS
from alig_deepobs.catalog.paper_problems import PAPER_PROBLEMS
from alig_deepobs.catalog.rivals import RIVALS
from alig_deepobs.entries import OptimizerEntry, ProblemEntry

OPTIMIZERS: tuple[OptimizerEntry, ...] = (*BASELINES, *PAPER_OPTIMIZERS, *RIVALS)

TESTPROBLEMS: tuple[ProblemEntry, ...] = (*DEEPOBS_PROBLEMS, *PAPER_PROBLEMS)
