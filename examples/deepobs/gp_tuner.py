"""Tuning by a Gaussian process on the exponent of the rate, and a rerun of the best setting."""

import alig_deepobs

alig_deepobs.register("pytorch")

import json  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402
from deepobs.tuner import GP  # noqa: E402
from deepobs.tuner.tuner_utils import rerun_setting  # noqa: E402

NAMES = {"lr": {"type": float}}

if __name__ == "__main__":
    tuner = GP(
        torch.optim.SGD, NAMES, {"lr": (-3, 0)}, 6, StandardRunner,
        transformations={"lr": lambda exponent: 10.0**exponent},
    )  # fmt: skip
    best = tuner.tune("digits_logreg", num_epochs=1, n_init_samples=3, acq_type="ei")
    assert 1e-3 <= best["lr"] <= 1
    folder = Path("results/digits_logreg/SGD")
    lines = [json.loads(line) for line in (folder / "bo_tuning_log.json").read_text().splitlines()]
    assert len(lines) == 6
    assert "std" in lines[-1]
    rerun_setting(StandardRunner, torch.optim.SGD, NAMES, str(folder), seeds=[43, 44])
    assert len(list(folder.rglob("random_seed__4[34]__*.json"))) == 2
