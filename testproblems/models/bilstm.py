"""The Bi-LSTM of InferSent: sentence vectors by max-pooling, and a classifier on two of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.init import build_empty

HIDDEN_DIM = 2048
FC_DIM = 512
CLASSES = 3


class MaxPoolBiLSTM(nn.Module):
    """One bidirectional LSTM layer, pooled by the maximum over time.

    A maximum does not depend on the order of time. So each direction is an LSTM of its own that
    runs over padded sentences, the backward one over sentences that are turned round within their
    lengths. Nothing is sorted or packed, and the fast kernels for plain sequences apply.

    Args:
        input_dim: length of the word vectors.
        hidden_dim: units of each direction.
        mask_padding: In the paper's code, the outputs behind the end of a sentence are zero and
            take part in the maximum. So for each sentence but the longest ones of its mini-batch a
            feature is ``max(0, maximum)``, and depends on what else is in the mini-batch. True
            leaves those zeros out.
    """

    def __init__(self, input_dim: int, hidden_dim: int, mask_padding: bool = False) -> None:
        super().__init__()
        self.forwards = nn.LSTM(input_dim, hidden_dim, batch_first=True)
        self.backwards = nn.LSTM(input_dim, hidden_dim, batch_first=True)
        self.mask_padding = mask_padding

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """The vectors of sentences.

        Args:
            words: word vectors of shape ``(batch, time, input_dim)``; what stands behind the end
                of a sentence plays no part.
            lengths: words of each sentence, at least 1; int64 of shape ``(batch,)``.

        Returns:
            Floats of shape ``(batch, 2 * hidden_dim)``, forward features first.
        """
        steps = torch.arange(words.shape[1], device=words.device)
        inside = (steps < lengths.unsqueeze(1)).unsqueeze(2)
        reversed_steps = (lengths.unsqueeze(1) - 1 - steps).clamp(min=0).unsqueeze(2)
        turned = words.gather(1, reversed_steps.expand_as(words))
        outside = words.new_full((), -math.inf if self.mask_padding else 0.0)
        return torch.cat(
            [
                torch.where(inside, lstm(sequence)[0], outside).amax(dim=1)
                for lstm, sequence in ((self.forwards, words), (self.backwards, turned))
            ],
            dim=1,
        )


class NLINet(nn.Module):
    """Tells from the vectors ``u`` and ``v`` of two sentences how they relate.

    Features ``[u, v, |u - v|, u * v]``, then three dense layers without anything in between, as
    in the paper's code.

    Args:
        input_dim: length of the word vectors.
        hidden_dim: units of each direction of the LSTM.
        fc_dim: units of the first two dense layers.
        classes: number of classes.
        mask_padding: see `MaxPoolBiLSTM`.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int = HIDDEN_DIM,
        fc_dim: int = FC_DIM,
        classes: int = CLASSES,
        mask_padding: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = MaxPoolBiLSTM(input_dim, hidden_dim, mask_padding)
        self.classifier = nn.Sequential(
            nn.Linear(4 * 2 * hidden_dim, fc_dim),
            nn.Linear(fc_dim, fc_dim),
            nn.Linear(fc_dim, classes),
        )

    def forward(
        self,
        premises: Tensor,
        premise_lengths: Tensor,
        hypotheses: Tensor,
        hypothesis_lengths: Tensor,
    ) -> Tensor:
        """The scores of the classes, ``(batch, classes)``; see `MaxPoolBiLSTM` for the inputs."""
        u = self.encoder(premises, premise_lengths)
        v = self.encoder(hypotheses, hypothesis_lengths)
        scores: Tensor = self.classifier(torch.cat([u, v, (u - v).abs(), u * v], dim=1))
        return scores


@torch.no_grad()
def nli_net(build: Callable[[], NLINet], generator: torch.Generator) -> NLINet:
    """Builds the network with PyTorch's default start.

    Every weight and bias is uniform between ``-1 / sqrt(n)`` and ``1 / sqrt(n)``, where ``n`` is
    the number of hidden units for the LSTM and of inputs for a dense layer.

    Args:
        build: builds the network.
        generator: the only source of randomness.
    """
    net = build_empty(build)

    def draw(module: nn.Module, n: int) -> None:
        for parameter in module.parameters():
            nn.init.uniform_(parameter, -(n**-0.5), n**-0.5, generator=generator)

    for lstm in (net.encoder.forwards, net.encoder.backwards):
        draw(lstm, lstm.hidden_size)
    for layer in net.classifier:
        assert isinstance(layer, nn.Linear)
        draw(layer, layer.in_features)
    return net
