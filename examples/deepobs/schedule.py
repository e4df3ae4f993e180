"""DeepOBS's own schedule runner with ALI-G, whose cap the schedule changes."""

import alig_deepobs

alig_deepobs.register("pytorch")

from deepobs.pytorch.runners import LearningRateScheduleRunner  # noqa: E402

from alig_deepobs import AliG  # noqa: E402

if __name__ == "__main__":
    runner = LearningRateScheduleRunner(AliG, {"max_lr": {"type": float, "default": 0.1}})
    output = runner.run(
        "digits_logreg", num_epochs=3, lr_sched_epochs=[1, 2], lr_sched_factors=[0.1, 0.01]
    )
    assert output["training_params"] == {"lr_sched_epochs": [1, 2], "lr_sched_factors": [0.1, 0.01]}
    assert output["test_losses"][-1] < output["test_losses"][0]
