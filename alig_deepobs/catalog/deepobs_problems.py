"""The test problems of DeepOBS 1.1.2, and two that need no download."""

from __future__ import annotations

from typing import Any, Literal

from alig_deepobs.entries import HyperParameter, ProblemEntry

DEEPOBS = "Schneider, Balles, Hennig: DeepOBS, ICLR 2019"


def _deepobs(
    name: str, label: str, module: str, data_set: str, batch_size: int, num_epochs: int,
    metric: Literal["accuracy", "loss"] = "accuracy", target: float | None = None,
    interpolates: bool | None = None, description: str = "", **others: Any,
) -> ProblemEntry:  # fmt: skip
    return ProblemEntry(
        name, label, f"alig_deepobs.testproblems.{module}:{name}", data_set, batch_size, num_epochs,
        metric=metric, target=target, interpolates=interpolates, description=description,
        citation=DEEPOBS, **others,
    )  # fmt: skip


# Default batch sizes and epochs are DeepOBS's. Where it gives none, those of wrn404 and inception
# are of the architecture's own paper, and those of the two-dimensional problems, of the VGG
# networks, of cifar100_3c3d and of svhn_3c3d are ours. The targets are DeepOBS's convergence
# performances.
DEEPOBS_PROBLEMS = (
    _deepobs("quadratic_deep", "Quadratic Deep", "closed_form", "quadratic", 128, 100,
             "loss", 87.7031546477, False, "noisy quadratic in 100 dimensions"),
    _deepobs("two_d_rosenbrock", "2D Rosenbrock", "closed_form", "two_d", 128, 100,
             "loss", None, False, "Rosenbrock function with linear noise", has_validation=False),
    _deepobs("two_d_beale", "2D Beale", "closed_form", "two_d", 128, 100,
             "loss", None, False, "Beale function with linear noise", has_validation=False),
    _deepobs("two_d_branin", "2D Branin", "closed_form", "two_d", 128, 100,
             "loss", None, False, "Branin function with linear noise", has_validation=False),
    ProblemEntry(
        "digits_logreg", "Digits LogReg", "alig_deepobs.testproblems.digits:digits_logreg",
        "digits", 32, 30, interpolates=True, weight_decay=0.0, reshuffles=True,
        citation="scikit-learn: load_digits; UCI optdigits",
        description="logistic regression on 1,797 handwritten digits; needs no download",
    ),
    ProblemEntry(
        "digits_mlp", "Digits MLP", "alig_deepobs.testproblems.digits:digits_mlp",
        "digits", 32, 30, interpolates=True, weight_decay=0.0, reshuffles=True,
        options={"hidden_dim": HyperParameter(int, 100, "hidden units")},
        citation="scikit-learn: load_digits; UCI optdigits",
        description="multi-layer perceptron on 1,797 handwritten digits; needs no download",
    ),
    _deepobs("mnist_logreg", "MNIST LogReg", "mnist", "mnist", 128, 50,
             interpolates=False, description="logistic regression on MNIST"),
    _deepobs("mnist_mlp", "MNIST MLP", "mnist", "mnist", 128, 100,
             interpolates=True, description="four-layer perceptron on MNIST"),
    _deepobs("mnist_2c2d", "MNIST CNN", "mnist", "mnist", 128, 100,
             interpolates=True, description="two convolutions and two dense layers on MNIST"),
    _deepobs("mnist_vae", "MNIST VAE", "mnist", "mnist", 64, 50,
             "loss", 73.4981979687, False, "variational auto-encoder on MNIST"),
    _deepobs("fmnist_logreg", "F-MNIST LogReg", "mnist", "fmnist", 128, 50,
             interpolates=False, description="logistic regression on Fashion-MNIST"),
    _deepobs("fmnist_mlp", "F-MNIST MLP", "mnist", "fmnist", 128, 100,
             interpolates=True, description="four-layer perceptron on Fashion-MNIST"),
    _deepobs("fmnist_2c2d", "F-MNIST CNN", "mnist", "fmnist", 128, 100,
             "accuracy", 0.919809327863, True,
             "two convolutions and two dense layers on Fashion-MNIST"),
    _deepobs("fmnist_vae", "F-MNIST VAE", "mnist", "fmnist", 64, 100,
             "loss", 92.9776499736, False, "variational auto-encoder on Fashion-MNIST"),
    _deepobs("cifar10_3c3d", "CIFAR-10 3c3d", "cifar", "cifar10", 128, 100,
             "accuracy", 0.828330707958, False, weight_decay=0.002,
             description="three convolutions and three dense layers on CIFAR-10"),
    _deepobs("cifar10_vgg16", "CIFAR-10 VGG16", "cifar", "cifar10", 128, 100,
             weight_decay=5e-4, description="VGG 16 on CIFAR-10, enlarged to 224 x 224"),
    _deepobs("cifar10_vgg19", "CIFAR-10 VGG19", "cifar", "cifar10", 128, 100,
             weight_decay=5e-4, description="VGG 19 on CIFAR-10, enlarged to 224 x 224"),
    _deepobs("cifar100_3c3d", "CIFAR-100 3c3d", "cifar", "cifar100", 128, 100,
             interpolates=False, weight_decay=0.002,
             description="three convolutions and three dense layers on CIFAR-100"),
    _deepobs("cifar100_vgg16", "CIFAR-100 VGG16", "cifar", "cifar100", 128, 100,
             weight_decay=5e-4, description="VGG 16 on CIFAR-100, enlarged to 224 x 224"),
    _deepobs("cifar100_vgg19", "CIFAR-100 VGG19", "cifar", "cifar100", 128, 100,
             weight_decay=5e-4, description="VGG 19 on CIFAR-100, enlarged to 224 x 224"),
    _deepobs("cifar100_allcnnc", "CIFAR-100 All-CNN-C", "cifar", "cifar100", 256, 350,
             "accuracy", 0.525604351157, False, weight_decay=5e-4,
             description="nine convolutions on CIFAR-100"),
    _deepobs("cifar100_wrn164", "CIFAR-100 WRN-16-4", "cifar", "cifar100", 128, 200,
             weight_decay=5e-4, description="smaller wide residual network on CIFAR-100"),
    _deepobs("cifar100_wrn404", "CIFAR-100 WRN-40-4", "cifar", "cifar100", 128, 200,
             weight_decay=5e-4, description="wide residual network on CIFAR-100"),
    _deepobs("svhn_3c3d", "SVHN 3c3d", "svhn", "svhn", 128, 100,
             interpolates=False, weight_decay=0.002,
             description="three convolutions and three dense layers on SVHN"),
    _deepobs("svhn_wrn164", "SVHN WRN-16-4", "svhn", "svhn", 128, 160,
             "accuracy", 0.95019918433, weight_decay=5e-4,
             description="wide residual network on SVHN"),
    _deepobs("tolstoi_char_rnn", "Tolstoi Char-RNN", "tolstoi", "tolstoi", 50, 200,
             "accuracy", 0.60458635662, False,
             "two-layer LSTM, character by character through War and Peace"),
    _deepobs("imagenet_vgg16", "ImageNet VGG16", "imagenet", "imagenet", 128, 100,
             weight_decay=5e-4, has_validation=False, description="VGG 16 on ImageNet"),
    _deepobs("imagenet_vgg19", "ImageNet VGG19", "imagenet", "imagenet", 128, 100,
             weight_decay=5e-4, has_validation=False, description="VGG 19 on ImageNet"),
    _deepobs("imagenet_inception_v3", "ImageNet Inception v3", "imagenet", "imagenet", 32, 100,
             interpolates=False, weight_decay=5e-4, has_validation=False,
             description="Inception v3 on ImageNet"),
)  # fmt: skip
