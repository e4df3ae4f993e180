"""Table 3 and Figure 4: CIFAR-10 and CIFAR-100 with a Wide ResNet 40-4 and a DenseNet 40-40."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alig_deepobs.reproduce.declare import (
    FULL,
    Budget,
    Experiment,
    Kind,
    PaperMethod,
    Part,
    decades,
    published,
)

FRACTIONS = (0.015, 0.15)
SCALED = "SGD's schedule scaled to the epochs"


@dataclass(frozen=True)
class _Network:
    """What a network's settings have in common.

    Attributes:
        batch_sizes: the grid.
        l2: the grid.
        epochs: as in the paper.
        sgd: SGD's hand-made setting.
    """

    batch_sizes: tuple[int, ...]
    l2: tuple[float, ...]
    epochs: int
    sgd: Mapping[str, object]


WRN = _Network(
    batch_sizes=(128, 256, 512),
    l2=(1e-4, 5e-4),
    epochs=200,
    sgd={
        "batch_size": 128,
        "l2": 5e-4,
        "lr_sched_epochs": (60, 120, 160),
        "lr_sched_factors": (0.2, 0.04, 0.008),
    },
)
DENSENET = _Network(
    batch_sizes=(64, 128, 256),
    l2=(1e-4,),
    epochs=300,
    sgd={
        "batch_size": 64,
        "l2": 1e-4,
        "lr_sched_epochs": (150, 225),
        "lr_sched_factors": (0.1, 0.01),
    },
)


def _adaptive(
    network: _Network, label: str, optimizer: str, batch_size: int, rate: float = 1e-3
) -> PaperMethod:
    """AMSGrad and Yogi."""
    return PaperMethod(
        label,
        optimizer,
        {"lr": rate, "batch_size": batch_size, "l2": 1e-4},
        grid={"lr": decades(rate), "batch_size": network.batch_sizes, "l2": network.l2},
    )


def _adamw(network: _Network, batch_size: int, decay: float) -> PaperMethod:
    decays = tuple(sorted({1e-4, 1e-3, 1e-2, decay}))
    return PaperMethod(
        "AdamW",
        "adamw",
        {"lr": 1e-3, "batch_size": batch_size, "weight_decay": decay, "l2": 0.0},
        grid={"lr": decades(1e-3), "batch_size": network.batch_sizes, "weight_decay": decays},
        note="decoupled weight decay",
    )


def _dfw(network: _Network, batch_size: int, rate: float, l2: float) -> PaperMethod:
    setting = {"lr": rate, "momentum": 0.9, "batch_size": batch_size, "l2": l2}
    return PaperMethod(
        "DFW",
        "dfw",
        {**setting, "loss": "smooth_hinge"},
        grid={"lr": decades(rate), "batch_size": network.batch_sizes, "l2": network.l2},
        note="smoothed hinge loss",
    )


def _l4(
    network: _Network, label: str, optimizer: str, batch_size: int, fraction: float, l2: float
) -> PaperMethod:
    return PaperMethod(
        label,
        optimizer,
        {"fraction": fraction, "batch_size": batch_size, "l2": l2},
        grid={"fraction": FRACTIONS, "batch_size": network.batch_sizes, "l2": network.l2},
    )


def _alig(
    network: _Network, batch_size: int, cap: float, radius: float, note: str = ""
) -> PaperMethod:  # fmt: skip
    return PaperMethod(
        "ALI-G",
        "alig",
        {"max_lr": cap, "momentum": 0.9, "batch_size": batch_size, "max_norm": radius},
        grid={"max_lr": (0.1, 1.0), "batch_size": network.batch_sizes},
        note=note,
    )


def _sgd(network: _Network) -> PaperMethod:
    return PaperMethod(
        "SGD",
        "nesterov",
        {"lr": 0.1, "momentum": 0.9, **network.sgd},
        note="hand-made schedule, not tuned",
    )


def _part(
    label: str,
    problem: str,
    network: _Network,
    methods: Sequence[PaperMethod],
    figures: Sequence[float],
    **also_published: Mapping[str, float],
) -> Part:
    of = published(methods, figures)
    epochs, batch_size = network.epochs, network.batch_sizes[0]
    return Part(label, problem, epochs, batch_size, methods, of, seeds=3, **also_published)


_RADIUS_NOTE = "radius 80 as in the paper; the released code has 75"

TABLE_3 = Experiment(
    name="table3",
    title="Table 3: test accuracy on CIFAR-10 and CIFAR-100",
    kind=Kind.TABLE,
    parts=(
        _part(
            "CIFAR-10, WRN-40-4",
            "cifar10_wrn404_alig",
            WRN,
            (
                _adaptive(WRN, "AMSGrad", "amsgrad", 512),
                _adamw(WRN, 128, 1e-3),
                _adaptive(WRN, "Yogi", "yogi", 128),
                _dfw(WRN, 512, 1.0, 1e-4),
                _l4(WRN, "L4Adam", "l4adam", 128, 0.015, 1e-4),
                _l4(WRN, "L4Mom", "l4mom", 128, 0.15, 1e-4),
                _alig(WRN, 256, 1.0, 100.0),
                _sgd(WRN),
            ),
            (90.8, 92.1, 91.2, 94.2, 90.5, 91.6, 95.2, 95.3),
            also_published={"SGD (Zagoruyko & Komodakis)": 95.4},
        ),
        _part(
            "CIFAR-10, DN-40-40",
            "cifar10_densenet4040_alig",
            DENSENET,
            (
                _adaptive(DENSENET, "AMSGrad", "amsgrad", 128),
                _adamw(DENSENET, 64, 1e-4),
                _adaptive(DENSENET, "Yogi", "yogi", 64),
                _dfw(DENSENET, 64, 0.1, 1e-4),
                _l4(DENSENET, "L4Adam", "l4adam", 256, 0.15, 1e-4),
                _l4(DENSENET, "L4Mom", "l4mom", 64, 0.15, 1e-4),
                _alig(DENSENET, 64, 0.1, 80.0, _RADIUS_NOTE),
                _sgd(DENSENET),
            ),
            (91.7, 92.6, 92.1, 94.6, 90.8, 91.9, 95.0, 95.1),
        ),
        _part(
            "CIFAR-100, WRN-40-4",
            "cifar100_wrn404_alig",
            WRN,
            (
                _adaptive(WRN, "AMSGrad", "amsgrad", 128),
                _adamw(WRN, 128, 5e-4),
                _adaptive(WRN, "Yogi", "yogi", 128),
                _dfw(WRN, 256, 0.1, 5e-4),
                _l4(WRN, "L4Adam", "l4adam", 512, 0.015, 1e-4),
                _l4(WRN, "L4Mom", "l4mom", 512, 0.015, 5e-4),
                _alig(WRN, 128, 0.1, 100.0),
                _sgd(WRN),
            ),
            (68.7, 69.6, 68.7, 76.0, 61.7, 61.4, 75.8, 77.8),
            also_published={"SGD (Zagoruyko & Komodakis)": 78.8},
        ),
        _part(
            "CIFAR-100, DN-40-40",
            "cifar100_densenet4040_alig",
            DENSENET,
            (
                _adaptive(DENSENET, "AMSGrad", "amsgrad", 64),
                _adamw(DENSENET, 64, 1e-2),
                _adaptive(DENSENET, "Yogi", "yogi", 64),
                _dfw(DENSENET, 64, 0.1, 1e-4),
                _l4(DENSENET, "L4Adam", "l4adam", 256, 0.015, 1e-4),
                _l4(DENSENET, "L4Mom", "l4mom", 256, 0.015, 1e-4),
                _alig(DENSENET, 256, 0.1, 75.0),
                _sgd(DENSENET),
            ),
            (69.4, 69.5, 69.6, 73.2, 60.5, 62.6, 76.3, 76.3),
        ),
    ),
    budgets={
        "full": FULL,
        "short": Budget(
            "short",
            words=("10 epochs instead of 200 or 300", "1 seed instead of 3",
                   "the authors' choices, no search", SCALED),
            epochs=10,
            seeds=1,
            released=True,
        ),
        "smoke": Budget(
            "smoke",
            words=("1 epoch instead of 200 or 300", "1 seed instead of 3",
                   "2 methods, 2 values of ALI-G's cap", SCALED),
            epochs=1,
            seeds=1,
            synthetic=True,
            values=2,
            methods=("ali-g", "sgd"),
            setting={"batch_size": 16},
        ),
    },
    claims=(
        "ALI-G is within 2 points of SGD with a schedule on all four, and within 0.1 on three.",
        "The other methods without a schedule are far behind, but for DFW.",
    ),
    differences=(
        "Rates: the authors' choice and a decade to each side (the paper says powers of ten).",
        "The setting is chosen with a seed of its own, and then run anew for the table.",
        "SGD's mini-batch size and L2 factor are the authors' choice, not searched for; the paper "
        "searches for both.",
        "The released code never passes L4's fraction, so that it is 0.15 there; here it is the "
        "paper's.",
    ),
)  # fmt: skip


def _curve(label: str, optimizer: str, note: str = "", **setting: object) -> PaperMethod:
    return PaperMethod(label, optimizer, {"l2": 0.0, **setting}, note=note)


def _objective_part(
    label: str, problem: str, network: _Network, batch_size: int, sgd: float, cap: float
) -> Part:
    text = "diverges in the paper; its setting is not stated, so the recommended one"
    return Part(
        label=label,
        problem=problem,
        epochs=network.epochs,
        batch_size=batch_size,
        methods=(
            _curve("SGD", "nesterov", "constant rate", lr=sgd, momentum=0.9),
            _curve("Adagrad", "adagrad", lr=0.1),
            _curve("Adam", "adam", lr=1e-3),
            _curve("ALI-G", "alig", "no projection", max_lr=cap, momentum=0.9, max_norm=None),
            _curve("L4Adam", "l4adam", text, fraction=0.15),
            _curve("L4Mom", "l4mom", text, fraction=0.15),
        ),
    )


FIGURE_4 = Experiment(
    name="fig4",
    title="Figure 4: training objective on CIFAR-100, no regularization",
    kind=Kind.CURVES,
    parts=(
        _objective_part("CIFAR-100, WRN-40-4", "cifar100_wrn404_alig", WRN, 128, 0.1, 1.0),
        _objective_part(
            "CIFAR-100, DN-40-40", "cifar100_densenet4040_alig", DENSENET, 64, 0.01, 0.1
        ),
    ),
    budgets={
        "full": FULL,
        "short": Budget("short", words=("20 epochs instead of 200 or 300",), epochs=20),
        "smoke": Budget(
            "smoke",
            words=("2 epochs instead of 200 or 300", "2 of 6 methods"),
            epochs=2,
            synthetic=True,
            methods=("sgd", "ali-g"),
            setting={"batch_size": 16},
        ),
    },
    claims=(
        "ALI-G's final objective is about ten times lower than that of the best other method.",
        "L4Adam and L4Mom diverge.",
    ),
    differences=("The curve is the running mean of the mini-batch losses of an epoch.",),
)
