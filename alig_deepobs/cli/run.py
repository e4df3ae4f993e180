"""``alig-deepobs run``: trains one or more optimizers on test problems."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import MOST_SEEDS, option, run_options, study_options
from alig_deepobs.cli.output import say
from alig_deepobs.run import PURPOSES

if TYPE_CHECKING:
    from alig_deepobs.entries import OptimizerEntry
    from alig_deepobs.settings import Setting


def _json(_: click.Context, __: click.Parameter, text: str) -> dict[str, Any]:
    """Reads how a setting was chosen, as a command of --emit has it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise click.BadParameter("it is written by --emit, as a JSON object")
    return found


@click.command()
@click.argument("testproblems", nargs=-1, required=True, metavar="PROBLEM...")
@option("--optimizer", multiple=True, default=["alig"], show_default=True, metavar="SETTING",
        help="name, name[param=value,...] or package.module:Class[...]; repeatable.")  # fmt: skip
@option("--learning_rate", "--lr", type=float,
        help="The learning rate (for ALI-G: the cap max_lr).")  # fmt: skip
@option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=1, show_default=True,
        help="Repetitions, with seeds counting up from --random_seed.")  # fmt: skip
@option("--print_train_iter", is_flag=True, help="Print every logged mini-batch loss.")
@option("--no_logs", is_flag=True, help="Write no result files.")
@option("--purpose", type=click.Choice(PURPOSES), default="", hidden=True)
@option("--setting_source", default="", hidden=True)
@option("--tuning", default="{}", hidden=True, callback=_json)
@study_options()
@run_options()
def run(
    testproblems: tuple[str, ...],
    optimizer: tuple[str, ...],
    learning_rate: float | None,
    seeds: int,
    print_train_iter: bool,
    no_logs: bool,
    setting_source: str,
    tuning: dict[str, Any],
    output_dir: str,
    how: dict[str, Any],
    random_seed: int,
    problem_options: dict[str, Any],
    **options: Any,
) -> int:
    """Train optimizers on test problems and write their results.

    A run whose result is in the folder is not run again.

    \b
    Examples:
      alig-deepobs run digits_mlp
      alig-deepobs run small --optimizer 'alig[max_lr=0.1]' --optimizer adam
      alig-deepobs run mnist_2c2d --optimizer 'alig[max_lr=0.1]' --optimizer sgd --lr 0.1 -N 5
      alig-deepobs run quadratic_deep --optimizer torch.optim:RAdam[lr=0.01] --seeds 3
      alig-deepobs run quadratic_deep --framework tensorflow --optimizer alig --optimizer adam
    """  # noqa: D301 - click looks for the character itself
    from alig_deepobs.cli.progress import carry_out
    from alig_deepobs.registry import expand_names
    from alig_deepobs.run import RunSpec
    from alig_deepobs.runners.cells import Cell
    from alig_deepobs.runners.study import without_repeats
    from alig_deepobs.settings import parse_setting

    settings = [_setting(text, learning_rate, options["framework"]) for text in optimizer]
    cells = [
        Cell(
            (
                RunSpec(
                    testproblem=problem.name,
                    optimizer=setting.name,
                    hyperparams=setting.params,
                    setting_source=setting_source or _source(setting, options["purpose"]),
                    tuning=tuning,
                    problem_options={**problem_options, **problem.params},
                    **options,
                ),
            ),
            tuple(range(random_seed, random_seed + seeds)),
        )
        for problem in map(parse_setting, expand_names(testproblems))
        for setting in settings
    ]
    folder = None if no_logs else output_dir
    done = carry_out(without_repeats(cells), output_dir=folder, print_steps=print_train_iter, **how)
    if done is None:
        return 0
    if not no_logs:
        say(f"Results are in {output_dir}")
    done[1].check_failures()
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


def _source(setting: Setting, purpose: str) -> str:
    """Who chose the hyper-parameters; of a run that only serves to choose, nobody has."""
    if purpose:
        return ""
    return "given on the command line" if setting.params else "defaults"


def _setting(text: str, learning_rate: float | None, framework: str) -> Setting:
    """A setting of the command line; ``--learning_rate`` sets its main rate."""
    from alig_deepobs.errors import UsageError
    from alig_deepobs.registry import find_optimizer
    from alig_deepobs.settings import Setting, parse_setting, split_settings

    if len(split_settings(text)) > 1:
        several = " ".join(f"--optimizer {shlex.quote(part)}" for part in split_settings(text))
        raise UsageError(f"--optimizer takes one setting, not {text!r}: write {several}")
    setting = parse_setting(text)
    if learning_rate is None:
        return setting
    name = _rate(find_optimizer(setting.name, framework))
    if name in setting.params:
        raise UsageError(f"{text!r} already gives {name}: leave --learning_rate out")
    return Setting(setting.name, {name: learning_rate, **setting.params})
