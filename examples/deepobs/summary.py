"""A random search, its commands for a cluster, its summary, and a rerun with NumPy's seeds."""

import alig_deepobs

alig_deepobs.register("pytorch")

import json  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402
from deepobs.tuner import RandomSearch  # noqa: E402
from deepobs.tuner.tuner_utils import (  # noqa: E402
    generate_tuning_summary,
    log_uniform,
    rerun_setting,
    write_tuning_summary,
)

NAMES = {"lr": {"type": float}}

if __name__ == "__main__":
    search = RandomSearch(torch.optim.SGD, NAMES, {"lr": log_uniform(-3, 0)}, 3, StandardRunner)
    paths = search.generate_commands_script_for_testset(["mnist_mlp", "mnist_vae"], "run.py")
    assert [len(Path(path).read_text().splitlines()) for path in paths] == [3, 3]
    search.tune("quadratic_deep", num_epochs=1, rerun_best_setting=False)
    folder = "results/quadratic_deep/SGD"
    # There is no accuracy: the metric falls back to the validation loss, as in DeepOBS.
    summary = generate_tuning_summary(folder, metric="valid_accuracies")
    values = [line["valid_losses_mean"] for line in summary]
    assert values == sorted(values)
    write_tuning_summary(folder)
    lines = (Path(folder) / "tuning_log.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == summary
    seeds = np.arange(43, 45)
    rerun_setting(StandardRunner, torch.optim.SGD, NAMES, folder, seeds=seeds, mode="final")
    # The reruns are in the folder of their setting.
    runs = list(Path(folder).rglob("random_seed__4[34]__*.json"))
    assert len({path.parent for path in runs}) == 1
    assert len(runs) == 2
    assert len(list(Path(folder).iterdir())) == 4  # three settings and the summary
