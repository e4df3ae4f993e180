"""DeepOBS's variational auto-encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.init import build_filled, glorot_uniform
from alig_deepobs.testproblems.models.same import SameConv2d, SameConvTranspose2d

DROPOUT = 0.2
SLOPE = 0.3


class VAE(nn.Module):
    """Encoder of three convolutions, decoder of three transposed ones, on 28 x 28 pixels.

    The code is drawn from a normal distribution in the train phase and in evaluations alike.
    Dropout and this noise come from PyTorch's global generator, since dropout takes no other;
    a runner that wants repeatable runs seeds it.

    Args:
        latent: dimensions of the code.
    """

    def __init__(self, latent: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *_encoding(1, size=28, stride=2),
            *_encoding(64, size=14, stride=2),
            *_encoding(64, size=7, stride=1),
            # TensorFlow flattens (height, width, channel), PyTorch (channel, height, width).
            nn.Flatten(),
        )
        self.mean = nn.Linear(64 * 7 * 7, latent)
        self.log_variance = nn.Linear(64 * 7 * 7, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 24),
            nn.LeakyReLU(SLOPE),
            nn.Linear(24, 49),
            nn.LeakyReLU(SLOPE),
            nn.Unflatten(1, (1, 7, 7)),
            SameConvTranspose2d(1, 64, kernel=4, size=7, stride=2),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            SameConvTranspose2d(64, 64, kernel=4, size=14),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            SameConvTranspose2d(64, 64, kernel=4, size=14),
            nn.ReLU(),
            nn.Flatten(),  # the same remark as in the encoder
            nn.Linear(64 * 14 * 14, 28 * 28),
            nn.Sigmoid(),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation of the code, each ``(batch, latent)``."""
        hidden = self.encoder(images)
        return self.mean(hidden), 0.5 * self.log_variance(hidden)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructs images from a sampled code.

        Args:
            images: shape ``(batch, 1, 28, 28)``, values from 0 to 1.

        Returns:
            The reconstruction, ``(batch, 784)``, and what `encode` returns.
        """
        mean, log_std = self.encode(images)
        code = mean + torch.randn_like(mean) * torch.exp(log_std)
        return self.decoder(code), mean, log_std


def vae(generator: torch.Generator) -> VAE:
    """DeepOBS's auto-encoder with 8 latent dimensions.

    Kernels have TensorFlow's default start, Glorot's uniform distribution; biases are zero.
    """
    return build_filled(VAE, glorot_uniform(generator))


def _encoding(channels: int, size: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        SameConv2d(channels, 64, kernel=4, size=size, stride=stride),
        nn.LeakyReLU(SLOPE),
        nn.Dropout(DROPOUT),
    )
