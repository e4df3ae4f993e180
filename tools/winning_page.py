"""Makes docs/when-alig-wins.md from the committed results (see `tools/results_page.py`)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from scipy.stats import kendalltau

from alig_deepobs.analysis import leaderboard, to_markdown
from alig_deepobs.analysis.flags import share_at_cap
from alig_deepobs.analysis.formats import format_metric
from alig_deepobs.analysis.leaderboard import Leaderboard
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.bundles import SUFFIX, read_bundle
from alig_deepobs.registry import find_testproblem
from alig_deepobs.run import RunResult

VARIANTS = Path(__file__).resolve().parents[1] / "baselines" / "variants"
RIVALS = ("sgd", "momentum", "nesterov", "adam")
FIRST, LEVEL, BEHIND = "best mean", "level", "behind"

INTRODUCTION = """# When does ALI-G win?

Made by `python tools/results_page.py` from the runs in `baselines/measured` and
`baselines/variants`; nothing here is written by hand. All comparisons are on equal terms: protocol
`equal` with three tuning seeds, and ten seeds; on `mnist_mlp` and `fmnist_mlp` its cheaper form
`equal:7` with one tuning seed, and five seeds. Of the optimizers that were measured,
ALI-G with momentum 0.9, SGD, Momentum, Nesterov and Adam are compared here. The pieces are in
`benchmarks/campaign.toml`.
{machines}
"""

GAP = """## The gap

