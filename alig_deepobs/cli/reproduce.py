"""``alig-deepobs reproduce``: a figure or a table of the paper as one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import option
from alig_deepobs.reproduce.targets import TARGETS, THEORY

if TYPE_CHECKING:
    from alig_deepobs.reproduce.plan import Plan

_TARGET_HELP = "\n".join(f"  {name:9s} {text}" for name, text in TARGETS.items())


@click.command(
    help="Reproduce a figure, a table or the theorems of ALI-G's paper.\n\n"
    f"\b\nTargets:\n{_TARGET_HELP}\n\n"
    "Shows the plan with its cost first. Ends with a table of published and measured figures, and "
    "with a picture in the style of the paper. Runs that are finished are not run again, so after "
    "an interrupt the same command goes on where it stopped.\n\n"
    "\b\nExamples:\n"
    "  alig-deepobs reproduce fig2\n"
    "  alig-deepobs reproduce table3 --dry_run\n"
    "  alig-deepobs reproduce fig3 --budget short --jobs 2\n"
    "  alig-deepobs reproduce table2 --budget smoke"
)
@click.argument("target")
@option("--budget", type=click.Choice(["full", "short", "smoke"]), default="full",
        show_default=True,
        help="full: the paper's runs; short: fewer epochs, for a laptop (fig3, table2) or one GPU; "
        "smoke: minutes, on synthetic data.")  # fmt: skip
@option("--dry_run", is_flag=True, help="Only show the plan and its estimated time.")
@option("--settings", type=click.Choice(["grid", "released"]),
        help="Search in the paper's grids, or take the authors' choices; by default what the "
        "budget says.")  # fmt: skip
@option("--methods", default="", metavar="LIST",
        help="Only these methods, with commas, for example ali-g,sgd.")  # fmt: skip
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a knob or an option of the test problem for all methods, for example "
    "hidden_dim=512; the report says so. Repeatable.",
)
@option("--jobs", type=click.IntRange(min=1), default=1, show_default=True,
        help="Runs at the same time, each on one thread.")  # fmt: skip
@option("--output_dir", type=click.Path(file_okay=False), default="results/reproduce",
        show_default=True, help="Folder for the results.")  # fmt: skip
@option("--data_dir", type=click.Path(file_okay=False),
        help="Folder with the data files; by default the user's cache.")  # fmt: skip
@option("-r", "--random_seed", type=int, default=42, show_default=True,
        help="Seed, or the first of several.")  # fmt: skip
@option("--device", help="cpu, cuda, cuda:1, ...; by default the GPU if there is one.")
@option("--offline", is_flag=True, help="Never touch the network.")
def reproduce(
    target: str,
    budget: str,
    dry_run: bool,
    settings: str | None,
    methods: str,
    changes: tuple[str, ...],
    jobs: int,
    output_dir: str,
    **options: Any,
) -> int:
    """See the help text above."""
    from alig_deepobs.errors import unknown_choice
    from alig_deepobs.files import check_writable
    from alig_deepobs.reproduce.experiments import find_experiment
    from alig_deepobs.reproduce.plan import change_budget, make_plan
    from alig_deepobs.run import RunSpec

    if target not in TARGETS:
        raise unknown_choice("target", target, TARGETS)
    folder = Path(output_dir) / target
    check_writable(folder)
    if target in THEORY:
        if dry_run:
            click.echo(f"{target} trains nothing: it takes seconds, whatever the budget")
            return 0
        return _theory(target, folder)
    experiment = find_experiment(target)
    chosen = change_budget(experiment.budgets[budget], settings, changes)
    keys = [word.strip() for word in methods.split(",") if word.strip()]
    base = RunSpec(testproblem="", optimizer="", **options)
    plan = make_plan(experiment, chosen, base, keys)
    return _experiment(plan, dry_run, jobs, folder / budget)


def _theory(target: str, folder: Path) -> int:
    """Figures 1 and 2 and the theorems: seconds, whatever the budget."""
    from alig_deepobs.reproduce.theory.checks import violated
    from alig_deepobs.reproduce.theory.demonstrate import demonstrate

    checks, written = demonstrate(target, folder)
    for check in checks:
        click.echo(str(check))
    bad = violated(checks)
    click.echo(f"{len(checks) - len(bad)} of {len(checks)} statements hold")
    click.echo(f"Written to {folder}: {', '.join(path.name for path in written)}")
    return 1 if bad else 0


def _experiment(plan: Plan, dry_run: bool, jobs: int, folder: Path) -> int:
    """Shows a plan, carries it out and reports."""
    from rich.console import Console

    from alig_deepobs.cli.progress import Session, check_failures
    from alig_deepobs.reproduce.carry_out import carry_out, unfinished
    from alig_deepobs.reproduce.finish import finish
    from alig_deepobs.reproduce.plan import check_data
    from alig_deepobs.reproduce.report import as_rich, as_text
    from alig_deepobs.reproduce.show import plan_text
    from alig_deepobs.reproduce.speed import Speeds

    if not dry_run:
        check_data(plan)
    left, done = unfinished(plan, folder)
    click.echo(plan_text(plan, Speeds(folder / "speed.json"), jobs, done))
    if dry_run:
        return 0
    console = Console()
    session = Session(left, str(folder), console)
    with session.shown():
        outcomes = carry_out(plan, session, folder, jobs)
    report = finish(plan, outcomes, folder)
    console.print()
    if console.is_terminal:
        console.print(as_rich(plan, outcomes, report.summary))
    else:
        click.echo(as_text(plan, outcomes, report.summary))
    click.echo(f"\nResults are in {folder}; written: {', '.join(p.name for p in report.written)}")
    check_failures(session)
    return 0
