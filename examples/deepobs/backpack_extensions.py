"""BackPACK on DeepOBS's problems: the network and the loss are extended, and steps stay the same.

Needs `pip install "alig-deepobs[backpack]"`.
"""

import alig_deepobs

alig_deepobs.register("pytorch")

import torch  # noqa: E402
from backpack import backpack, extend  # noqa: E402
from backpack.extensions import BatchGrad  # noqa: E402
from deepobs.pytorch import config, testproblems  # noqa: E402

NAMES = ("digits_logreg", "digits_mlp", "mnist_logreg", "mnist_mlp", "fmnist_mlp", "mnist_2c2d")

if __name__ == "__main__":
    config.set_default_device("cpu")
    for name in NAMES:
        torch.manual_seed(42)
        problem = getattr(testproblems, name)(8, synthetic=True)
        problem.set_up()
        problem.net = extend(problem.net)
        loss_function = problem.loss_function
        problem.loss_function = lambda reduction="mean", make=loss_function: extend(
            make(reduction=reduction)
        )
        problem.train_init_op()
        loss, accuracy = problem.get_batch_loss_and_accuracy_func()()
        with backpack(BatchGrad()):
            loss.backward()
        for parameter in problem.net.parameters():
            assert parameter.grad_batch.shape == (8, *parameter.shape)
            assert torch.allclose(parameter.grad_batch.sum(0), parameter.grad, atol=1e-5)
        print(f"{name}: loss {loss.item():.4f}, accuracy {accuracy:.3f}")
