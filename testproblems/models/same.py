"""Convolutions with TensorFlow's padding "same" for inputs of a known size.

"Same" makes an output of ``ceil(size / stride)`` pixels. Where an odd number of padding pixels is
needed, TensorFlow puts the larger half behind, which PyTorch's symmetric padding cannot express.
"""

from __future__ import annotations

from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """The zeros that TensorFlow adds before and after an axis of ``size`` pixels.

    Example:
        >>> same_padding(28, kernel=4, stride=2)
        (1, 1)
        >>> same_padding(7, kernel=4, stride=1)
        (1, 2)
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution with padding "same" on square inputs.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: height and width of the kernel.
        size: height and width of the input, in pixels.
        stride: step of the kernel; the output has ``ceil(size / stride)`` pixels a side.
        bias: whether a bias is added.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        size: int,
        stride: int = 1,
        *,
        bias: bool = True,
    ) -> None:
        before, after = same_padding(size, kernel, stride)
        super().__init__(in_channels, out_channels, kernel, stride, padding=before, bias=bias)
        self.extra = after - before

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, in_channels, size, size)`` to the output."""
        if self.extra:
            x = nn.functional.pad(x, (0, self.extra, 0, self.extra))
        return super().forward(x)


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution with padding "same" on square inputs.

    It is the gradient of `SameConv2d` with respect to its input. The output has
    ``size * stride`` pixels a side, and what the forward convolution pads is cropped here: with
    an even kernel and stride 1, one pixel more behind than before.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: height and width of the kernel; at least ``stride``.
        size: height and width of the input, in pixels.
        stride: factor of the enlargement.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, size: int, stride: int = 1
    ) -> None:
        before, after = same_padding(size * stride, kernel, stride)
        super().__init__(in_channels, out_channels, kernel, stride, padding=before)
        self.extra = after - before

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps ``(batch, in_channels, size, size)`` to the enlarged output."""
        x = super().forward(x, output_size)
        # before + after < kernel, so cutting off a fixed number at the end is all that is left.
        return x[..., : -self.extra, : -self.extra] if self.extra else x
