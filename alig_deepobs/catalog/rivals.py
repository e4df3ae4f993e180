"""ALI-G's modern rivals: other Polyak step sizes, line search, methods without a schedule."""

from __future__ import annotations

from alig_deepobs.catalog.baselines import MOMENTUM
from alig_deepobs.entries import HyperParameter, NeedsLoss, OptimizerEntry

_BETAS = HyperParameter(tuple, (0.9, 0.999), "decay of the two moments")
_ADAM_EPS = HyperParameter(float, 1e-8, "added to the root of the second moment")
_F_MIN = HyperParameter(float, 0.0, "lower bound of the mini-batch loss")


def _lr(default: float, meaning: str = "learning rate") -> HyperParameter:
    return HyperParameter(float, default, meaning)


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
        title="MoMo",
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
        title="MoMo-Adam",
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

_OTHERS = (
    OptimizerEntry(
        name="alig_plus",
        label="AliGPlus",
        title="ALI-G+",
        factory="alig_deepobs.optimizers.alig_plus:AligPlus",
        needs_loss=NeedsLoss.PER_EXAMPLE,
        hyperparameters={
            "lr": _lr(0.1, "cap of the step size"),
            "momentum": MOMENTUM,
            "num_updates": HyperParameter(int, 5, "revisions of the approximate optimal values"),
            "alias_losses": HyperParameter(bool, False, "do as the authors' code"),
        },
        regularization="own",
        run_arguments={"data_size": "data_size", "epochs": "num_epochs"},
        citation="Paren, Poudel, Kumar: Faking Interpolation Until You Make It, TMLR 2022",
        description="ALI-G with an approximate optimal value for every training example",
    ),
    OptimizerEntry(
        name="sls",
        label="SLS",
        factory="alig_deepobs.optimizers.sls:SLS",
        needs_loss=NeedsLoss.CLOSURE,
        hyperparameters={
            "c": HyperParameter(
                float, 0.1, "Armijo's constant", low=0.01, high=0.5, minimum=0.0, maximum=0.5
            ),
            "init_step_size": HyperParameter(float, 1.0, "step size at the start"),
            "beta_b": HyperParameter(float, 0.9, "factor of a backtracking step"),
            "gamma": HyperParameter(float, 2.0, "growth of the step size per epoch"),
            "eta_max": HyperParameter(float, 10.0, "largest step size"),
        },
        run_arguments={"n_batches_per_epoch": "batches_per_epoch"},
        citation="Vaswani, Mishkin, Laradji, Schmidt, Gidel, Lacoste-Julien: Painless Stochastic "
        "Gradient, NeurIPS 2019",
        description="line search on the mini-batch; evaluates it several times in a step",
    ),
)

# Of packages that are well kept by others.
_OPTIONAL = (
    OptimizerEntry(
        name="schedulefree_sgd",
        label="ScheduleFreeSGD",
        title="Schedule-Free SGD",
        factory="schedulefree:SGDScheduleFree",
        hyperparameters={
            "lr": _lr(1.0),
            "momentum": HyperParameter(float, 0.9, "weight of the average in the gradient's point"),
            "warmup_steps": HyperParameter(int, 0, "steps of linear warm-up"),
        },
        package="schedulefree",
        citation="Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky: The Road Less Scheduled, "
        "NeurIPS 2024",
        description="SGD with averaging in place of a schedule",
    ),
    OptimizerEntry(
        name="schedulefree_adamw",
        label="ScheduleFreeAdamW",
        title="Schedule-Free AdamW",
        factory="schedulefree:AdamWScheduleFree",
        hyperparameters={
            "lr": _lr(2.5e-3),
            "betas": _BETAS,
            "warmup_steps": HyperParameter(int, 0, "steps of linear warm-up"),
        },
        package="schedulefree",
        citation="Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky: The Road Less Scheduled, "
        "NeurIPS 2024",
        description="Adam with averaging in place of a schedule",
    ),
    OptimizerEntry(
        name="prodigy",
        label="Prodigy",
        factory="prodigyopt:Prodigy",
        hyperparameters={
            "d_coef": HyperParameter(float, 1.0, "factor of the estimated step size"),
            "lr": _lr(1.0, "factor of the step size; meant to stay 1"),
            "betas": _BETAS,
            "use_bias_correction": HyperParameter(bool, False, "Adam's bias correction"),
            "safeguard_warmup": HyperParameter(bool, False, "for runs that warm up"),
        },
        package="prodigyopt",
        citation="Mishchenko, Defazio: Prodigy: An Expeditiously Adaptive Parameter-Free Learner, "
        "ICML 2024",
        description="Adam that estimates its step size from the distance covered",
    ),
)

RIVALS: tuple[OptimizerEntry, ...] = (*_POLYAK, *_OTHERS, *_OPTIONAL)
