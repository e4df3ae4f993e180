"""The imports that libraries on top of DeepOBS have."""

import alig_deepobs

alig_deepobs.register("pytorch")

import deepobs  # noqa: E402
import torch  # noqa: E402
from deepobs.abstract_runner.abstract_runner_utils import float2str  # noqa: E402
from deepobs.pytorch.config import set_default_device  # noqa: E402
from deepobs.pytorch.datasets.datasets_utils import train_eval_sampler  # noqa: E402
from deepobs.pytorch.datasets.quadratic import quadratic  # noqa: E402
from deepobs.pytorch.runners.runner_utils import make_lr_schedule  # noqa: E402
from deepobs.pytorch.testproblems.mnist_mlp import mnist_mlp  # noqa: E402
from deepobs.pytorch.testproblems.testproblem import (  # noqa: E402
    UnregularizedTestproblem,
    WeightRegularizedTestproblem,
)
from deepobs.pytorch.testproblems.testproblems_modules import net_mlp, net_wrn  # noqa: E402
from deepobs.pytorch.testproblems.testproblems_utils import (  # noqa: E402
    tfconv2d,
    tfconv2d_transpose,
    tfmaxpool2d,
)

assert deepobs.__version__.startswith("1.2")
assert float2str(0.01) == "1.e-02"
assert mnist_mlp is deepobs.pytorch.testproblems.mnist_mlp
assert issubclass(mnist_mlp, UnregularizedTestproblem)
assert issubclass(deepobs.pytorch.testproblems.cifar10_3c3d, WeightRegularizedTestproblem)
set_default_device("cpu")
data = quadratic(50)
assert data._train_dataloader.batch_size == 50
assert data._train_dataloader.drop_last
assert len(data._train_dataloader.dataset) == 1000
assert len(list(train_eval_sampler(10, 4))) == 4
assert sum(p.numel() for p in net_mlp(10).parameters()) == 1_336_610
assert sum(p.numel() for p in net_wrn(2, 4, 10).parameters()) == 2_748_890
images = torch.zeros(1, 3, 7, 7)
assert tfconv2d(3, 5, 4, 2, tf_padding_type="same")(images).shape == (1, 5, 4, 4)
assert tfconv2d_transpose(3, 5, 4, 2, tf_padding_type="same")(images).shape == (1, 5, 14, 14)
assert tfmaxpool2d(3, 2, tf_padding_type="same")(images).shape == (1, 3, 4, 4)
sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
assert make_lr_schedule(sgd, [1], [0.1]).lr_lambdas[0](1) == 0.1
assert not [name for name in dir(deepobs.config) if name.startswith("_")]
assert not hasattr(deepobs.pytorch.testproblems, "mnist_mpl")
