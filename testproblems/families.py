"""What image problems have in common: losses, augmentation, networks, L2 terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import Phase, TestProblem
from alig_deepobs.testproblems.datasets.augment import Augmentation, Draws, standardize
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.datasets.twins import TWIN_SIZES
from alig_deepobs.testproblems.models.allcnnc import allcnnc
from alig_deepobs.testproblems.models.conv_nets import net_3c3d
from alig_deepobs.testproblems.models.vgg import vgg
from alig_deepobs.testproblems.models.wrn import wide_resnet

LARGE_TWIN = (128, 128)
HUGE_TWIN = (16, 8)


class Classification(TestProblem):
    """Images ``(batch_size, channels, height, width)`` in classes.

    Loss: cross entropy.
    """

    def _reduced_loss(self, outputs: Any, batch: Batch, reduction: str) -> Tensor:
        if type(self).losses_of is not TestProblem.losses_of:  # a subclass has a loss of its own
            return super()._reduced_loss(outputs, batch, reduction)
        # One fused operation instead of the losses and their mean saves up to a tenth of a step.
        return nn.functional.cross_entropy(outputs, batch[1], reduction=reduction)

    def mean_loss(self, outputs: Any, batch: Batch) -> Tensor:
        """The data loss of a mini-batch, in the form that is computed for many networks at once."""
        if type(self).losses_of is not TestProblem.losses_of:
            return super().mean_loss(outputs, batch)
        # A few classes side by side in memory make a slow softmax (five to ten times slower).
        logarithms = torch.log_softmax(outputs.t(), dim=0)
        return -logarithms.gather(0, batch[1].unsqueeze(0)).mean()


class ColourImages(Classification):
    """Images ``(batch_size, 3, side, side)``, augmented for training, with an L2 term.

    Training images are changed at random, anew in each epoch; all are standardized one by one.
    The changes depend on the seed, the set and the epoch alone.

    Source: DeepOBS 1.1.2.

    Args:
        batch_size: examples in a mini-batch.
        weight_decay: L2 factor; None for the problem's default.
        augmented_train_eval: whether training images are augmented, too, when they are evaluated,
            as DeepOBS does it, or prepared like test images.
        settings: the other arguments of `TestProblem`.
    """

    augmentation: ClassVar[Augmentation]
    classes: ClassVar[int]
    twin_sizes: ClassVar[tuple[int, int]] = TWIN_SIZES

    def __init__(
        self,
        batch_size: int,
        weight_decay: float | None = None,
        *,
        augmented_train_eval: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(batch_size, weight_decay, **settings)
        self.augmented_train_eval = augmented_train_eval

    @property
    def data_options(self) -> dict[str, Any]:
        """Where the data come from, and the size of the twin."""
        return {**super().data_options, "twin_sizes": self.twin_sizes}

    def augmentation_draws(self, phase: Phase, number: int) -> Draws:
        """The random numbers of a training epoch or of an evaluation on training data.

        They are drawn on the CPU, so that they are the same on every device.

        Returns:
            Tensors of shape ``(steps, batch_size)`` on the problem's device. An incomplete
            mini-batch has a full row, too.
        """
        size = self.data.size("train")
        if phase == "train_eval" and self.data.train_eval_size is not None:
            size = min(size, self.data.train_eval_size)
        generator = self._generator("augment", phase, number)
        steps, rest = divmod(size, self.batch_size)
        shape = (steps + (rest > 0 and not self.drops_incomplete), self.batch_size)
        return self.augmentation.draw(shape, generator).to(self.device)

    def batches(self, phase: Phase, number: int = 0) -> Iterator[Batch]:
        """The mini-batches of a pass, augmented or only standardized."""
        plain = super().batches(phase, number)
        if phase == "train" or (phase == "train_eval" and self.augmented_train_eval):
            return self._augmented(plain, self.augmentation_draws(phase, number))
        return (self.prepare(batch) for batch in plain)

    def prepare(self, batch: Batch) -> Batch:
        """A mini-batch as it is evaluated."""
        return standardize(batch[0]), batch[1]

    def _augmented(self, plain: Iterator[Batch], draws: Draws) -> Iterator[Batch]:
        for step, (images, labels) in enumerate(plain):
            yield self.augmentation.apply(images, draws[step][: len(images)]), labels


class ThreeConvThreeDense(ColourImages):
    """DeepOBS's "3c3d".

    Network: convolutions 5 x 5 (64 filters), 3 x 3 (96), 3 x 3 (128), each with ReLU and 3 x 3 max
        pooling of stride 2, dense layers 512-256-classes; Glorot's normal start for convolutions,
        his uniform one for dense layers, zero biases.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 0.002.
    Interpolation: no; L2 term and augmentation keep the training loss up.
    """

    default_weight_decay = 0.002
    side_by_side = "gpu"

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return net_3c3d(self.classes, generator)


class AllConvolutional(ColourImages):
    """All-CNN-C.

    Network: dropout 0.2, three 3 x 3 convolutions with 96 filters, dropout 0.5, three with 192,
        dropout 0.5, one with 192 and no padding, 1 x 1 convolutions with 192 and one filter a
        class, ReLU after each (the third and the sixth have stride 2), the mean over all pixels;
        Glorot's normal start, biases 0.1.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 5e-4.
    Interpolation: no; L2 term, dropout and augmentation keep the training loss up.
    """

    default_weight_decay = 5e-4
    side_by_side = "cpu"

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return allcnnc(self.classes, generator)


class WideResNet(ColourImages):
    """Wide residual networks.

    Network: a 3 x 3 convolution with 16 filters, three groups of residual units with 64, 128
        and 256 filters, batch normalization (0.9 of the running values is kept), the mean over all
        pixels, a dense layer; Glorot's uniform start.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 5e-4.
    Interpolation: not known; L2 term and augmentation work against it.
    """

    default_weight_decay = 5e-4
    twin_sizes = LARGE_TWIN
    units: ClassVar[int]
    widening: ClassVar[int] = 4

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return wide_resnet(self.units, self.widening, self.classes, generator)


class OnlyConvolutionsRegularized(ColourImages):
    """Networks whose L2 term has the kernels of convolutions, but not those of dense layers.

    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    """

    default_weight_decay = 5e-4
    twin_sizes = HUGE_TWIN

    def is_regularized(self, parameter: nn.Parameter) -> bool:
        """Whether the parameter is the kernel of a convolution."""
        return parameter.ndim == 4


class VGG(OnlyConvolutionsRegularized):
    """VGG networks.

    Network: images resized to 224 x 224 pixels, 13 (VGG 16) or 16 (VGG 19) convolutions 3 x 3 (64
        to 512 filters) with ReLU in five blocks, each with max pooling, dense layers 4096-4096
        with dropout 0.5, and the output; Glorot's normal start for convolutions, his uniform one
        for dense layers, zero biases.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: not known; L2 term, dropout and augmentation work against it.
    """

    variant: ClassVar[int]

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return vgg(self.variant, self.classes, generator)
