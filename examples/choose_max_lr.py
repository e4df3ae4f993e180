"""How the cap matters: ALI-G on one problem over a range of ``max_lr``.

    python examples/choose_max_lr.py digits_mlp --caps 0.01,0.1,1

prints a table with one line for each cap: the share of steps that were at the cap, the step size
before the cap (median), the training loss and the test accuracy or loss of the last epoch. It is
what docs/choosing-max-lr.md was made with, and what to look at for a problem of your own.
"""

from __future__ import annotations

import argparse
import statistics

from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners import execute

DECADES = "0.001,0.01,0.1,1,10,100,1000"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem")
    parser.add_argument("--caps", default=DECADES, help="comma-separated; inf: no cap")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("-N", "--num-epochs", type=int, default=None)
    parser.add_argument("--seeds", type=int, default=1, help="runs for each cap")
    parser.add_argument("--data-dir", default=None)
    return parser.parse_args()


def row(cap: float, results: list[RunResult]) -> str:
    """One line of the table: means over seeds."""
    done = [r for r in results if r.outcome is Outcome.DONE]
    summaries = [epoch for r in results for epoch in r.step_sizes]
    share = statistics.mean(s["clipped_fraction"] for s in summaries)
    train = statistics.mean(r.train_data_losses[-1] for r in done) if done else float("nan")
    if not done:
        test = "diverged"
    elif done[0].test_accuracies:
        test = f"{statistics.mean(r.test_accuracies[-1] for r in done):.2%}"
    else:
        test = f"{statistics.mean(r.test_data_losses[-1] for r in done):.4g}"
    if 0 < len(done) < len(results):
        test += f" ({len(results) - len(done)} of {len(results)} diverged)"
    return f"| {cap:g} | {share:.0%} | {train:.4g} | {test} |"


def main() -> None:
    """Runs all caps and prints the table."""
    arguments = parse()
    print(f"{arguments.problem}, momentum {arguments.momentum:g}, {arguments.seeds} seeds\n")
    print("| max_lr | steps at the cap | training loss | test |\n| --- | --- | --- | --- |")
    for cap in map(float, arguments.caps.split(",")):
        results = [
            execute(
                RunSpec(
                    arguments.problem,
                    "alig",
                    {"max_lr": cap, "momentum": arguments.momentum},
                    num_epochs=arguments.num_epochs,
                    random_seed=seed,
                    data_dir=arguments.data_dir,
                    train_log_interval=1,
                )
            )
            for seed in range(42, 42 + arguments.seeds)
        ]
        print(row(cap, results), flush=True)


if __name__ == "__main__":
    main()
