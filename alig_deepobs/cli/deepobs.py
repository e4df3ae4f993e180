"""``alig-deepobs deepobs``: the scripts of DeepOBS 1.1.2."""

from __future__ import annotations

import os

import click

from alig_deepobs.cli.output import say


@click.command(
    "deepobs", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("script", type=click.Choice(["plot_results"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def deepobs(script: str, arguments: tuple[str, ...]) -> int:
    """Run one of DeepOBS 1.1.2's own scripts, with its own arguments.

    plot_results reads a folder of results, those of `run` and `compare` as well as DeepOBS's, and
    writes pictures (PDF) and tables (TeX) into the current folder.

    \b
    Examples:
      alig-deepobs deepobs plot_results results --full
      alig-deepobs deepobs plot_results results --plot_performance --baseline_path baselines
      alig-deepobs deepobs plot_results --help
    """  # noqa: D301 - click looks for the character itself
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
    from alig_deepobs.analysis.plots import own_look
    from alig_deepobs.runners.tensorflow.scripts import run_script

    try:
        with own_look():
            written = run_script(script, arguments)
    except SystemExit as end:  # the script's own parser has said what is wrong
        return end.code if isinstance(end.code, int) else 0
    if written:
        say(f"Written: {', '.join(str(path) for path in written)}")
    return 0
