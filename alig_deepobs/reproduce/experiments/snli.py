"""Table 2: natural language inference on SNLI with a bidirectional LSTM."""

from __future__ import annotations

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
CLIPPED = {"clip_norm": 5.0}
REUSED = "published figure taken over from the paper on DFW"


def _reused(label: str, optimizer: str, **setting: object) -> PaperMethod:
    return PaperMethod(label, optimizer, {**CLIPPED, **setting}, note=REUSED)


# The released script clips its gradients, too; but the length of its step is lr times the loss,
# whatever the norm of the gradient is.
_BPGRAD = PaperMethod("BPGrad", "bpgrad", {"lr": 1.0, "momentum": 0.0}, note=REUSED)


def _l4(label: str, optimizer: str, fraction: float) -> PaperMethod:
    return PaperMethod(label, optimizer, {"fraction": fraction}, grid={"fraction": FRACTIONS})


def _sgd(lr: float) -> PaperMethod:
    # InferSent's schedule: 1% less after every epoch, a fifth where validation does not improve.
    return PaperMethod(
        "SGD",
        "sgd",
        {**CLIPPED, "lr": lr, "lr_decay_per_epoch": 0.99, "lr_plateau_factor": 0.2},
        note=f"schedule of InferSent; {REUSED}",
    )


_ALIG = (
    PaperMethod("ALI-G^inf", "alig_inf", {"momentum": 0.0}, note="no cap"),
    PaperMethod(
        "ALI-G",
        "alig",
        {"max_lr": 1.0, "momentum": 0.0, "max_norm": None},
        grid={"max_lr": decades(1.0)},
        note="no projection, as in the paper",
    ),
)


CROSS_ENTROPY = (
    _reused("Adagrad", "adagrad", lr=0.01),
    _reused("Adam", "adam", lr=1e-4),
    _reused("AMSGrad", "amsgrad", lr=1e-4),
    _BPGRAD,
    _l4("L4Adam", "l4adam", 0.15),
    _l4("L4Mom", "l4mom", 0.015),
    *_ALIG,
    _sgd(1.0),
)
SVM = (
    *CROSS_ENTROPY[:4],
    PaperMethod("DFW", "dfw", {"lr": 1.0, "momentum": 0.0}, note=REUSED),
    _l4("L4Adam", "l4adam", 0.015),
    _l4("L4Mom", "l4mom", 0.015),
    *_ALIG,
    _sgd(0.1),
)

TABLE_2 = Experiment(
    name="table2",
    title="Table 2: test accuracy on SNLI",
    kind=Kind.TABLE,
    parts=(
        Part(
            "cross-entropy", "snli_bilstm", 20, 64, CROSS_ENTROPY,
            published(CROSS_ENTROPY, (83.8, 84.5, 84.2, 83.6, 83.3, 83.7, 84.6, 84.8, 84.7)),
            {"SGD (Conneau et al.)": 84.5},
        ),
        Part(
            "SVM", "snli_bilstm_svm", 20, 64, SVM,
            published(SVM, (84.6, 85.0, 85.1, 84.2, 85.2, 82.5, 83.2, 84.7, 85.2, 85.2)),
        ),
    ),
    budgets={
        "full": FULL,
        "short": Budget(
            "short",
            words=("1 epoch instead of 20", "5 methods, the authors' choices, no search",
                   "64 hidden units a direction instead of 2,048"),
            epochs=1,
            released=True,
            methods=("adam", "dfw", "l4adam", "ali-g", "sgd"),
            setting={"hidden_dim": 64},
        ),
        "smoke": Budget(
            "smoke",
            words=("2 epochs instead of 20", "2 values of each grid for 5 methods",
                   "32 hidden units a direction instead of 2,048, 32 in the dense layers"),
            epochs=2,
            synthetic=True,
            values=2,
            methods=("adam", "dfw", "l4adam", "ali-g", "sgd"),
            setting={"batch_size": 16, "hidden_dim": 32, "fc_dim": 32},
        ),
    },
    claims=(
        "ALI-G is the best of the methods without a schedule on both losses, on a par with DFW for "
        "the SVM loss.",
    ),
    differences=(
        "Only ALI-G's cap and L4's fraction are searched for; the other rows have the authors' "
        "choices. The paper cross-validates the rates of these, too.",
    ),
)  # fmt: skip
