"""All functions of the analyzer, on the results of a small grid search."""

import alig_deepobs

alig_deepobs.register("pytorch")

import json  # noqa: E402
from pathlib import Path  # noqa: E402

import matplotlib as mpl  # noqa: E402

mpl.use("agg")

import torch  # noqa: E402
from deepobs.analyzer import (  # noqa: E402
    check_output,
    estimate_runtime,
    get_performance_dictionary,
    plot_final_metric_vs_tuning_rank,
    plot_hyperparameter_sensitivity,
    plot_hyperparameter_sensitivity_2d,
    plot_optimizer_performance,
    plot_results_table,
    plot_testset_performances,
)
from deepobs.pytorch.runners import StandardRunner  # noqa: E402
from deepobs.tuner import GridSearch  # noqa: E402

NAMES = {"lr": {"type": float}, "momentum": {"type": float}}

if __name__ == "__main__":
    grid = {"lr": [0.01, 0.1], "momentum": [0.0, 0.9]}
    search = GridSearch(torch.optim.SGD, NAMES, grid, 4, StandardRunner)
    for problem in ("digits_logreg", "quadratic_deep"):
        rates = {"num_epochs": 1, "rerun_best_setting": False}
        search.tune(problem, output_dir="results", **rates)
    best = "results/digits_logreg/SGD"
    assert check_output("results") == []
    Path("convergence.json").write_text(json.dumps({"digits_logreg": 0.2}))
    found = get_performance_dictionary(best, conv_perf_file="convergence.json")
    assert found["Performance"] > 0.5
    assert found["Speed"] == 1
    assert set(found["Hyperparameters"]) == {"lr", "momentum"}
    table = plot_results_table("results")
    assert table.loc[("digits_logreg", "Performance"), "SGD"] == found["Performance"]
    figures = [
        plot_optimizer_performance(best, show=False),
        plot_testset_performances("results", show=False),
        plot_hyperparameter_sensitivity(best, "lr", xscale="log", show=False),
        plot_hyperparameter_sensitivity_2d(best, ("lr", "momentum"), xscale="log", show=False),
        plot_final_metric_vs_tuning_rank(best, show=False),
    ]
    for number, (figure, _) in enumerate(figures):
        figure.savefig(f"{number}.png")
    again = estimate_runtime(
        "pytorch", StandardRunner, torch.optim.Adam, {"lr": {"type": float}}, {"lr": 0.001},
        n_runs=1, testproblem="digits_logreg", num_epochs=1, batch_size=32,
    )  # fmt: skip
    assert again["ratio"] > 0
