"""The paper's experiments, declared: one module for each test problem.

The figures are the paper's (section 5 and its tables), the settings those of the authors' released
code (https://github.com/oval-group/ali-g) where it has them, the paper's text otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from alig_deepobs.reproduce.declare import Experiment
from alig_deepobs.reproduce.experiments.cifar import FIGURE_4, TABLE_3
from alig_deepobs.reproduce.experiments.dnc import FIGURE_3
from alig_deepobs.reproduce.experiments.imagenet import FIGURE_5
from alig_deepobs.reproduce.experiments.snli import TABLE_2
from alig_deepobs.reproduce.experiments.svhn import TABLE_1

EXPERIMENTS: Mapping[str, Experiment] = {
    experiment.name: experiment
    for experiment in (FIGURE_3, FIGURE_4, FIGURE_5, TABLE_1, TABLE_2, TABLE_3)
}
