"""The epoch that a run would be reported at: the one with the best validation accuracy.

DeepOBS reports the last epoch. The ALI-G paper reports the test accuracy of the weights that had
the best validation accuracy. Since runs are evaluated on every set after each epoch, that is an
entry of the lists that they have anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from alig_deepobs.results import RunResult


@dataclass(frozen=True)
class Selection:
    """A run at the epoch with its best validation result.

    Attributes:
        epoch: number of finished epochs, from 1 on.
        valid_loss, test_loss: data term of the loss after that epoch.
        valid_accuracy, test_accuracy: fractions; None for problems without accuracy.
    """

    epoch: int
    valid_loss: float
    test_loss: float
    valid_accuracy: float | None = None
    test_accuracy: float | None = None


def select(result: RunResult) -> Selection | None:
    """The epoch with the best validation accuracy (without accuracy: the lowest validation loss).

    Of several equal ones the first counts. The state before training does not take part.

    Args:
        result: a run, also one of DeepOBS's files, however it ended.

    Returns:
        None if the run has no validation set, or no epoch was finished.

    Example:
        >>> run = RunResult(
        ...     "digits_mlp", "SGD", {"lr": 0.1}, batch_size=32, num_epochs=3, random_seed=42,
        ...     valid_losses=[2.3, 0.3, 0.2, 0.1], valid_accuracies=[0.1, 0.9, 0.97, 0.97],
        ...     test_losses=[2.3, 0.4, 0.3, 0.2], test_accuracies=[0.1, 0.8, 0.95, 0.96],
        ... )
        >>> chosen = select(run)
        >>> chosen.epoch, chosen.test_accuracy
        (2, 0.95)
    """
    # DeepOBS's files have no data terms.
    valid_losses = result.valid_data_losses or result.valid_losses
    test_losses = result.test_data_losses or result.test_losses
    finished = range(1, min(len(valid_losses), len(test_losses)))
    if not finished:
        return None
    with_accuracy = bool(result.valid_accuracies and result.test_accuracies)
    if with_accuracy:
        epoch = max(finished, key=result.valid_accuracies.__getitem__)  # the first of equals
    else:
        epoch = min(finished, key=valid_losses.__getitem__)
    return Selection(
        epoch=epoch,
        valid_loss=valid_losses[epoch],
        test_loss=test_losses[epoch],
        valid_accuracy=result.valid_accuracies[epoch] if with_accuracy else None,
        test_accuracy=result.test_accuracies[epoch] if with_accuracy else None,
    )


def record_selection(result: RunResult) -> None:
    """Writes what `select` finds into the result's own fields."""
    chosen = select(result)
    if chosen is not None:
        result.best_valid_epoch = chosen.epoch
        result.best_valid_test_loss = chosen.test_loss
        result.best_valid_test_accuracy = chosen.test_accuracy
