"""``alig-deepobs run``: trains one or more optimizers on test problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import option, run_options

if TYPE_CHECKING:
    from alig_deepobs.registry import OptimizerEntry


@click.command()
@click.argument("testproblems", nargs=-1, required=True, metavar="PROBLEM...")
@option("--optimizer", multiple=True, default=["alig"], show_default=True, metavar="SETTING",
        help="name, name[param=value,...] or package.module:Class[...]; repeatable.")  # fmt: skip
@option("--learning_rate", "--lr", type=float,
        help="The learning rate (for ALI-G: the cap max_lr).")  # fmt: skip
@option("--seeds", type=click.IntRange(min=1), default=1, show_default=True,
        help="Repetitions, with seeds counting up from --random_seed.")  # fmt: skip
@option("--split", type=click.Choice(["full", "validation"]),
        help="validation: hold out a part of the training data; by default the problem's (DeepOBS: "
        "full).")  # fmt: skip
@option("--keep_best", type=click.Path(file_okay=False), metavar="DIR",
        help="Keep the weights of the epoch with the best validation accuracy there.")  # fmt: skip
@option("--print_train_iter", is_flag=True, help="Print every logged mini-batch loss.")
@option("--no_logs", is_flag=True, help="Write no result files.")
@run_options
def run(
    testproblems: tuple[str, ...],
    optimizer: tuple[str, ...],
    learning_rate: float | None,
    seeds: int,
    framework: str,
    print_train_iter: bool,
    no_logs: bool,
    output_dir: str,
    random_seed: int,
    problem_options: dict[str, Any],
    **options: Any,
) -> int:
    """Train optimizers on test problems and write their results.

    \b
    Examples:
      alig-deepobs run digits_mlp
      alig-deepobs run small --optimizer 'alig[max_lr=0.1]' --optimizer adam
      alig-deepobs run mnist_2c2d --optimizer 'alig[max_lr=0.1]' --optimizer sgd --lr 0.1 -N 5
      alig-deepobs run quadratic_deep --optimizer torch.optim:RAdam[lr=0.01] --seeds 3
      alig-deepobs run quadratic_deep --framework tensorflow --optimizer alig --optimizer adam
    """  # noqa: D301 - click looks for the character itself
    from rich.console import Console

    from alig_deepobs.cli.progress import Session, check_failures
    from alig_deepobs.registry import expand_names, find_testproblem
    from alig_deepobs.results import check_writable
    from alig_deepobs.runners.checks import check
    from alig_deepobs.runners.spec import RunSpec
    from alig_deepobs.settings import parse_setting

    settings = [_setting(text, learning_rate, framework) for text in optimizer]
    specs = [
        RunSpec(
            testproblem=find_testproblem(problem.name).name,
            optimizer=setting.name,
            hyperparams=setting.params,
            random_seed=random_seed + repetition,
            setting_source="given on the command line" if setting.params else "defaults",
            problem_options={**problem_options, **problem.params},
            framework=framework,
            **options,
        )
        for problem in map(parse_setting, expand_names(testproblems))
        for repetition in range(seeds)
        for setting in settings
    ]
    for spec in specs:
        check(spec)  # mistakes are reported before the first run starts
    if not no_logs:
        check_writable(output_dir)
    console = Console()
    with Session(len(specs), None if no_logs else output_dir, console).shown() as session:
        for spec in specs:
            session.run(spec, print_steps=print_train_iter)
    if not no_logs:
        click.echo(f"Results are in {output_dir}")
    check_failures(session)
    return 0


def _rate(entry: OptimizerEntry) -> str:
    """The hyper-parameter that ``--learning_rate`` sets."""
    from alig_deepobs.errors import UsageError

    if entry.rate is None and entry.hyperparameters:
        known = ", ".join(entry.hyperparameters)
        raise UsageError(
            f"{entry.name} has no learning rate, but {known}: leave --learning_rate out"
        )
    return entry.rate or "lr"


def _setting(text: str, learning_rate: float | None, framework: str) -> Any:
    """A setting of the command line, checked; ``--learning_rate`` sets its main rate."""
    from alig_deepobs.errors import UsageError
    from alig_deepobs.registry import resolve_optimizer
    from alig_deepobs.settings import Setting, parse_setting

    setting = parse_setting(text)
    if learning_rate is not None:
        entry, _ = resolve_optimizer(setting, framework)
        name = _rate(entry)
        if name in setting.params:
            raise UsageError(f"{text!r} already gives {name}: leave --learning_rate out")
        setting = Setting(setting.name, {name: learning_rate, **setting.params})
    resolve_optimizer(setting, framework)
    return setting
