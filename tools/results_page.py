"""Writes docs/results.md, docs/when-alig-wins.md and README's table from the committed results.

    python tools/results_page.py

Every number on the page is computed here, from `baselines/measured` and `baselines/published`; a
test makes the page again and finds no difference. ``--check`` only says whether it is up to date.
"""

from __future__ import annotations

import itertools
import shlex
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import paper_page
import winning_page
from winning_page import BEHIND, FIRST, LEVEL, place

from alig_deepobs.analysis import leaderboard, to_markdown
from alig_deepobs.analysis.formats import format_metric
from alig_deepobs.analysis.frames import headline_curve
from alig_deepobs.analysis.leaderboard import Leaderboard
from alig_deepobs.analysis.report import build_report
from alig_deepobs.analysis.report.across import Spread, Style, across_table
from alig_deepobs.baselines import (
    measured_grid,
    measured_problems,
    measured_results,
    published_problems,
    published_runs,
)
from alig_deepobs.bundles import SUFFIX, read_bundle, write_bundle
from alig_deepobs.protocols import Protocol
from alig_deepobs.registry import ProblemEntry, find_testproblem
from alig_deepobs.run import Outcome, RunResult
from alig_deepobs.settings import Setting, parse_setting, split_settings

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
WINNING = ROOT / "docs" / "when-alig-wins.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- by tools/results_page.py -->\n", "<!-- to here -->\n"
FOUR = ("alig", "sgd", "momentum", "adam")
CAMPAIGN = ROOT / "benchmarks" / "campaign.toml"
KERNELS = ROOT / "baselines" / "kernels" / f"digits_mlp{SUFFIX}"

INTRODUCTION = """# Results

Made by `python tools/results_page.py` from the runs in `baselines/measured`; nothing here is
written by hand. The same figures, with curves and statistics, are a page of

    alig-deepobs report baselines/measured --html report.html

**How settings were chosen.** Protocol `{protocol}`: {words}. On the networks for MNIST,
Fashion-MNIST and SNLI it is cheaper, and their sections say how. What decides is the validation
result, or where a problem holds nothing out, the training loss ([protocols](protocols.md)). Tuning
has as many epochs as the comparison.

**How to read.** Means of the final test accuracy, or of the test loss, over seeds, with 95 %
intervals; *bold* and `=`: the seeds do not tell it from the best (paired t tests, Holm's
correction). Epochs, seeds, data and commands stand with each problem. Other work ran on the
machines: `s / epoch` are upper bounds, and say little of an optimizer. {machine}
"""


