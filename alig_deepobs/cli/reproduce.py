"""``alig-deepobs reproduce``: a figure or a table of the paper as one command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from alig_deepobs.cli.options import field_options, option, study_options
from alig_deepobs.cli.output import say, say_table
from alig_deepobs.reproduce.targets import TARGETS, THEORY

_TARGET_HELP = "\n".join(f"  {name:9s} {text}" for name, text in TARGETS.items())


@click.command(
    help="Reproduce a figure, a table or the theorems of ALI-G's paper.\n\n"
    f"\b\nTargets:\n{_TARGET_HELP}\n\n"
    "Ends with a table of published and measured figures, and "
    "with pictures in the style of the paper. Runs that are finished are not run again, so after "
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
@study_options("results/reproduce")
@field_options("random_seed", "data_dir", "device", "threads", "offline", "compile")
def reproduce(
    target: str,
    budget: str,
    settings: str | None,
    methods: str,
    changes: tuple[str, ...],
    output_dir: str,
    how: dict[str, Any],
    **options: Any,
) -> int:
    """See the help text above."""
    from alig_deepobs.errors import UsageError, unknown_choice

    if target not in TARGETS:
        raise unknown_choice("target", target, TARGETS)
    folder = Path(output_dir) / target
    if target in THEORY:
        if methods or changes or settings:
            raise UsageError(f"{target} trains nothing: leave out --methods, --set and --settings")
        return _theory(target, folder, how["dry_run"])

    from alig_deepobs.cli.progress import carry_out
    from alig_deepobs.reproduce.experiments import EXPERIMENTS
    from alig_deepobs.reproduce.plan import change_budget, make_plan
    from alig_deepobs.run import RunSpec
    from alig_deepobs.runners.startup import prepare_process

    prepare_process()
    experiment = EXPERIMENTS[target]
    chosen = change_budget(experiment.budgets[budget], settings, changes)
    keys = [word.strip() for word in methods.split(",") if word.strip()]
    plan = make_plan(experiment, chosen, RunSpec(testproblem="", optimizer="", **options), keys)
    say(f"{plan}\n")
    folder = folder / budget
    done = carry_out(plan.cells, output_dir=str(folder), **how)
    if done is None:
        return 0

    from alig_deepobs.reproduce.report import write_report

    outcomes, display = done
    table, written = write_report(plan, outcomes, folder)
    say_table(table)
    say(f"Results are in {folder}; written: {', '.join(path.name for path in written)}")
    display.check_failures()
    return 0


def _theory(target: str, folder: Path, dry_run: bool) -> int:
    """Figures 1 and 2 and the theorems: seconds, whatever the budget."""
    if dry_run:
        say(f"{target} trains nothing: it takes seconds, whatever the budget")
        return 0

    from alig_deepobs.files import check_writable
    from alig_deepobs.reproduce.theory.claims import violated
    from alig_deepobs.reproduce.theory.demonstrate import demonstrate

    check_writable(folder)
    claims, written = demonstrate(target, folder)
    for claim in claims:
        say(str(claim))
    bad = violated(claims)
    say(f"{len(claims) - len(bad)} of {len(claims)} statements hold")
    say(f"Written to {folder}: {', '.join(path.name for path in written)}")
    return 1 if bad else 0
