"""``python -m benchmarks``: measures, writes a JSON file, and makes a page of it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path

import torch

from benchmarks import deepobs_runner, loop, step, vectorized
from benchmarks.measure import Ratio, machine
from benchmarks.page import page

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
FIGURES = ("step", "loop", "deepobs", "vectorized")  # the last one changes the process's memory
ALL_CORES = ("deepobs",)  # TensorFlow takes all


def merged(old: list[Ratio], new: list[Ratio]) -> list[Ratio]:
    """The old ratios with the new ones: in the place of those of the same case, else at the end."""
    cases: dict[tuple[str, str], list[Ratio]] = {}
    for each in new:
        cases.setdefault((each.figure, each.case), []).append(each)
    order = dict.fromkeys([(each.figure, each.case) for each in (*old, *new)])
    kept: dict[tuple[str, str], list[Ratio]] = {key: [] for key in order}
    for each in old:
        kept[each.figure, each.case].append(each)
    return [each for key in order for each in cases.get(key, kept[key])]


def main() -> None:
    """Measures the figures that were asked for; the file keeps the others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("figures", nargs="*", default=FIGURES, help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--data_dir", help="folder with the files of MNIST; else its small twin")
    parser.add_argument("--case", default="", help="only problems with this in their name")
    parser.add_argument("--threads", type=int, help="by default 1; all for deepobs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    content = json.loads(args.results.read_text()) if args.results.exists() else {}
    ratios = [Ratio(**each) for each in content.get("ratios", [])]
    machines = content.get("machines", {})
    for name in args.figures:
        if name not in FIGURES:
            parser.error(f"unknown figure {name!r}; there are {', '.join(FIGURES)}")
        cores = len(os.sched_getaffinity(0)) if name in ALL_CORES else 1
        torch.set_num_threads(args.threads or cores)
        found = {
            "step": lambda: step.measure(args.rounds, args.case),
            "loop": lambda: loop.measure(args.rounds, args.case),
            "vectorized": lambda: vectorized.measure(args.rounds, args.case, args.data_dir),
            "deepobs": lambda: deepobs_runner.measure(args.rounds, args.case, args.data_dir),
        }[name]()
        ratios = merged(ratios, found)
        about = machine()
        for each in found:
            machines.setdefault(each.figure, {})[each.case] = about
            print(
                f"{each.figure:10} {each.case:34} {each.what} / {each.over}: {each.ratio:.2f} "
                f"[{each.low:.2f}, {each.high:.2f}] {each.goal}",
                flush=True,
            )
        content = {"machines": machines, "ratios": [dataclasses.asdict(each) for each in ratios]}
        args.results.write_text(json.dumps(content, indent=1) + "\n")
        args.page.write_text(page(content))


if __name__ == "__main__":
    main()
