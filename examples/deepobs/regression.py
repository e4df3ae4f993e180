"""A problem of one's own without accuracy, whose loss is a mean squared error."""

import alig_deepobs

alig_deepobs.register("pytorch")

import deepobs.pytorch  # noqa: E402
import torch  # noqa: E402
from deepobs.pytorch.datasets import DataSet  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402
from deepobs.pytorch.testproblems import WeightRegularizedTestproblem  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402


class Parabola(DataSet):
    _train_eval_size = 40

    def _make_train_and_valid_dataloader(self):
        x = torch.linspace(-1, 1, 200).unsqueeze(1)
        examples = TensorDataset(x, x**2)
        return self._make_train_and_valid_dataloader_helper(examples, examples)

    def _make_test_dataloader(self):
        x = torch.linspace(-0.99, 0.99, 40).unsqueeze(1)
        return self._make_dataloader(TensorDataset(x, x**2))


class parabola_net(WeightRegularizedTestproblem):  # noqa: N801 - DeepOBS's style
    def __init__(self, batch_size, weight_decay=1e-4):
        super().__init__(batch_size, weight_decay)

    def set_up(self):
        self.data = Parabola(self._batch_size)
        self.loss_function = nn.MSELoss
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).to(self._device)
        self.regularization_groups = self.get_regularization_groups()


deepobs.pytorch.testproblems.parabola_net = parabola_net

if __name__ == "__main__":
    output = StandardRunner(torch.optim.SGD, {"lr": {"type": float, "default": 0.1}}).run(
        "parabola_net", batch_size=20, num_epochs=3
    )
    assert "test_accuracies" not in output
    assert output["test_losses"][-1] < output["test_losses"][0]
