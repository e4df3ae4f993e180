"""The other optimizers of ALI-G's paper, and their modern rivals."""

from __future__ import annotations

from alig_deepobs.catalog.baselines import ALIG
from alig_deepobs.registry import HyperParameter, NeedsLoss, OptimizerEntry

# torch's fastest implementations, so that times compare methods.
_FUSED = {"fused": True}
_FOREACH = {"foreach": True}

_MOMENTUM = HyperParameter(float, 0.9, "Nesterov momentum, 0 to turn it off")
_BETAS = HyperParameter(tuple, (0.9, 0.999), "decay of the two moments")
_ADAM_EPS = HyperParameter(float, 1e-8, "added to the root of the second moment")
_EPS = HyperParameter(float, 1e-5, "added to the denominator of the step size")
_F_MIN = HyperParameter(float, 0.0, "lower bound of the mini-batch loss")


def _lr(default: float, meaning: str = "learning rate") -> HyperParameter:
    return HyperParameter(float, default, meaning)


_TORCH = (
    OptimizerEntry(
        name="nesterov",
        label="Nesterov",
        factory="torch.optim:SGD",
        hyperparameters={
            "lr": _lr(1e-3),
            "momentum": HyperParameter(float, 0.9, "momentum"),
            "nesterov": HyperParameter(bool, True, "False: heavy ball"),
        },
        options=_FUSED,
        citation="Nesterov: A method of solving a convex programming problem with convergence "
        "rate O(1/k^2), 1983; Sutskever et al., ICML 2013",
        description="SGD with Nesterov momentum, constant learning rate",
    ),
    OptimizerEntry(
        name="adagrad",
        label="Adagrad",
        factory="torch.optim:Adagrad",
        hyperparameters={
            "lr": _lr(1e-2),
            "initial_accumulator_value": HyperParameter(float, 0.0, "TensorFlow 1 has 0.1"),
            "eps": HyperParameter(float, 1e-10, "added to the root; TensorFlow 1 has 0"),
        },
        options=_FOREACH,
        citation="Duchi, Hazan, Singer: Adaptive Subgradient Methods, JMLR 2011",
        description="learning rates that fall with the sum of squared gradients",
    ),
    OptimizerEntry(
        name="amsgrad",
        label="AMSGrad",
        factory="torch.optim:Adam",
        hyperparameters={
            "lr": _lr(1e-3),
            "betas": _BETAS,
            "eps": _ADAM_EPS,
            "amsgrad": HyperParameter(bool, True, "False: Adam"),
        },
        options=_FUSED,
        citation="Reddi, Kale, Kumar: On the Convergence of Adam and Beyond, ICLR 2018",
        description="Adam with the largest second moment so far",
    ),
    OptimizerEntry(
        name="adamw",
        label="AdamW",
        factory="torch.optim:AdamW",
        hyperparameters={
            "lr": _lr(1e-3),
            "betas": _BETAS,
            "eps": _ADAM_EPS,
            "weight_decay": HyperParameter(
                float, 1e-2, "decoupled decay of all weights; None: the problem's L2 factor", True
            ),
        },
        regularization="own",
        options=_FUSED,
        citation="Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019",
        description="Adam with decoupled weight decay in place of the problem's L2 term",
    ),
    OptimizerEntry(
        name="rmsprop",
        label="RMSprop",
        factory="torch.optim:RMSprop",
        hyperparameters={
            "lr": _lr(1e-3),
            "alpha": HyperParameter(float, 0.99, "decay of the second moment"),
            "eps": HyperParameter(float, 1e-8, "added to the root of the second moment"),
            "momentum": HyperParameter(float, 0.0, "momentum"),
        },
        options=_FOREACH,
        citation="Tieleman, Hinton: Lecture 6.5, COURSERA, 2012",
        description="gradients over the root of their averaged square; torch's form",
    ),
)

_L4 = {
    "fraction": HyperParameter(float, 0.15, "part of the gap that a step is meant to close"),
    "minloss_factor": HyperParameter(float, 0.9, "how far below the smallest loss so far to aim"),
    "init_factor": HyperParameter(float, 0.75, "smallest loss so far over the first loss"),
    "minloss_forget_time": HyperParameter(float, 1000.0, "steps in which it is forgotten"),
}
_L4_PAPER = (
    "Rolinek, Martius: L4: Practical loss-based stepsize adaptation for deep learning, NeurIPS 2018"
)

