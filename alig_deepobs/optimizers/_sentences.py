"""Sentences that PyTorch's and TensorFlow's optimizers share; this imports no framework."""

from __future__ import annotations


def no_weight_decay(name: str) -> str:
    """What an optimizer says to ``weight_decay`` if its step cannot have one.

    Args:
        name: of the optimizer.
    """
    return (
        f"{name} takes no weight_decay: an L2 term lifts the smallest loss, which the step size "
        "relies on. Keep the weights in a ball instead: AliG(..., projection_fn=L2Ball(parameters, "
        "max_norm)) in PyTorch, max_norm=... in TensorFlow, Keras and on the command line; with "
        "other optimizers call the ball after each step"
    )