def page() -> str:
    """The whole page."""
    boards = list(_boards())
    protocol = Protocol.parse()
    parts = [
        INTRODUCTION.format(protocol=protocol, words=protocol.words, machine=_machine(boards)),
        "## All problems\n",
        _across(_longest(boards)),
        _headline(_longest(boards)),
        *(_section(board) for board in boards),
        _with_plain_kernels(boards),
        _published_section(),
        paper_page.figure_3(),
        _open(),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def _boards() -> Iterator[Leaderboard]:
    """One leaderboard for each set of runs that can be compared, tuned on equal terms."""
    for name in measured_problems():
        sets: dict[str, list[RunResult]] = {}
        for run in measured_results(name):
            protocol = str(run.tuning.get("protocol"))
            if protocol.partition(":")[0] == str(Protocol.parse()):
                sets.setdefault(f"{protocol} {run.comparison()}", []).append(run)
        for runs in sets.values():
            board = leaderboard(runs, find_testproblem(name))
            if len({row.seeds for row in board.rows}) == 1:  # else it is under way
                yield board


def _machine(boards: Sequence[Leaderboard]) -> str:
    runs = [run for board in boards for run in board.runs]
    threads = sorted({str(run.environment.get("threads", "?")) for run in runs})
    return (
        f"{winning_page.machines(runs)} Threads of a run: {', '.join(threads)}. Bit for bit, "
        "results repeat on one machine, with equally many threads and the same runs together."
    )


def _across(
    boards: Sequence[Leaderboard], only: Sequence[str] = (), spread: Spread = "none"
) -> str:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # the report reads folders
        for number, board in enumerate(boards):
            runs = [run for run in board.runs if not only or run.optimizer in only]
            write_bundle(runs, Path(folder) / f"{number}{SUFFIX}")
        report = build_report([folder])
    table = across_table(report, Style(columns="optimizers", spread=spread), only)
    return to_markdown(table)


def _longest(boards: Sequence[Leaderboard]) -> list[Leaderboard]:
    """The comparison with most epochs of each problem stands for it."""
    longest: dict[str, int] = {}
    for board in boards:
        name, epochs = board.entry.name, board.runs[0].num_epochs
        longest[name] = max(epochs, longest.get(name, 0))
    return [board for board in boards if board.runs[0].num_epochs == longest[board.entry.name]]


def readme() -> str:
    """README with its tables made anew."""
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    boards = _longest(list(_boards()))
    table = _across(boards, FOUR, "interval")
    made = f"{_machine(boards)}\n\n{table}\n{_headline(boards)}\n{_published_short()}"
    return f"{before}{begin}{made}{end}{after}"


def _headline(boards: Sequence[Leaderboard]) -> str:
    """Where ALI-G is first, level and behind, counted, and where it was SGD with momentum."""
    places: dict[str, list[str]] = {FIRST: [], LEVEL: [], BEHIND: []}
    capped = []
    for board in boards:
        if found := place(board):
            name = f"`{board.entry.name}`"
            places[found].append(name)
            if any(f.kind == "at_cap" and f.label == "AliG" for f in board.flags):
                capped.append(name)
    total = sum(map(len, places.values()))
    listed = {
        "best mean": places[FIRST],
        "level (the seeds tell of no other that it is better)": places[LEVEL],
        "behind": places[BEHIND],
        "(nearly) all steps at the cap, where ALI-G *is* SGD with Nesterov momentum": capped,
    }
    return "\n".join(
        [f"**ALI-G among all optimizers that were measured, on {total} problems** (paired t tests "
         "of ALI-G with each other one, Holm's correction over these):\n",
         *(f"- {what}: {len(names)} ({', '.join(names)})" if names else f"- {what}: none"
           for what, names in listed.items()), ""]
    )  # fmt: skip


def _section(board: Leaderboard) -> str:
    run = board.runs[0]
    said = [*board.verdict, *board.warnings]
    lines = [f"## `{board.entry.name}`, {run.num_epochs} epochs\n", *_bullets(said), ""]
    lines += [to_markdown(board.table).split("\n\n")[1], ""]
    lines += [f"* {setting}" for setting in board.settings]
    lines += _bullets([flag.text for flag in board.flags])
    lines += ["", f"Data: {run.data_label} ({run.data_source}); {_seeds(board)}; {_cost(board)}."]
    if run.tuning["protocol"] != str(Protocol.parse()):
        tuned = len(run.tuning["seeds"])
        lines += [f"Protocol: `{run.tuning['protocol']}`, tuning seeds: {tuned}."]
    seeds = max(row.n_seeds for row in board.rows)
    lines += ["The best row again:\n", f"    {board.rows[0].group.runs[0].repeat_command(seeds)}"]
    return "\n".join(lines)


def _with_plain_kernels(boards: Sequence[Leaderboard]) -> str:
    """The closest comparison, with other arithmetic: what the seeds tell must not hang on it."""
    if not KERNELS.exists():
        return ""
    runs = [run for run in read_bundle(KERNELS) if run.purpose != "tuning"]
    board = leaderboard(runs, find_testproblem("digits_mlp"))
    about = runs[0].environment
    (usual,) = (each for each in _longest(boards) if each.entry.name == "digits_mlp")
    told = [
        ", ".join(row.label for row in each.rows if row.separated) or "none"
        for each in (usual, board)
    ]
    return "\n".join(
        ["## `digits_mlp` once more, with plain kernels\n",
         "The same comparison, tuned anew, each run by itself and with PyTorch's kernels for any "
         f"processor (`ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=AVX2`; {about['cpu']}). "
         "What differs from above is rounding, and what rounding became in 30 epochs. Told from "
         f"the best one above: {told[0]}; here: {told[1]}. So a verdict near the level is no more "
         "than that.\n",
         *_bullets(board.verdict), "", to_markdown(board.table).split("\n\n")[1], "",
         *(f"* {setting}" for setting in board.settings)]
    )  # fmt: skip


def _bullets(sentences: Sequence[str]) -> list[str]:
    return [f"* {sentence}" for sentence in sentences]


def _seeds(board: Leaderboard) -> str:
    seeds = sorted({run.random_seed for run in board.runs})
    return f"seeds {seeds[0]} to {seeds[-1]}"


def _cost(board: Leaderboard) -> str:
    tuned = [
        run for run in measured_grid(board.entry.name) if run.num_epochs == board.runs[0].num_epochs
    ]
    return f"{len(tuned)} runs to tune, {len(board.runs)} to report"


HEAD = """| problem | optimizer | seed | epochs | here | published, ten seeds | inside the range |
| --- | --- | --- | --- | --- | --- | --- |"""


def _published() -> list[tuple[RunResult, str, bool]]:
    """The runs with DeepOBS's tuned settings, their rows, and whether they end inside the range."""
    found = []
    for name in published_problems():
        entry = find_testproblem(name)
        for published in _by_setting(published_runs(name)):
            ours = [run for run in measured_results(name) if _same(run, published[0])]
            found += [(run, *_against(entry, run, published)) for run in ours]
    return found


def _published_section() -> str:
    rows = _published()
    outside = sum(not inside for _, _, inside in rows)
    machines = winning_page.machines(run for run, _, _ in rows)
    return "\n".join(
        ["## DeepOBS's published baselines\n",
         "DeepOBS 1.1 on TensorFlow 1 (2019), its tuned settings; here with PyTorch, after as many "
         "epochs. The last column counts the epochs whose result lies within the range of the ten "
         f"published seeds. {machines}\n",
         HEAD, *(row for _, row, _ in rows),
         "\nAn eleventh seed of the same distribution lies outside the range of ten in 2 of 11 "
         f"cases: at the last epoch {2 / 11 * len(rows):.1f} of these {len(rows)} runs would be "
         f"expected there, and {outside} are. (Runs of one setting share one range, and on "
         "quadratic_deep the epochs of a run are alike, so neither are independent.)"]
    )  # fmt: skip


def _published_short() -> str:
    rows = _published()
    ends = sum(inside for _, _, inside in rows)
    first = [row for run, row, _ in rows if run.random_seed == 42]
    return "\n".join(
        ["Against DeepOBS's published baselines (TensorFlow 1), with their tuned settings and our "
         "seed 42; the last column counts epochs whose result lies within the range of the ten "
         f"published seeds. Of all {len(rows)} runs {ends} end inside; "
         f"{9 / 11 * len(rows):.1f} would be expected.\n", HEAD, *first, ""]
    )  # fmt: skip


def _by_setting(runs: Sequence[RunResult]) -> list[list[RunResult]]:
    found: dict[str, list[RunResult]] = {}
    for run in runs:
        found.setdefault(run.setting(), []).append(run)
    return list(found.values())


def _same(run: RunResult, published: RunResult) -> bool:
    keys = ("lr", "momentum")
    return run.optimizer == published.optimizer and all(
        run.hyperparams.get(key) == published.hyperparams.get(key) for key in keys
    )


def _against(
    entry: ProblemEntry, run: RunResult, published: Sequence[RunResult]
) -> tuple[str, bool]:
    """The row of a run, and whether it ends inside the range."""
    curve = headline_curve(run, entry)
    others = [
        headline_curve(each, entry) for each in published if each.outcome is not Outcome.FAILED
    ]
    last = len(curve) - 1
    at = [[each[epoch] for each in others if len(each) > epoch] for epoch in range(len(curve))]
    pairs = [
        (value, values) for value, values in zip(curve[1:], at[1:], strict=True) if values
    ]  # fmt: skip
    inside = sum(min(values) <= value <= max(values) for value, values in pairs)
    higher = sum(value > max(values) for value, values in pairs)
    text = f"{inside} of {last} epochs"
    text += f" ({higher} above, {len(pairs) - inside - higher} below)" if inside < last else ""
    low, high = min(at[last]), max(at[last])
    cells = (
        f"`{entry.name}`", run.optimizer_name, str(run.random_seed), str(last),
        format_metric(curve[last], entry.metric),
        f"{format_metric(low, entry.metric)} to {format_metric(high, entry.metric)}",
        text,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |", low <= curve[last] <= high


def _open() -> str:
    """The pieces of the campaign without a result here."""
    plan = tomllib.loads(CAMPAIGN.read_text(encoding="utf-8"))
    lines = [
        f"* {piece['name']} ({piece.get('device', 'cpu')})"
        for piece in plan["piece"]
        if not _is_measured(
            shlex.split(piece["command"].format_map(plan["common"])), "environment" in piece
        )
    ]
    if not lines:
        return ""
    return "\n".join(
        ["## Not measured yet\n", "Pieces of `benchmarks/campaign.toml` without a result in the "
         "package; `python benchmarks/campaign.py` carries them out.\n", *lines]
    )  # fmt: skip


def _is_measured(words: Sequence[str], plain_kernels: bool) -> bool:
    """Whether the runs of a `compare` are here: its protocol, length, settings, and seeds."""
    options = dict(itertools.pairwise(words))
    if words[0] != "compare":
        methods = tuple(filter(None, options.get("--methods", "").split(",")))
        return words[1] == "fig3" and paper_page.is_measured(int(options.get("-r", 42)), methods)
    if plain_kernels:
        return KERNELS.exists()
    problem = parse_setting(words[1])
    protocol = options.get("--protocol", str(Protocol.parse()))
    epochs = int(options.get("-N", find_testproblem(problem.name).num_epochs))
    runs = [
        run for run in [*measured_results(problem.name), *winning_page.variants()]
        if run.testproblem == problem.name and run.problem_options == problem.params
        and run.tuning.get("protocol") == protocol and run.num_epochs == epochs
    ]  # fmt: skip
    wanted = int(options.get("--seeds", 3))
    return all(
        len({run.random_seed for run in runs if _has(run, parse_setting(setting))}) >= wanted
        for setting in split_settings(options["--optimizers"])
    )


def _has(run: RunResult, setting: Setting) -> bool:
    return run.optimizer == setting.name and setting.params.items() <= run.hyperparams.items()


@click.command()
@click.option("--check", is_flag=True, help="Only say whether all are up to date.")
def main(check: bool) -> None:
    """Write docs/results.md, docs/when-alig-wins.md and README's table."""
    if not check:
        click.echo(f"drawn: {paper_page.draw().relative_to(ROOT)}")
    for path, made in ((PAGE, page()), (WINNING, winning_page.page(_boards())), (README, readme())):
        if not check:
            path.write_text(made, encoding="utf-8")
            click.echo(f"written: {path.relative_to(ROOT)}")
        elif path.read_text(encoding="utf-8") != made:
            sys.exit(f"{path.name} is not what the results say: python tools/results_page.py")


if __name__ == "__main__":
    main()
