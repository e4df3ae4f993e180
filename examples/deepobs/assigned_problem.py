"""A problem that is put among DeepOBS's own, with another network than the one it derives from."""

import alig_deepobs

alig_deepobs.register("pytorch")

import deepobs.pytorch  # noqa: E402
import torch  # noqa: E402
from deepobs import config  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402
from deepobs.pytorch.testproblems import digits_logreg  # noqa: E402
from torch import nn  # noqa: E402


class DigitsConv(digits_logreg):
    def set_up(self):
        super().set_up()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
        ).to(self._device)
        self.regularization_groups = self.get_regularization_groups()


if __name__ == "__main__":
    problem = DigitsConv(32)
    problem.set_up()
    problem.train_init_op()
    loss, accuracy = problem.get_batch_loss_and_accuracy()
    assert isinstance(accuracy, float)
    loss.backward()
    assert sum(p.numel() for p in problem.net.parameters()) == 1490
    assert config.get_testproblem_default_setting("digits_logreg")["batch_size"] == 32
    deepobs.pytorch.testproblems.my_digits = DigitsConv
    assert "my_digits" in dir(deepobs.pytorch.testproblems)
    assert issubclass(DigitsConv, deepobs.pytorch.testproblems.TestProblem)
    runner = StandardRunner(torch.optim.Adam, {"lr": {"type": float, "default": 0.001}})
    assert runner.run("digits_logreg", num_epochs=1, no_logs=True)["num_epochs"] == 1
