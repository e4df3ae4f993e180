"""DeepOBS 1.1.2's analyzer and plot script read folders that `run` and `compare` wrote."""

import contextlib
import io
import json
import os
from pathlib import Path

import pytest

from alig_deepobs.cli.main import main


def call(*words):
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0


@pytest.fixture(scope="module")
def answers(python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("analyzed")
    before = Path.cwd()
    os.chdir(folder)
    try:
        quick = ("-N", 2, "--synthetic", "--device", "cpu", "--bs", 64)
        # PyTorch: several seeds, an uncapped ALI-G without a learning rate, a run that diverges at
        # once and one that does later, a problem without accuracy that DeepOBS does not know so.
        settings = ("alig[max_lr=0.01]", "alig[max_lr=None]", "sgd[lr=1e30]", "adam[lr=0.01]")
        optimizers = [word for setting in settings for word in ("--optimizer", setting)]
        problems = ("quadratic_deep", "mnist_mlp", "two_d_rosenbrock")
        call("run", *problems, *optimizers, "--seeds", 2, *quick)
        call("run", "quadratic_deep", "--framework", "tensorflow", "--optimizer", "alig", *quick)
        call(
            "compare", "digits_mlp", "--optimizers", "alig,sgd[lr=0.1]", "--seeds", 1,
            "--output_dir", "compared", *quick,
        )  # fmt: skip
    finally:
        os.chdir(before)
    python(Path(__file__).parent / "analyzer_worker.py", folder)
    found = json.loads((folder / "answer.json").read_text())
    assert not [item["error"] for item in found.values() if "error" in item]
    return found


def test_analyzer_reads_runs_of_both_frameworks(answers):
    finals = answers["functions"]["finals"]
    assert set(finals) == {"quadratic_deep", "mnist_mlp", "two_d_rosenbrock"}
    # Two settings in PyTorch with two seeds each, one in TensorFlow; never in one folder.
    counts = sorted(count for count, _ in finals["quadratic_deep"]["AliG"])
    assert counts == [1, 2, 2]
    assert all(value != "nan" for _, value in finals["quadratic_deep"]["AliG"])
    assert finals["quadratic_deep"]["SGD"] == [[2, "nan"]]
    assert answers["functions"]["metrics"] == {
        "quadratic_deep": "test_losses",
        "mnist_mlp": "test_accuracies",
        "two_d_rosenbrock": "test_losses",
    }
    assert "Best Setting" in answers["functions"]["best"]
    assert "quadratic" in answers["functions"]["table"]


def test_plot_script(answers):
    results = answers["script"]["results"]
    assert results["code"] == 0, results["err"]
    written = results["out"].splitlines()[-1]
    for name in ("benchmark_small.pdf", "tuning_plot.tex", "performance_table_small.tex"):
        assert name in written


def test_plot_script_on_a_comparison(answers):
    """There, a folder of tuning runs and tables are beside the results."""
    compared = answers["script"]["compared"]
    assert compared["code"] == 0, compared["err"]
    assert "Analyzing digits_mlp" in compared["out"]
    assert "Setting up tuning" not in compared["out"]


def test_plot_script_with_bad_input(answers):
    script = answers["script"]
    assert script["nowhere"]["code"] == script["no baselines"]["code"] == 2
    assert script["nowhere"]["err"].strip() == "Error: there is no folder nowhere"
    assert script["no baselines"]["err"].strip() == "Error: there is no folder none"
    assert script["nonsense"]["code"] == 2
    assert "unrecognized arguments: --nonsense" in script["nonsense"]["err"]


def test_problem_without_a_convergence_performance(answers):
    found = answers["conv_perf"]
    assert found == {"quadratic_deep": 87.7, "mnist_mlp": 0.0, "two_d_rosenbrock": 0.0}
