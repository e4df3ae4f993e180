"""ALI-G and the benchmark's three baselines: SGD, Momentum and Adam."""

from __future__ import annotations

from alig_deepobs.entries import HyperParameter, NeedsLoss, OptimizerEntry

ALIG = "Berrada, Zisserman, Kumar: Training Neural Networks for and by Interpolation, ICML 2020"

# torch's fastest kernels, so that times compare methods, not implementations.
_FUSED = {"fused": True}

_TF_TRAIN = "tensorflow:compat.v1.train"

_LR = HyperParameter(float, 1e-3, "learning rate")
MOMENTUM = HyperParameter(
    float, 0.9, "Nesterov momentum, 0 to turn it off", low=0.0, high=0.99, log=False
)

BASELINES = (
    OptimizerEntry(
        name="alig",
        label="AliG",
        title="ALI-G",
        factory="alig_deepobs.optimizers.alig:AliG",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "max_lr": HyperParameter(float, 0.1, "cap of the step size; None: no cap", True),
            "momentum": MOMENTUM,
            "eps": HyperParameter(float, 1e-5, "added to the squared gradient norm"),
            "adjusted_momentum": HyperParameter(bool, False, "step size outside the velocity"),
            "f_min": HyperParameter(float, 0.0, "lower bound of the mini-batch loss"),
            "max_norm": HyperParameter(float, None, "radius of the ball; None: no ball", True),
        },
        regularization="ball",
        tensorflow_factory="alig_deepobs.tensorflow:AliG",
        citation=ALIG,
        description="Polyak step size from the mini-batch loss, capped (adaptive, no schedule)",
    ),
    OptimizerEntry(
        name="sgd",
        label="SGD",
        factory="torch.optim:SGD",
        hyperparameters={"lr": HyperParameter(float, 1e-3, "learning rate", low=1e-3, high=10.0)},
        options=_FUSED,
        tensorflow_factory=f"{_TF_TRAIN}.GradientDescentOptimizer",
        citation="Robbins, Monro: A Stochastic Approximation Method, 1951",
        description="plain stochastic gradient descent, constant learning rate",
    ),
    OptimizerEntry(
        name="momentum",
        label="Momentum",
        factory="torch.optim:SGD",
        hyperparameters={
            "lr": HyperParameter(float, 1e-3, "learning rate", low=1e-4, high=1.0),
            "momentum": HyperParameter(
                float, 0.9, "momentum (heavy ball)", low=0.0, high=0.99, log=False
            ),
            "nesterov": HyperParameter(bool, False, "Nesterov's form"),
        },
        options=_FUSED,
        tensorflow_factory=f"{_TF_TRAIN}.MomentumOptimizer",
        tensorflow_names={"nesterov": ("use_nesterov",)},
        citation="Polyak: Some methods of speeding up the convergence of iteration methods, 1964",
        description="SGD with heavy-ball momentum, constant learning rate",
    ),
    OptimizerEntry(
        name="adam",
        label="Adam",
        factory="torch.optim:Adam",
        hyperparameters={
            "lr": _LR,
            "betas": HyperParameter(tuple, (0.9, 0.999), "decay of the two moments"),
            "eps": HyperParameter(float, 1e-8, "added to the root of the second moment"),
        },
        options=_FUSED,
        tensorflow_factory=f"{_TF_TRAIN}.AdamOptimizer",
        tensorflow_names={"betas": ("beta1", "beta2"), "eps": ("epsilon",)},
        citation="Kingma, Ba: Adam, ICLR 2015",
        description="adaptive moments, constant learning rate",
    ),
)
