"""The page of the documentation, made of the measured ratios."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import Ratio

_HEAD = """# Performance

This page is written by `python -m benchmarks` from `benchmarks/results.json`. All figures are
ratios, measured side by side in one process: the median of the rounds, with the quartiles. A goal
that is not reached is marked. Ratios differ between machines, so rows of two machines cannot be
compared.
"""

_TEXTS = {
    "step": """The step

Time of an optimizer's step over that of torch's SGD with Nesterov momentum 0.9 (fused, and as it is
by default), on the parameters of the network; with one thread, that of the processor. ALI-G has
momentum 0.9 where nothing else is said.""",
    "rivals": """The other optimizers of this package

Time of a step over that of the optimizer of torch that keeps as much state. MoMo averages the
gradients and reads this average twice more, for its norm and its product with the weights, and it
has no kernel of torch that does so in one pass; neither have Yogi and L4's Adam, which shows where
the weights are more than the cache holds. SPS reads the gradients once more than SGD without
momentum does, for their norm; on small networks it is the Python around it that shows.""",
    "loop": """The training loop

CPU time of the runner's training epochs over that of the same steps in a loop that is written by
hand, with one thread.""",
    "vectorized": """Many runs as one computation

CPU time of runs that are trained one after the other over that of the same runs trained together,
both on one core (`--executor`, see [studies](studies.md)): how many times faster a study gets. 45
runs: DeepOBS's protocol, 36 learning rates of Momentum and nine more seeds of one. 30 runs: seeds
of ALI-G. The time of all runs one by one is that of a few of them, scaled. Where the operations
are compiled (`--compile`), epochs are compared; compiling, a minute or two, is left out. The last
row compares like with like: a run that is compiled gains by itself, and less by company.""",
    "deepobs": """DeepOBS's own runner

Wall time of an epoch, training and the evaluation after it, of DeepOBS 1.1.2's runner on
TensorFlow 2 over that of this package's on PyTorch: SGD, the same data and batch size, each with
the threads that it takes by default, the first two epochs left out. On dnc_copy it is the training
alone, with the network compiled.""",
}


_COLUMNS = "| on | what | over | ratio | quartiles | rounds | goal |"


def page(content: dict[str, Any]) -> str:
    """The page as Markdown.

    Args:
        content: of the JSON file.
    """
    lines = [_HEAD]
    for figure, text in _TEXTS.items():
        ratios = [Ratio(**each) for each in content["ratios"] if each["figure"] == figure]
        if not ratios:
            continue
        lines += [f"## {text}", "", _COLUMNS, "|---" * 7 + "|"]
        lines += [_row(each) for each in ratios]
        lines += ["", *_machines(content["machines"][figure], ratios), ""]
    lines += ["## On a GPU", "", "Not yet measured.", ""]
    return "\n".join(lines)


def _row(each: Ratio) -> str:
    met = {None: "", True: each.goal, False: f"{each.goal} (not reached)"}[each.is_met]
    return (
        f"| {each.case} | {each.what} | {each.over} | {each.ratio:.2f} | {each.low:.2f} to "
        f"{each.high:.2f} | {each.rounds} | {met} |"
    )


def _machines(of: dict[str, Any], ratios: list[Ratio]) -> list[str]:
    """On what machine each case was measured; of one machine, without the cases."""
    cases: dict[str, list[str]] = {}
    for case in dict.fromkeys(each.case for each in ratios):
        cases.setdefault(_machine(of[case]), []).append(case)
    if len(cases) == 1:
        return [f"Measured on {next(iter(cases))}."]
    return [f"* Measured on {about}: {'; '.join(names)}." for about, names in cases.items()]


def _machine(about: dict[str, Any]) -> str:
    return (
        f"{about['cpu']} ({about['cpu_count']} cores, {about['threads']} thread(s), load "
        f"{about['load']}), torch {about['torch']}, Python {about['python']}"
    )