_PAPER = (
    OptimizerEntry(
        name="alig_inf",
        label="AliGInf",
        factory="alig_deepobs.optimizers.alig:AliG",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "momentum": HyperParameter(float, 0.0, "Nesterov momentum"),
            "eps": HyperParameter(float, 1e-5, "added to the squared gradient norm"),
            "adjusted_momentum": HyperParameter(bool, False, "step size outside the velocity"),
            "f_min": _F_MIN,
            "max_norm": HyperParameter(float, None, "radius of the ball; None: no ball", True),
        },
        regularization="ball",
        citation=ALIG,
        description="ALI-G without the cap: nothing to tune",
    ),
    OptimizerEntry(
        name="dfw",
        label="DFW",
        factory="alig_deepobs.optimizers.dfw:DFW",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "lr": _lr(0.1, "proximal coefficient, the cap of the step size"),
            "momentum": _MOMENTUM,
            "eps": _EPS,
        },
        regularization="own",
        citation="Berrada, Zisserman, Kumar: Deep Frank-Wolfe for Neural Network Optimization, "
        "ICLR 2019",
        description="step size by a dual line search; made for the multi-class hinge loss",
    ),
    OptimizerEntry(
        name="l4adam",
        label="L4Adam",
        factory="alig_deepobs.optimizers.l4:L4Adam",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters=_L4,
        citation=_L4_PAPER,
        description="Adam's direction, step size from the gap to the smallest loss so far",
    ),
    OptimizerEntry(
        name="l4mom",
        label="L4Mom",
        factory="alig_deepobs.optimizers.l4:L4Mom",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters=_L4,
        citation=_L4_PAPER,
        description="averaged gradient, step size from the gap to the smallest loss so far",
    ),
)

_POLYAK = (
    OptimizerEntry(
        name="polyak",
        label="Polyak",
        factory="alig_deepobs.optimizers.polyak:Polyak",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={"f_star": HyperParameter(float, 0.0, "the smallest value of the loss")},
        regularization="none",
        citation="Polyak: Minimization of unsmooth functionals, 1969",
        description="Polyak's step size for a known minimum; for deterministic objectives",
    ),
    OptimizerEntry(
        name="aprox",
        label="Aprox",
        factory="alig_deepobs.optimizers.aprox:Aprox",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "lr": _lr(1.0, "cap of the first step"),
            "power": HyperParameter(float, 0.6, "the cap falls with step^-power"),
            "f_min": _F_MIN,
        },
        regularization="none",
        citation="Asi, Duchi: Stochastic (approximate) proximal point methods: convergence, "
        "optimality, and adaptivity, SIAM Journal on Optimization, 2019",
        description="Polyak step size under a cap that falls with the steps",
    ),
    OptimizerEntry(
        name="sps",
        label="SPS",
        factory="alig_deepobs.optimizers.sps:SPS",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "c": HyperParameter(float, 0.2, "divides the step size"),
            "adapt_flag": HyperParameter(
                str, "smooth_iter", "or constant: SPS_max, with eta_max and f_star"
            ),
            "init_step_size": HyperParameter(float, 1.0, "step size at the start (smooth_iter)"),
            "gamma": HyperParameter(float, 2.0, "growth of the step size per epoch (smooth_iter)"),
            "eta_max": HyperParameter(float, None, "cap (constant); None: no cap", True),
            "f_star": HyperParameter(float, 0.0, "smallest mini-batch loss (constant)"),
            "eps": HyperParameter(float, 1e-8, "added to the denominator"),
        },
        regularization="none",
        run_arguments={"n_batches_per_epoch": "batches_per_epoch"},
        citation="Loizou, Vaswani, Laradji, Lacoste-Julien: Stochastic Polyak Step-size for SGD, "
        "AISTATS 2021",
        description="stochastic Polyak step size, its growth limited",
    ),
    OptimizerEntry(
        name="momo",
        label="Momo",
        factory="alig_deepobs.optimizers.momo:Momo",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "lr": _lr(1.0, "cap of the step size"),
            "beta": HyperParameter(float, 0.9, "decay of the averages"),
            "lb": HyperParameter(float, 0.0, "lower bound of the loss"),
            "bias_correction": HyperParameter(bool, False, "start the averages at 0"),
            "use_fstar": HyperParameter(bool, False, "estimate the lower bound while training"),
        },
        regularization="own",
        citation="Schaipp, Ohana, Eickenberg, Defazio, Gower: MoMo, ICML 2024",
        description="momentum with a Polyak-type step size for the averaged model",
    ),
    OptimizerEntry(
        name="momo_adam",
        label="MomoAdam",
        factory="alig_deepobs.optimizers.momo:MomoAdam",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "lr": _lr(1e-2, "cap of the step size"),
            "betas": _BETAS,
            "eps": _ADAM_EPS,
            "lb": HyperParameter(float, 0.0, "lower bound of the loss"),
            "divide": HyperParameter(bool, True, "weight decay as a proximal step"),
            "use_fstar": HyperParameter(bool, False, "estimate the lower bound while training"),
        },
        regularization="own",
        citation="Schaipp, Ohana, Eickenberg, Defazio, Gower: MoMo, ICML 2024",
        description="Adam with a Polyak-type step size for the averaged model",
    ),
)

RIVALS: tuple[OptimizerEntry, ...] = (*_TORCH, *_PAPER, *_POLYAK)
