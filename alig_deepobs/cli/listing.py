"""``alig-deepobs list``: the test problems and optimizers."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Any

import click

from alig_deepobs.cli.output import in_columns, say
from alig_deepobs.registry import OptimizerEntry, ProblemEntry, optimizers, testproblems


@click.command("list")
@click.argument("what", type=click.Choice(["all", "problems", "optimizers"]), default="all")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def list_entries(what: str, as_json: bool) -> None:
    """List the test problems and optimizers that can be run."""
    problems = list(testproblems().values()) if what in ("all", "problems") else []
    methods = list(optimizers().values()) if what in ("all", "optimizers") else []
    if as_json:
        listing: dict[str, Any] = {}
        if what != "optimizers":
            listing["testproblems"] = [_plain(entry, "options") for entry in problems]
        if what != "problems":
            listing["optimizers"] = [_plain(entry, "hyperparameters") for entry in methods]
        say(json_module.dumps(listing, indent=2, default=str))
        return
    if problems:
        head = ("test problem", "data", "batch", "epochs", "metric", "")
        say(in_columns([head, *map(_problem_row, problems)]))
    if methods:
        if problems:
            say()
        columns = ("optimizer", "needs", "hyper-parameters (defaults)", "")
        say(in_columns([columns, *map(_optimizer_row, methods)]))


def _problem_row(entry: ProblemEntry) -> tuple[str, ...]:
    return (
        entry.name,
        entry.data_set,
        str(entry.batch_size),
        str(entry.num_epochs),
        f"test {entry.metric}",
        entry.description,
    )


def _optimizer_row(entry: OptimizerEntry) -> tuple[str, ...]:
    params = ", ".join(f"{name}={p.default}" for name, p in entry.hyperparameters.items())
    needs = {
        "nothing": "gradients",
        "value": "the loss",
        "per_example": "all losses",
        "closure": "a closure",
    }[entry.needs_loss.value]
    missing = "" if entry.is_installed else f" (needs: pip install {entry.package})"
    return entry.name, needs, params, entry.description + missing


def _plain(entry: OptimizerEntry | ProblemEntry, parameters: str) -> dict[str, Any]:
    """An entry as plain data; ``parameters`` names the attribute that declares parameters."""
    record = asdict(entry)
    for declared in record[parameters].values():
        declared["type"] = declared["type"].__name__
    return record