ALI-G's step is exact where the smallest loss is 0. The *gap* of a problem is the lowest training
loss that any of the runs here reached, as a share of the loss before training. On `two_d_*` it says
little: noise is added to the loss, which may be negative, and the loss before training is large.
*At the cap* are ALI-G's recorded steps (one in ten) whose size was `max_lr`: there it is SGD with
Nesterov momentum, and the loss plays no part. ALI-G is "{first}" where its mean is the best one;
"{behind}" where the seeds tell that another is better, and "{level}" where they tell of none
(paired t tests of ALI-G with each, Holm's correction over these; on the
[page of results](results.md) there are more optimizers, so the same runs tell less).
"""


def page(boards: Iterable[Leaderboard]) -> str:
    """The whole page.

    Args:
        boards: the comparisons of `baselines/measured`.
    """
    runs = variants()
    plain = sorted(_plain([*(run for board in boards for run in board.runs), *runs]), key=_gap)
    digits = [board for board in plain if board.entry.name == "digits_mlp"]
    default = [
        run for run in runs
        if _is(run, "digits_mlp", "alig", num_epochs=30) and not run.problem_options
    ]  # fmt: skip
    known = [run for run in runs if _is(run, "quadratic_deep")]
    parts = [
        INTRODUCTION.format(machines=machines([run for board in plain for run in board.runs])),
        GAP.format(first=FIRST, level=LEVEL, behind=BEHIND),
        _gaps(plain),
        "## One problem, further from interpolation and nearer to it\n",
        "`digits_mlp` with fewer or more hidden units, 30 epochs:\n",
        _series([b for b in digits if b.runs[0].num_epochs == 30], "hidden units"),
        "The network with 100 hidden units, trained shorter or longer; settings chosen anew:\n",
        _series([b for b in digits if not b.runs[0].problem_options], "epochs"),
        "## With the smallest loss known\n",
        _known_minimum(known),
        _ranked(known),
        "## Momentum and its form\n",
        "ALI-G on `digits_mlp` without momentum, with the paper's, and with the adjusted form:\n",
        _ranked([run for run in default if run.hyperparams["eps"] == _DEFAULT["eps"]]),
        "## eps\n",
        _ranked([run for run in default if _is(run, "digits_mlp", **_FORM)]),
    ]  # fmt: skip
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


_FORM = {"momentum": 0.9, "adjusted_momentum": False}
_DEFAULT = {**_FORM, "eps": 1e-5, "f_min": 0.0}


@functools.cache
def variants() -> list[RunResult]:
    """The reported runs of `baselines/variants`."""
    found = [run for file in sorted(VARIANTS.glob(f"*{SUFFIX}")) for run in read_bundle(file)]
    return [run for run in found if not run.purpose]


def machines(runs: Iterable[RunResult]) -> str:
    """On what runs were measured, in a sentence."""
    environments = {
        f"{run.environment.get('cpu', '?')}, torch {run.environment.get('torch', '?')}"
        for run in runs
    }
    return f"Measured on {'; '.join(sorted(environments))}."


def _known_minimum(runs: Sequence[RunResult]) -> str:
    lows = [min(run.train_losses) for run in runs]
    bounded = [run for run in runs if run.hyperparams.get("f_min")]
    (bound,) = {run.hyperparams["f_min"] for run in bounded}
    below = sum(run.guarded_steps.get("below_f_min", 0) for run in bounded)
    share = below / sum(run.steps for run in bounded)
    return (
        f"`quadratic_deep` ends with training losses of {min(lows):.4g} to {max(lows):.4g}, not 0. "
        f"With `f_min={bound:g}`, the minimum for the data of seed 42, {share:.0%} of all "
        "mini-batches had a loss at or below that bound, so these steps were 0:\n"
    )


def _plain(runs: Iterable[RunResult]) -> list[Leaderboard]:
    """One leaderboard for each comparison: the same optimizers, ALI-G as it is by default."""
    sets: dict[str, dict[str, RunResult]] = {}
    for run in runs:
        if run.optimizer in RIVALS or _is(run, run.testproblem, "alig", **_DEFAULT):
            of_set = sets.setdefault(f"{run.tuning.get('protocol')} {run.comparison()}", {})
            of_set.setdefault(run.identity(), run)  # the measured one, beside its rivals
    boards = [
        leaderboard(list(found.values()), find_testproblem(next(iter(found.values())).testproblem))
        for found in sets.values()
    ]
    return [board for board in boards if len(board.rows) > 1 and _alig(board) is not None]


def _is(run: RunResult, problem: str, optimizer: str = "", **values: object) -> bool:
    """Whether a run is one of a problem and an optimizer, with these fields or hyper-parameters."""
    known = {"num_epochs": run.num_epochs, **run.hyperparams}
    return (
        run.testproblem == problem
        and optimizer in ("", run.optimizer)
        and all(known.get(name) == value for name, value in values.items())
    )


def _alig(board: Leaderboard) -> Standing | None:
    return next((row for row in board.rows if row.group.optimizer == "alig"), None)


def _gap(board: Leaderboard) -> float:
    """The lowest training loss of all runs, as a share of that before training."""
    curves = [run.train_losses for run in board.runs if run.train_losses]
    return min(map(min, curves)) / max(curve[0] for curve in curves)


def place(board: Leaderboard) -> str:
    """Whether ALI-G is first, level or behind; empty where it takes no part."""
    row = _alig(board)
    if row is None:
        return ""
    if row.rank == 1:
        return FIRST
    better = (each.to_reference for each in board.rows[: row.rank - 1])
    return BEHIND if any(pair is None or pair.separated for pair in better) else LEVEL


def _name(board: Leaderboard) -> str:
    run = board.runs[0]
    options = ",".join(f"{name}={value}" for name, value in run.problem_options.items())
    return f"`{board.entry.name}{f'[{options}]' if options else ''}`, {run.num_epochs}"


def _gaps(boards: Sequence[Leaderboard]) -> str:
    lines = [
        "| problem, epochs | gap | at the cap | ALI-G | best other | ALI-G is |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for board in boards:
        row = _alig(board)
        assert row is not None
        other = next(each for each in board.rows if each is not row)
        metric = board.entry.metric
        mine, theirs = (format_metric(each.headline.mean, metric) for each in (row, other))
        share = share_at_cap(row.group)
        lines.append(
            f"| {_name(board)} | {_gap(board):.1e} | {share:.0%} | {mine} | {theirs} "
            f"({other.label}) | {place(board)} |"
        )
    ranks = [row.rank for board in boards if (row := _alig(board)) is not None]
    found = kendalltau([_gap(board) for board in boards], ranks)
    lines += [
        "",
        f"Rank correlation of the gap and ALI-G's rank over these {len(boards)} comparisons: "
        f"Kendall's tau {found.statistic:.2f} (p = {found.pvalue:.2f}); they are no sample of "
        "anything, and several are one problem.",
    ]
    return "\n".join(lines)


def _series(boards: Sequence[Leaderboard], what: str) -> str:
    """One row for each size of a network or length of training."""

    def number(board: Leaderboard) -> int:
        run = board.runs[0]
        return run.num_epochs if what == "epochs" else run.problem_options.get("hidden_dim", 100)

    names = ("alig", *RIVALS)
    labels = {row.group.optimizer: row.group.optimizer_name for b in boards for row in b.rows}
    lines = [
        f"| {what} | gap | at the cap | {' | '.join(labels[name] for name in names)} | ALI-G is |",
        f"|---:|---:|---:|{'---:|' * len(names)}---|",
    ]
    for board in sorted(boards, key=number):
        rows = {row.group.optimizer: row for row in board.rows}
        cells = []
        for name in names:
            text = format_metric(rows[name].headline.mean, board.entry.metric)
            cells.append(f"**{text}**" if rows[name].rank == 1 or rows[name].tied else text)
        share = share_at_cap(rows["alig"].group)
        lines.append(
            f"| {number(board)} | {_gap(board):.1e} | {share:.0%} | {' | '.join(cells)} | "
            f"{place(board)} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            "Bold: the best, and what the seeds do not tell from it (corrected over all pairs).",
        ]
    )


def _ranked(runs: Sequence[RunResult]) -> str:
    board = leaderboard(list(runs), find_testproblem(runs[0].testproblem))
    lines = [to_markdown(board.table).split("\n\n")[1], ""]
    for row in board.rows:
        if row.group.optimizer == "alig":
            cap = row.group.runs[0].learning_rate
            share = share_at_cap(row.group)
            lines.append(f"* {row.label}: cap {cap:g}, {share:.0%} of the recorded steps at it.")
    lines += [f"* {sentence}" for sentence in board.verdict]
    return "\n".join(lines)
