"""How an experiment of the paper is written down: parts, methods, settings, grids, budgets.

A declaration is plain data. A setting is a flat dictionary: ``batch_size``, ``num_epochs`` and
``l2`` (the factor of the L2 term) belong to the run, `alig_deepobs.run.TRAINING_PARAMS` to its
schedule or its clipping, and every other name is a hyper-parameter of the optimizer or an option of
the problem.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Knobs = Mapping[str, Any]
Grid = Mapping[str, tuple[Any, ...]]

PAPER = "Berrada, Zisserman, Kumar: Training Neural Networks for and by Interpolation, ICML 2020"


class Kind(StrEnum):
    """What an experiment ends in."""

    TABLE = (
        "table"  # the setting is chosen on validation data, the accuracy is that of the test set
    )
    CURVES = "curves"  # fixed settings, the training objective over epochs
    HEAT_MAP = "heat map"  # one run for each value of the main hyper-parameter, nothing is chosen


@dataclass(frozen=True)
class PaperMethod:
    """A row of a table, a curve, or a row of a heat map.

    Attributes:
        label: its name in the paper; unique in a part.
        optimizer: its name in the registry.
        setting: what the authors chose (their released code, or else the paper's text).
        grid: the values among which they say they chose; every knob that has several. For a heat
            map, the values of the cells.
        extra: values of the heat map that the paper's text has and the released code has not.
        note: what is to be known about this row.
    """

    label: str
    optimizer: str
    setting: Knobs
    grid: Grid = field(default_factory=dict)
    extra: Grid = field(default_factory=dict)
    note: str = ""

    @property
    def key(self) -> str:
        """The label as a word of the command line.

        Example:
            >>> PaperMethod("ALI-G, no momentum", "alig", {}).key
            'ali-g-no-momentum'
        """
        words = "".join(c if c.isalnum() or c in "-^" else " " for c in self.label.lower())
        return "-".join(words.split())


@dataclass(frozen=True)
class Part:
    """One test problem of an experiment: a column of a table, or a panel of a figure.

    Attributes:
        label: its name in the paper.
        problem: its name in the registry.
        epochs: as in the paper.
        batch_size: of the methods whose setting has none.
        methods: the rows.
        published: label of a method -> the published figure (accuracies in %).
        also_published: published figures of methods that are not run here.
        seeds: runs of the chosen setting.
    """

    label: str
    problem: str
    epochs: int
    batch_size: int
    methods: Sequence[PaperMethod]
    published: Mapping[str, float] = field(default_factory=dict)
    also_published: Mapping[str, float] = field(default_factory=dict)
    seeds: int = 1


@dataclass(frozen=True)
class Budget:
    """How much of an experiment is carried out; every None leaves it as in the paper.

    Attributes:
        name: ``full``, ``short`` or ``smoke``.
        words: what is cut, for the report.
        epochs: epochs of every run.
        seeds: runs of the chosen setting.
        synthetic: whether the small synthetic twins of the data sets are used.
        released: whether the authors' choices are taken instead of a search in the grid.
        values: how many values of each knob are kept, evenly spread over its grid.
        methods: keys of the methods that are run.
        cells: key of a method -> values of its row in the heat map.
        setting: knobs that are changed for all methods.
    """

    name: str
    words: tuple[str, ...] = ()
    epochs: int | None = None
    seeds: int | None = None
    synthetic: bool = False
    released: bool = False
    values: int | None = None
    methods: tuple[str, ...] | None = None
    cells: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    setting: Knobs = field(default_factory=dict)


FULL = Budget("full")


@dataclass(frozen=True)
class Experiment:
    """A figure or a table of the paper.

    Attributes:
        name: the target of the command line.
        title: what it is.
        kind: what it ends in.
        parts: its columns or panels.
        budgets: name -> budget; ``full`` is the paper's.
        claims: what the paper says about it, one sentence each.
        differences: what is not as in the paper even with the full budget.
    """

    name: str
    title: str
    kind: Kind
    parts: Sequence[Part]
    budgets: Mapping[str, Budget]
    claims: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


def published(
    methods: Sequence[PaperMethod], figures: Sequence[float | None]
) -> dict[str, float]:  # fmt: skip
    """The published figures of methods by their labels; None: the paper has none."""
    pairs = zip(methods, figures, strict=True)
    return {method.label: figure for method, figure in pairs if figure is not None}


def settings_of(method: PaperMethod, grid: Grid | None = None) -> Iterator[dict[str, Any]]:
    """Every combination of a grid, on top of the method's setting.

    Example:
        >>> method = PaperMethod("SGD", "sgd", {"lr": 0.1, "l2": 0.0}, grid={"lr": (0.1, 1.0)})
        >>> list(settings_of(method))
        [{'lr': 0.1, 'l2': 0.0}, {'lr': 1.0, 'l2': 0.0}]
    """
    knobs = method.grid if grid is None else grid
    for values in itertools.product(*knobs.values()):
        yield {**method.setting, **dict(zip(knobs, values, strict=True))}


def spread(values: Sequence[Any], count: int | None) -> tuple[Any, ...]:
    """At most ``count`` of the values, evenly spread, the first and the last among them.

    Example:
        >>> spread((1, 2, 3, 4, 5), 3), spread((1, 2), None), spread((1, 2), 1)
        ((1, 3, 5), (1, 2), (1,))
    """
    if count is None or count >= len(values):
        return tuple(values)
    if count == 1:
        return (values[0],)
    return tuple(values[round(k * (len(values) - 1) / (count - 1))] for k in range(count))


def decades(value: float) -> tuple[float, float, float]:
    """A value and one decade to each side.

    The paper tunes learning rates over powers of ten without saying from where to where. The
    authors' choice was the best of theirs, so its neighbours are what has to be tried.

    Example:
        >>> decades(0.01)
        (0.001, 0.01, 0.1)
    """
    return float(f"{value / 10:.12g}"), value, float(f"{value * 10:.12g}")
