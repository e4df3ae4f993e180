"""The network Inception v3 with its auxiliary head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.init import build_filled, glorot_uniform
from alig_deepobs.testproblems.models.resize import Resize

SIZE = 299
# PyTorch's momentum is the weight of the new value, TensorFlow's (0.9997) that of the old one.
BATCH_NORM_MOMENTUM = 1.0 - 0.9997


class Branches(nn.Module):
    """Networks side by side on the same input; their outputs are joined channel by channel."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, channels, ...)`` to the joined outputs."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class InceptionV3(nn.Module):
    """Inception v3 for images of any size, which are resized to 299 x 299 pixels.

    Args:
        classes: units of both outputs.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            Resize(SIZE),
            _conv(3, 32, 3, stride=2),
            _conv(32, 32, 3),
            _conv(32, 64, 3, same=True),
            nn.MaxPool2d(3, 2),
            _conv(64, 80, 1),
            _conv(80, 192, 3),
            nn.MaxPool2d(3, 2),
            _block_35(192, 32),
            _block_35(256, 64),
            _block_35(288, 64),
            _to_17(288),
            *(_block_17(filters) for filters in (128, 160, 160, 192)),
        )
        self.auxiliary = nn.Sequential(
            nn.AvgPool2d(5, 3),
            _conv(768, 128, 1),
            _conv(128, 768, 5),
            nn.Flatten(),
            nn.Linear(768, classes),
        )
        self.head = nn.Sequential(
            _to_8(768),
            _block_8(1280),
            _block_8(2048),
            nn.AvgPool2d(8, 1),
            nn.Dropout(0.8),
            nn.Flatten(),
            nn.Linear(2048, classes),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps ``(batch, 3, rows, columns)`` to main and auxiliary logits, ``(batch, classes)``."""
        hidden = self.trunk(images)
        return self.head(hidden), self.auxiliary(hidden)


def inception_v3(classes: int, generator: torch.Generator) -> InceptionV3:
    """Inception v3 with TensorFlow's default start: Glorot's uniform distribution, zero biases.

    Szegedy et al.: Rethinking the Inception architecture for computer vision, arXiv:1512.00567.
    """
    return build_filled(lambda: InceptionV3(classes), glorot_uniform(generator))


def _conv(
    inputs: int, filters: int, kernel: int | tuple[int, int], stride: int = 1, same: bool = False
) -> nn.Module:
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    # "Same" occurs only with stride 1 and odd kernels, where its padding is symmetric.
    padding = (rows // 2, columns // 2) if same else (0, 0)
    return nn.Sequential(
        nn.Conv2d(inputs, filters, (rows, columns), stride, padding, bias=False),
        nn.BatchNorm2d(filters, eps=1e-3, momentum=BATCH_NORM_MOMENTUM),
        nn.ReLU(),
    )


def _chain(inputs: int, *convs: tuple[int, int | tuple[int, int]]) -> nn.Module:
    """Convolutions with padding "same", each given as its filters and its kernel."""
    modules = []
    for filters, kernel in convs:
        modules.append(_conv(inputs, filters, kernel, same=True))
        inputs = filters
    return nn.Sequential(*modules)


def _pooled(inputs: int, filters: int) -> nn.Module:
    # TensorFlow's average leaves the padding out.
    pool = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    return nn.Sequential(pool, _conv(inputs, filters, 1, same=True))


def _block_35(inputs: int, pooled: int) -> nn.Module:
    return Branches(
        _chain(inputs, (64, 1)),
        _pooled(inputs, pooled),
        _chain(inputs, (48, 1), (64, 5)),
        _chain(inputs, (64, 1), (96, 3), (96, 3)),
    )


def _to_17(inputs: int) -> nn.Module:
    return Branches(
        nn.MaxPool2d(3, 2),
        _conv(inputs, 384, 3, stride=2),
        nn.Sequential(_chain(inputs, (64, 1), (96, 3)), _conv(96, 96, 3, stride=2)),
    )


def _block_17(filters: int, inputs: int = 768) -> nn.Module:
    wide, high = (1, 7), (7, 1)
    return Branches(
        _chain(inputs, (192, 1)),
        _pooled(inputs, 192),
        _chain(inputs, (filters, 1), (filters, wide), (192, high)),
        _chain(
            inputs, (filters, 1), (filters, high), (filters, wide), (filters, high), (192, wide)
        ),
    )


def _to_8(inputs: int) -> nn.Module:
    narrow = _chain(inputs, (192, 1), (192, (1, 7)), (192, (7, 1)))
    return Branches(
        nn.MaxPool2d(3, 2),
        nn.Sequential(narrow, _conv(192, 192, 3, stride=2)),
        nn.Sequential(_chain(inputs, (192, 1)), _conv(192, 320, 3, stride=2)),
    )


def _block_8(inputs: int) -> nn.Module:
    def fork() -> nn.Module:
        return Branches(_chain(384, (384, (1, 3))), _chain(384, (384, (3, 1))))

    return Branches(
        _chain(inputs, (320, 1)),
        nn.Sequential(_chain(inputs, (384, 1)), fork()),
        nn.Sequential(_chain(inputs, (448, 1), (384, 3)), fork()),
        _pooled(inputs, 192),
    )
