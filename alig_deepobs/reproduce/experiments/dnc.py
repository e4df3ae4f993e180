"""Figure 3: the differentiable neural computer, and how much its optimizers ask of their rate."""

from __future__ import annotations

from alig_deepobs.reproduce.declare import FULL, Budget, Experiment, Kind, PaperMethod, Part

# The released script: {1, 3} x 10^k for k = -4 ... 1; the paper's text: powers of ten to 1e4.
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0, 30.0)
RATES_OF_TEXT = (1e2, 1e3, 1e4)
CAPS = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, None)  # None: no cap
CAPS_OF_TEXT = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
FRACTIONS = tuple(round(0.05 * k, 2) for k in range(1, 20))

# The gradient is clipped for every method whose step is not computed from the loss.
CLIPPED = {"clip_norm": 50.0}


def _baseline(label: str, optimizer: str, **setting: float) -> PaperMethod:
    return PaperMethod(
        label,
        optimizer,
        {**CLIPPED, **setting},
        grid={"lr": RATES},
        extra={"lr": RATES_OF_TEXT},
    )


METHODS = (
    PaperMethod(
        "ALI-G",
        "alig",
        {"momentum": 0.0, "eps": 0.0},
        grid={"max_lr": CAPS},
        extra={"max_lr": CAPS_OF_TEXT},
        note="the last value is no cap",
    ),
    _baseline("RMSProp", "rmsprop_tf1"),
    PaperMethod("L4Adam", "l4adam", {}, grid={"fraction": FRACTIONS}),
    PaperMethod("L4Mom", "l4mom", {}, grid={"fraction": FRACTIONS}),
    _baseline("Adam", "adam"),
    _baseline("Adagrad", "adagrad", initial_accumulator_value=0.1),
    _baseline("SGD", "sgd"),
    _baseline("SGD with momentum", "momentum", momentum=0.9),
)

_SHORT_RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_SHORT_FRACTIONS = (0.05, 0.25, 0.5, 0.75, 0.95)
_SHORT = {
    "ali-g": (1e-2, 1.0, 1e2, 1e4, 1e6, None),
    "l4adam": _SHORT_FRACTIONS,
    "l4mom": _SHORT_FRACTIONS,
}

FIGURE_3 = Experiment(
    name="fig3",
    title="Figure 3: final objective of a DNC on repeat-copy for each value of the rate",
    kind=Kind.HEAT_MAP,
    parts=(
        Part(
            label="DNC, repeat-copy",
            problem="dnc_copy",
            epochs=100,  # of 100 iterations
            batch_size=16,
            methods=METHODS,
            published={"ALI-G": 4e-8},
        ),
    ),
    budgets={
        "full": FULL,
        "short": Budget(
            "short",
            words=(
                "2,000 iterations instead of 10,000",
                "5 or 6 values a method: rates 1e-4 to 10 a decade apart, ALI-G's caps 1e-2 to 1e6 "
                "two decades apart and no cap, fractions 0.05 to 0.95",
            ),
            epochs=20,
            cells={method.key: _SHORT.get(method.key, _SHORT_RATES) for method in METHODS},
        ),
        "smoke": Budget(
            "smoke",
            words=("100 iterations instead of 10,000", "2 or 3 values for each of 5 methods"),
            epochs=1,
            methods=("ali-g", "adam", "sgd", "rmsprop", "l4adam"),
            cells={
                "ali-g": (1e-2, 1e4, None),
                "adam": (1e-3, 1.0),
                "sgd": (1e-2, 1e3),
                "rmsprop": (1e-3, 1.0),
                "l4adam": (0.15, 0.95),
            },
        ),
    },
    claims=(
        "ALI-G is accurate for caps from 0.1 to 1e6, and among the best, with 4e-8; the paper "
        "calls no difference between the best significant.",
        "RMSProp, L4Adam and L4Mom are accurate and robust, too; SGD, SGD with momentum and Adam "
        "depend on the rate.",
    ),
    differences=(
        "PyTorch instead of TensorFlow 1; the random mini-batches are others, and seeded.",
        "Final objective: mean loss of the last 100 iterations (the paper does not say which).",
        "L4's fraction lies between 0 and 1, so its ranges cannot span many decades; the share of "
        "good values says more.",
        "The smallest possible objective is 3.35e-8, because logits are clipped at 20.",
        "Above the largest step size that is ever computed a cap never binds: decades there cost "
        "ALI-G nothing, and are the same method.",
        "RMSProp's second moment starts at 1 with epsilon 1e-10, as TensorFlow 1 has it.",
    ),
)
