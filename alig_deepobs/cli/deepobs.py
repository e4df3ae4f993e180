"""``alig-deepobs deepobs``: the scripts of DeepOBS 1.1.2."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from alig_deepobs.cli.options import option
from alig_deepobs.cli.output import say
from alig_deepobs.words import counted


def _without_sign(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """DeepOBS writes ``-d=folder``, which click takes for a folder named ``=folder``."""
    return (
        value.removeprefix("=") if isinstance(value, str) else [v.removeprefix("=") for v in value]
    )


@click.group()
def deepobs() -> None:
    """Run DeepOBS 1.1.2's scripts, under their own names and with their own arguments.

    \b
    Examples:
      alig-deepobs deepobs prepare_data --data_dir=data_deepobs --only=svhn
      alig-deepobs deepobs get_baselines
      alig-deepobs deepobs plot_results results --full
      alig-deepobs deepobs estimate_runtime momentum_runner.py --optimizer_args "--momentum 0.9"
    """  # noqa: D301 - click looks for the character itself
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported


@deepobs.command(
    "plot_results",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def plot_results(arguments: tuple[str, ...]) -> int:
    """Draw pictures (PDF) and tables (TeX) of a results folder, into the current one."""
    from alig_deepobs.analysis.plots import own_look
    from alig_deepobs.runners.tensorflow.scripts import run_plot_results

    try:
        with own_look():
            written = run_plot_results(arguments)
    except SystemExit as end:  # the script's own parser has said what is wrong
        return end.code if isinstance(end.code, int) else 0
    if written:
        say(f"Written: {', '.join(str(path) for path in written)}")
    return 0


@deepobs.command("prepare_data")
@option(
    "-d", "--data_dir", default="data_deepobs", show_default=True, callback=_without_sign,
    help="Folder for the files.",
)  # fmt: skip
@option(
    "-o", "--only", multiple=True, metavar="NAME", callback=_without_sign,
    help="Only this data set; may be repeated.",
)  # fmt: skip
@option(
    "-s", "--skip", multiple=True, metavar="NAME", callback=_without_sign,
    help="Not this data set; may be repeated.",
)  # fmt: skip
@option("--offline", is_flag=True, help="Never touch the network.")
def prepare_data(data_dir: str, only: tuple[str, ...], skip: tuple[str, ...], offline: bool) -> int:
    """Write the data sets as the files that DeepOBS 1.1.2 reads.

    What `alig-deepobs data` has, in DATA_DIR or in the cache, is taken; what is missing is
    downloaded.
    """
    from alig_deepobs.errors import DataError
    from alig_deepobs.testproblems.datasets.prepare import prepare, prepared

    failed = False
    for name in prepared(only, skip):
        try:
            say(f"{name}: {prepare(name, Path(data_dir), offline)}")
        except DataError as error:  # the others may be there
            say(f"Error: {error}", err=True)
            failed = True
    return int(failed)


@deepobs.command("get_baselines")
@option(
    "-d", "--data_dir", default="baselines_deepobs", show_default=True, callback=_without_sign,
    help="Folder for the results.",
)  # fmt: skip
def get_baselines(data_dir: str) -> None:
    """Write DeepOBS's published runs, which come with this package, as a results folder.

    `plot_results` finds them in the default folder, and `report` reads them like any results.
    """
    from alig_deepobs.baselines.committed import write_published

    count = write_published(Path(data_dir))
    written = f"{counted(count, 'run')} written to {data_dir}"
    say(written if count else f"{data_dir}: all runs are there")


@deepobs.command("estimate_runtime")
@click.argument("run_script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@option("--test_problem", default="mnist_mlp", show_default=True, help="What both run on.")
@option("--data_dir", default="data_deepobs", show_default=True, help="DeepOBS's data files.")
@option("--batch_size", "--bs", default=128, show_default=True)
@option("--learning_rate", "--lr", default=1e-5, show_default=True, help="Of both.")
@option("-N", "--num_epochs", default=3, show_default=True, type=click.IntRange(min=1))
@option("--num_runs", default=5, show_default=True, type=click.IntRange(min=1))
@option("--saveto", type=click.Path(file_okay=False, path_type=Path), help="Folder for a summary.")
@option("--optimizer_args", default="", help="Further arguments of the script, as one text.")
def estimate_runtime(run_script: Path, saveto: Path | None, **options: object) -> None:
    """Time a run script of TensorFlow against SGD, each in processes of its own.

    What a process takes to start, and the evaluation before training, is measured with runs of no
    epoch and subtracted.
    """
    from alig_deepobs.files import write_text_atomically
    from alig_deepobs.runners.tensorflow.scripts import time_script

    text = time_script(run_script, **options)  # type: ignore[arg-type]
    say(text)
    if saveto is not None:
        write_text_atomically(saveto / f"runtime_{run_script.stem}.txt", f"{text}\n")
