"""``alig-deepobs table``: one table over several problems, ready for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from alig_deepobs.cli.options import option
from alig_deepobs.cli.output import say, say_skipped, say_table

_FORMATS = ("text", "markdown", "latex", "csv")


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...",
                type=click.Path(file_okay=False))  # fmt: skip
@option("--format", type=click.Choice(_FORMATS), default="text", show_default=True,
        help="LaTeX needs booktabs; CSV has all numbers in full precision.")  # fmt: skip
@option("--output", "-o", type=click.Path(dir_okay=False), metavar="FILE",
        help="Write it into a file instead of printing it.")  # fmt: skip
@option("--columns", type=click.Choice(("problems", "optimizers")),
        help="What stands side by side; by default the fewer of the two.")  # fmt: skip
@option("--spread", type=click.Choice(("interval", "deviation", "none")), default="interval",
        show_default=True, help="What stands beside a mean: its 95 % interval, or the standard "
        "deviation over seeds.")  # fmt: skip
@option("--bold", type=click.Choice(("best", "tied", "none")), default="tied", show_default=True,
        help="What is set off: the best of each problem, or all that the seeds do not tell from "
        "it.")  # fmt: skip
@option("--digits", type=click.IntRange(min=0, max=12), metavar="N",
        help="Decimals of accuracies in percent, significant digits of losses; by default what the "
        "interval can carry.")  # fmt: skip
@option("--optimizers", metavar="LIST", default="",
        help="Only these, in this order; all by default.")  # fmt: skip
@option("--problems", metavar="LIST", default="",
        help="Only these, in this order; all by default.")  # fmt: skip
@option("--names", metavar="NAME=TEXT,...", multiple=True,
        help="How to call an optimizer or a problem: 'mine=Our method,mnist_mlp=MNIST'; "
        "repeatable.")  # fmt: skip
@option("--aggregates", is_flag=True,
        help="Also the mean rank and the interquartile mean of normalised scores.")  # fmt: skip
def table(
    folders: tuple[str, ...],
    format: str,
    output: str | None,
    columns: Any,
    spread: Any,
    bold: Any,
    digits: int | None,
    optimizers: str,
    problems: str,
    names: tuple[str, ...],
    aggregates: bool,
) -> int:
    """One table of problems and optimizers, ready for a paper.

    Each entry is the mean of the final test accuracy in percent, or of the test loss. Of several
    settings of an optimizer the best one counts, as in `alig-deepobs report`. Exit code 1 if a
    file was skipped.

    \b
    Examples:
      alig-deepobs table results
      alig-deepobs table results --format latex -o table.tex --spread deviation
      alig-deepobs table results --columns optimizers --names 'mine=Ours' --bold best
    """  # noqa: D301 - click looks for the character itself
    from alig_deepobs.analysis.render import to_csv, to_latex, to_markdown, to_text
    from alig_deepobs.analysis.report import build_report
    from alig_deepobs.analysis.report.across import Style, across_table
    from alig_deepobs.files import write_text_atomically

    report = build_report(folders)
    style = Style(columns, spread, bold, digits, _names(names))
    found = across_table(report, style, _list(optimizers), _list(problems), aggregates)
    renders = {"text": to_text, "markdown": to_markdown, "latex": to_latex, "csv": to_csv}
    render = renders[format]
    if output is not None:
        write_text_atomically(Path(output), render(found))
        say(f"written: {output}")
    elif render is to_text:
        say_table(found)
    else:
        say(render(found).removesuffix("\n"))
    return say_skipped(report.skipped)


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _names(given: tuple[str, ...]) -> dict[str, str]:
    """Reads ``NAME=TEXT,...``."""
    found = {}
    for pair in (pair for texts in given for pair in _list(texts)):
        name, equals, text = pair.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise click.BadParameter(f"{pair!r} is not of the form NAME=TEXT", param_hint="--names")
        found[name.strip()] = text.strip()
    return found
