"""The official repository in miniature, rebuilt from the published curves."""

from __future__ import annotations

import json

import pytest

from alig_deepobs.baselines import published_runs
from alig_deepobs.baselines.published import published_facts
from alig_deepobs.results import float_text

CLASSES = {
    "sgd": ("GradientDescentOptimizer", {}),
    "momentum": ("MomentumOptimizer", {"momentum": 0.99, "use_nesterov": False}),
    "adam": ("AdamOptimizer", {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}),
}


def official_file(run, minibatch=None, **changes):
    """Path and text of a run as DeepOBS 1.1 wrote it."""
    name, others = CLASSES[run.optimizer]
    rate = run.hyperparams["lr"]
    steps = published_facts(run.testproblem)["steps_per_epoch"]
    record = {
        "train_losses": run.train_losses,
        "test_losses": run.test_losses,
        "minibatch_train_losses": minibatch or [9.0] * steps + [1.0, 3.0] * (steps // 2 + 1),
        "optimizer": name,
        "testproblem": run.testproblem,
        "weight_decay": None,
        "batch_size": run.batch_size,
        "num_epochs": run.num_epochs,
        # The repeated runs carry a rate that is rounded differently from their folder's name.
        "learning_rate": float(f"{rate:.12g}") * (1 + 1e-12),
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
    """Path -> text: all seeds of two problems, and one run of a grid that blew up."""
    runs = [run for name in ("quadratic_deep", "fmnist_2c2d") for run in published_runs(name)]
    files = dict(official_file(run) for run in runs)
    seed_42 = next(run for run in runs if run.testproblem == "quadratic_deep")
    seed_42.hyperparams["lr"] = 0.1
    nan = [seed_42.test_losses[0], *[float("nan")] * 100]
    path, text = official_file(seed_42, train_losses=nan, test_losses=nan)
    return {**files, path: text}


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
