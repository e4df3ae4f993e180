"""The official repository in miniature, rebuilt from the published curves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from alig_deepobs.baselines import published_runs
from alig_deepobs.results import float_text
from alig_deepobs.run import RunResult

CLASSES = {
    "sgd": ("GradientDescentOptimizer", {}),
    "momentum": ("MomentumOptimizer", {"momentum": 0.99, "use_nesterov": False}),
    "adam": ("AdamOptimizer", {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}),
}


def official_file(run, **changes):
    """Path and text of a run as DeepOBS 1.1 wrote it."""
    name, others = CLASSES[run.optimizer]
    rate = run.hyperparams["lr"]
    record = {
        "train_losses": run.train_losses,
        "test_losses": run.test_losses,
        "minibatch_train_losses": [9.0, 1.0, 3.0],
        "optimizer": name,
        "testproblem": run.testproblem,
        "weight_decay": None,
        "batch_size": run.batch_size,
        "num_epochs": run.num_epochs,
        # The repeated runs carry a rate that is rounded differently from their folder's name.
        "learning_rate": rate * (1 + 1e-12 * (run.random_seed - 42)),
        "lr_sched_epochs": None,
        "lr_sched_factors": None,
        "random_seed": run.random_seed,
        "train_log_interval": 1,
        "hyperparams": others,
    }
    if run.test_accuracies:
        record["train_accuracies"] = run.train_accuracies
        record["test_accuracies"] = run.test_accuracies
    record.update(changes)
    setting = f"num_epochs__{run.num_epochs}__batch_size__{run.batch_size}__lr__{float_text(rate)}"
    path = f"{run.testproblem}/{name}/{setting}/random_seed__{run.random_seed}__2019-02-13.json"
    return path, json.dumps(record)


@pytest.fixture(scope="session")
def official_files():
    """Path -> text: all seeds of two problems, and two runs of a grid that blew up."""
    runs = [run for name in ("quadratic_deep", "fmnist_2c2d") for run in published_runs(name)]
    files = dict(official_file(run) for run in runs)
    first = runs[0]
    nan = [float("nan")] * 100
    blown = replace(
        first,
        hyperparams={"lr": 0.1},
        train_losses=[first.train_losses[0], *nan],
        test_losses=[first.test_losses[0], *nan],
    )
    files.update([official_file(blown)])
    # The loss of a mini-batch alone may be infinite, too.
    spike = replace(first, hyperparams={"lr": 0.063095734448})
    files.update([official_file(spike, minibatch_train_losses=[1.0, float("inf"), 2.0])])
    return files


@pytest.fixture
def official_folder(tmp_path, official_files):
    """A clone of the repository."""
    folder = tmp_path / "DeepOBS_Baselines"
    for name, text in official_files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "README.md").write_text("official")
    (folder / "convergence_performance.json").write_text("{}")
    return folder


def own_run(seed=42, **changes):
    values = {
        "testproblem": "quadratic_deep",
        "optimizer_name": "AliG",
        "optimizer": "alig",
        "hyperparams": {"max_lr": 0.1, "momentum": 0.9, "max_norm": None},
        "batch_size": 128,
        "num_epochs": 2,
        "random_seed": seed,
        "train_losses": [353.0, 90.123456789, 87.0],
        "train_data_losses": [353.0, 90.123456789, 87.0],
        "test_losses": [354.0, 91.0, 88.0],
        "test_data_losses": [353.5, 90.5, 87.5],
        "minibatch_train_losses": [100.0],
        "step_sizes": [{"mean": 0.1234567, "clipped_fraction": 1.0}, {"mean": 0.2}],
        "training_seconds": [0.5, 0.6],
        "data_label": "Quadratic",
        "environment": {"device": "cpu"},
        "started": "2026-01-02T03:04:05+00:00",
    }
    return RunResult(**{**values, **changes})
