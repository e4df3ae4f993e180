"""``deepobs.pytorch.testproblems.testproblems_utils``: layers with TensorFlow's padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.losses import VAELoss
from alig_deepobs.testproblems.models.allcnnc import GlobalMean
from alig_deepobs.testproblems.models.same import same_padding

__all__ = [
    "flatten", "hook_factory_tf_inverse_padding_same", "hook_factory_tf_padding_same",
    "mean_allcnnc", "residual_block", "tfconv2d", "tfconv2d_transpose", "tfmaxpool2d",
    "vae_loss_function_factory",
]  # fmt: skip

flatten = nn.Flatten
mean_allcnnc = GlobalMean


def vae_loss_function_factory(reduction: str = "mean") -> Callable[..., Tensor]:
    """The loss of DeepOBS's variational auto-encoders, called with four arguments.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        A function of reconstruction, images, mean and logarithm of the standard deviation.
    """
    loss = VAELoss(reduction)

    def vae_loss(outputs: Tensor, targets: Tensor, mean: Tensor, std_dev: Tensor) -> Tensor:
        value: Tensor = loss((outputs.flatten(1), mean, std_dev), targets)
        return value

    return vae_loss


def hook_factory_tf_padding_same(kernel_size: int, stride: int) -> Callable[..., Any]:
    """A hook that pads the input of a layer as TensorFlow's "same" does.

    Args:
        kernel_size: of the layer.
        stride: of the layer.

    Returns:
        A function for ``register_forward_pre_hook`` of a layer without padding of its own.
    """

    def pad(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        height, width = inputs[0].shape[-2:]
        above, below = same_padding(height, kernel_size, stride)
        left, right = same_padding(width, kernel_size, stride)
        return nn.functional.pad(inputs[0], (left, right, above, below))

    return pad


def hook_factory_tf_inverse_padding_same(kernel_size: int, stride: int) -> Callable[..., Any]:
    """A hook that cuts the output of a transposed convolution as TensorFlow's "same" does.

    Args:
        kernel_size: of the layer.
        stride: of the layer.

    Returns:
        A function for ``register_forward_hook`` of a layer without padding of its own.
    """

    def cut(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        sizes = [size * stride for size in inputs[0].shape[-2:]]
        starts = [same_padding(size, kernel_size, stride)[0] for size in sizes]
        rows, columns = (slice(a, a + size) for a, size in zip(starts, sizes, strict=True))
        return output[..., rows, columns]

    return cut


def tfmaxpool2d(kernel_size: int, stride: int | None = None, tf_padding_type: str | None = None,
                **options: Any) -> nn.Module:  # fmt: skip
    """Max pooling, with TensorFlow's padding if asked.

    Args:
        kernel_size: of the window.
        stride: None for that of the window.
        tf_padding_type: ``"same"`` or None.
        **options: of ``torch.nn.MaxPool2d``.
    """
    pool = nn.MaxPool2d(kernel_size, stride, **options)
    if tf_padding_type == "same":
        pool.register_forward_pre_hook(
            hook_factory_tf_padding_same(kernel_size, kernel_size if stride is None else stride)
        )
    return pool


def tfconv2d(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1,
             bias: bool = True, tf_padding_type: str | None = None,
             **options: Any) -> nn.Module:  # fmt: skip
    """A convolution, with TensorFlow's padding if asked.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: of the kernel.
        stride: of the kernel.
        bias: whether it has one.
        tf_padding_type: ``"same"`` or None.
        **options: of ``torch.nn.Conv2d``.
    """
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, bias=bias, **options)
    if tf_padding_type == "same":
        layer.register_forward_pre_hook(hook_factory_tf_padding_same(kernel_size, stride))
    return layer


def tfconv2d_transpose(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1,
                       bias: bool = True, tf_padding_type: str | None = None,
                       **options: Any) -> nn.Module:  # fmt: skip
    """A transposed convolution, with TensorFlow's padding if asked; see `tfconv2d`."""
    layer = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride, bias=bias, **options)
    if tf_padding_type == "same":
        layer.register_forward_hook(hook_factory_tf_inverse_padding_same(kernel_size, stride))
    return layer


class residual_block(nn.Module):  # noqa: N801 - DeepOBS's name
    """A unit of a wide residual network, with batch normalization before each convolution.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        stride: of the first convolution.
        is_first_block: whether the shortcut has a convolution of its own.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, is_first_block: bool = False
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = tfconv2d(in_channels, out_channels, 3, stride, False, "same")
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = tfconv2d(out_channels, out_channels, 3, 1, False, "same")
        self.shortcut = (
            tfconv2d(in_channels, out_channels, 1, stride, False, "same")
            if is_first_block
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """The output for inputs ``(batch, in_channels, height, width)``."""
        activated = torch.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        inner = self.conv2(torch.relu(self.bn2(self.conv1(activated))))
        output: Tensor = inner + shortcut
        return output
