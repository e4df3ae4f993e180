"""The other optimizers of ALI-G's paper."""

from __future__ import annotations

from alig_deepobs.catalog.baselines import ALIG, MOMENTUM
from alig_deepobs.entries import HyperParameter, NeedsLoss, OptimizerEntry

# torch's fastest implementations, so that times compare methods.
_FUSED = {"fused": True}
_FOREACH = {"foreach": True}

_LR = HyperParameter(float, 1e-3, "learning rate")
_BETAS = HyperParameter(tuple, (0.9, 0.999), "decay of the two moments")
_ADAM_EPS = HyperParameter(float, 1e-8, "added to the root of the second moment")
_EPS = HyperParameter(float, 1e-5, "added to the denominator of the step size")

_OF_TORCH = (
    OptimizerEntry(
        name="nesterov",
        label="Nesterov",
        factory="torch.optim:SGD",
        hyperparameters={
            "lr": HyperParameter(float, 1e-3, "learning rate", low=1e-4, high=1.0),
            "momentum": HyperParameter(float, 0.9, "momentum", low=0.0, high=0.99, log=False),
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
            "lr": HyperParameter(float, 1e-2, "learning rate"),
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
            "lr": _LR,
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
            "lr": _LR,
            "betas": _BETAS,
            "eps": _ADAM_EPS,
            "weight_decay": HyperParameter(
                float,
                1e-2,
                "decoupled decay of all weights; None: the problem's L2 factor",
                True,
                low=1e-4,
                high=1.0,
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
        title="RMSProp",
        factory="torch.optim:RMSprop",
        hyperparameters={
            "lr": _LR,
            "alpha": HyperParameter(float, 0.99, "decay of the second moment"),
            "eps": HyperParameter(float, 1e-8, "added to the root of the second moment"),
            "momentum": HyperParameter(float, 0.0, "momentum"),
        },
        options=_FOREACH,
        citation="Tieleman, Hinton: Lecture 6.5, COURSERA, 2012",
        description="gradients over the root of their averaged square; torch's form",
    ),
    OptimizerEntry(
        name="rmsprop_tf1",
        label="RMSpropTF1",
        title="RMSProp (TensorFlow 1)",
        factory="alig_deepobs.optimizers.rmsprop_tf1:RMSpropTF1",
        hyperparameters={
            "lr": _LR,
            "decay": HyperParameter(float, 0.9, "decay of the second moment"),
            "momentum": HyperParameter(float, 0.0, "momentum"),
            "eps": HyperParameter(float, 1e-10, "added to the second moment"),
        },
        citation="Tieleman, Hinton: Lecture 6.5, COURSERA, 2012",
        description="RMSProp in TensorFlow 1's form, its second moment started at 1",
    ),
)

_L4 = {
    "fraction": HyperParameter(
        float,
        0.15,
        "part of the gap that a step is meant to close",
        low=0.01,
        high=1.0,
        maximum=1.0,
    ),
    "minloss_factor": HyperParameter(float, 0.9, "how far below the smallest loss so far to aim"),
    "init_factor": HyperParameter(float, 0.75, "smallest loss so far over the first loss"),
    "minloss_forget_time": HyperParameter(float, 1000.0, "steps in which it is forgotten"),
}
_L4_PAPER = (
    "Rolinek, Martius: L4: Practical loss-based stepsize adaptation for deep learning, NeurIPS 2018"
)

_OWN = (
    OptimizerEntry(
        name="alig_inf",
        label="AliGInf",
        title="ALI-G∞",
        factory="alig_deepobs.optimizers.alig:AliG",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "momentum": HyperParameter(float, 0.0, "Nesterov momentum"),
            "eps": HyperParameter(float, 1e-5, "added to the squared gradient norm"),
            "adjusted_momentum": HyperParameter(bool, False, "step size outside the velocity"),
            "f_min": HyperParameter(float, 0.0, "lower bound of the mini-batch loss"),
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
            "lr": HyperParameter(float, 0.1, "proximal coefficient, the cap of the step size"),
            "momentum": MOMENTUM,
            "eps": _EPS,
        },
        regularization="own",
        citation="Berrada, Zisserman, Kumar: Deep Frank-Wolfe for Neural Network Optimization, "
        "ICLR 2019",
        description="step size by a dual line search; made for the multi-class hinge loss",
    ),
    OptimizerEntry(
        name="bpgrad",
        label="BPGrad",
        factory="alig_deepobs.optimizers.bpgrad:BPGrad",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters={
            "lr": HyperParameter(
                float, 0.1, "inverse Lipschitz constant; a step has the length lr * loss"
            ),
            "momentum": MOMENTUM,
            "eps": _EPS,
            "official": HyperParameter(bool, False, "without momentum, do nothing"),
        },
        citation="Zhang, Wu, Wang: BPGrad: Towards Global Optimality in Deep Learning via Branch "
        "and Pruning, CVPR 2018",
        description="a step whose length is the loss over a Lipschitz constant",
    ),
    OptimizerEntry(
        name="yogi",
        label="Yogi",
        factory="alig_deepobs.optimizers.yogi:Yogi",
        hyperparameters={
            "lr": _LR,
            "betas": _BETAS,
            "eps": _ADAM_EPS,
            "initial_accumulator": HyperParameter(float, 0.0, "start of the second moment"),
        },
        citation="Zaheer, Reddi, Sachan, Kale, Kumar: Adaptive Methods for Nonconvex Optimization, "
        "NeurIPS 2018",
        description="Adam with an additive second moment",
    ),
    OptimizerEntry(
        name="l4adam",
        label="L4Adam",
        title="L4-Adam",
        factory="alig_deepobs.optimizers.l4:L4Adam",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters=_L4,
        citation=_L4_PAPER,
        description="Adam's direction, step size from the gap to the smallest loss so far",
    ),
    OptimizerEntry(
        name="l4mom",
        label="L4Mom",
        title="L4-Mom",
        factory="alig_deepobs.optimizers.l4:L4Mom",
        needs_loss=NeedsLoss.VALUE,
        hyperparameters=_L4,
        citation=_L4_PAPER,
        description="averaged gradient, step size from the gap to the smallest loss so far",
    ),
)

PAPER_OPTIMIZERS: tuple[OptimizerEntry, ...] = (*_OF_TORCH, *_OWN)
