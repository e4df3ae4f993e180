"""Result files made up for tests: the numbers are planted, so every expected answer is known."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from alig_deepobs.results import write_result
from alig_deepobs.run import Outcome, RunResult

EVIL = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'


def make_run(problem="digits_mlp", label="SGD", seed=42, final=0.9, epochs=10, **changes):
    """A run whose test accuracy ends at ``final``; on quadratic_deep its loss at 100 - 10 final."""
    loss_only = problem == "quadratic_deep"
    accuracies = [0.1 + (final - 0.1) * epoch / epochs for epoch in range(epochs + 1)]
    accuracies[-1] = final
    losses = [353.4 - (253.4 + 10 * final) * e / epochs if loss_only else 2.3 * (1 - a) + 0.01
              for e, a in enumerate(accuracies)]  # fmt: skip
    name = {"AliG": "alig"}.get(label, label.lower())
    values = {
        "testproblem": problem,
        "optimizer_name": label,
        "hyperparams": {"max_lr" if label == "AliG" else "lr": 0.1},
        "batch_size": 128 if loss_only else 32,
        "num_epochs": epochs,
        "random_seed": seed,
        "train_losses": losses,
        "test_losses": losses,
        "train_data_losses": losses,
        "test_data_losses": losses,
        "train_accuracies": [] if loss_only else accuracies,
        "test_accuracies": [] if loss_only else accuracies,
        "minibatch_train_losses": losses,
        "step_sizes": [
            {"mean": 0.05, "median": 0.04, "min": 0.01, "max": 0.1, "clipped_fraction": 0.2}
        ] * epochs if label == "AliG" else [],
        "training_seconds": [0.5] * epochs,
        "evaluation_seconds": [0.1] * (epochs + 1),
        "steps": 10 * epochs,
        "reshuffle": not loss_only,
        "optimizer": name,
        "data_set": "quadratic" if loss_only else "digits",
        "data_label": "Quadratic" if loss_only else "Digits (scikit-learn)",
        "setting_source": "given on the command line",
        "environment": {"torch": "2.13.0", "device": "cpu", "device_name": "a CPU", "threads": 1},
    }  # fmt: skip
    return RunResult(**{**values, **changes})


def write_runs(folder, problem="digits_mlp", seeds=6, epochs=10, optimizers=None):
    """Runs of four optimizers: AliG planted as the winner, Momentum and Adam nearly alike."""
    noise = random.Random(problem)
    means = optimizers or {"AliG": 0.96, "Momentum": 0.90, "Adam": 0.90, "SGD": 0.80}
    for label, mean in means.items():
        for seed in range(42, 42 + seeds):
            final = mean + noise.gauss(0, 0.004)
            write_result(make_run(problem, label, seed, final, epochs), folder)


def write_grid(folder, problem="digits_mlp"):
    """One more run for each of four learning rates; the largest diverges."""
    for label in ("AliG", "SGD"):
        name = "max_lr" if label == "AliG" else "lr"
        for rate, final in ((0.001, 0.5), (0.01, 0.7), (1.0, 0.75)):
            write_result(make_run(problem, label, 42, final, hyperparams={name: rate}), folder)
        broken = make_run(
            problem, label, 42, 0.3, hyperparams={name: 10.0},
            outcome=Outcome.DIVERGED, outcome_reason="not finite at epoch 4",
        )  # fmt: skip
        for part in ("train_data_losses", "test_data_losses", "train_losses", "test_losses",
                     "train_accuracies", "test_accuracies"):  # fmt: skip
            setattr(broken, part, getattr(broken, part)[:4])
        write_result(broken, folder)


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """A folder with two problems, a grid, and a run with a hostile name."""
    folder = tmp_path_factory.mktemp("results")
    write_runs(folder)
    write_grid(folder)
    write_runs(folder, "quadratic_deep", epochs=100)
    hostile = {
        "optimizer": "",
        "setting_source": EVIL,
        "outcome_reason": EVIL,
        "environment": {"torch": EVIL, "device": "cpu"},
    }
    for seed in (42, 43, 44):
        path = write_result(make_run("digits_mlp", "Evil", seed, 0.5, **hostile), folder)
        # We write no such label, but somebody's file may hold it.
        path.write_text(path.read_text().replace('"Evil"', '"Evil <b>&"'))
    return folder


@pytest.fixture(scope="session")
def runs_writer():
    """`write_runs`, for tests that need a folder of their own."""
    return write_runs


@pytest.fixture(scope="session")
def run_maker():
    """`make_run`, likewise."""
    return make_run


@pytest.fixture(scope="session")
def browser():
    """A real headless Chromium; a test that needs one is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
