"""What DeepOBS 1.1.2 gets for ``tf``: the API of TensorFlow 1, on TensorFlow 2.

TensorFlow objects are typed as Any here, because TensorFlow is an optional dependency.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from alig_deepobs.tensorflow._install import require

KERAS = "tf_keras.api._v1.keras"


class TensorFlow1(ModuleType):
    """A module that hands out ``tensorflow.compat.v1``, and its own version of what is gone.

    The layers come straight from ``tf_keras``, which is Keras 2. Inside TensorFlow, the environment
    variable ``TF_USE_LEGACY_KERAS`` would have to be set before the first import, and would turn
    every ``tf.keras`` of the process into Keras 2; so neither needs to be.

    Args:
        tf: TensorFlow 2.
    """

    def __init__(self, tf: Any) -> None:
        super().__init__("tensorflow", "TensorFlow 1 for DeepOBS")
        self._v1: Any = tf.compat.v1
        self.keras: Any = importlib.import_module(KERAS)
        self.layers: Any = importlib.import_module(f"{KERAS}.__internal__.legacy.layers")
        cells: Any = importlib.import_module(f"{KERAS}.__internal__.legacy.rnn_cell")
        self.contrib = SimpleNamespace(
            layers=SimpleNamespace(
                l2_regularizer=self._l2_regularizer, flatten=self.layers.flatten
            ),
            rnn=SimpleNamespace(
                LSTMCell=cells.LSTMCell,
                DropoutWrapper=cells.DropoutWrapper,
                MultiRNNCell=cells.MultiRNNCell,
                LSTMStateTuple=cells.LSTMStateTuple,
            ),
            seq2seq=SimpleNamespace(sequence_loss=self._sequence_loss),
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._v1, name)

    def reset_default_graph(self) -> None:
        """Does nothing: each run of the runner gets a new graph, which cannot be reset."""

    def _l2_regularizer(self, scale: float) -> Callable[[Any], Any] | None:
        """``tf.contrib.layers.l2_regularizer``: ``scale / 2`` times the squared norm."""
        if scale < 0.0:
            raise ValueError(f"scale must not be negative, but is {scale}")
        # Its value has the type of the weights, and so the scale gets it.
        return (lambda weights: scale * self._v1.nn.l2_loss(weights)) if scale else None

    def _sequence_loss(
        self,
        logits: Any,
        targets: Any,
        weights: Any,
        average_across_timesteps: bool = True,
        average_across_batch: bool = True,
    ) -> Any:
        """``tf.contrib.seq2seq.sequence_loss``: the weighted mean cross entropy of sequences."""
        losses = self._v1.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
        axes = [0] * average_across_batch + [1] * average_across_timesteps
        if not axes:
            return losses * weights
        total = self._v1.reduce_sum(weights, axis=axes)
        # The constant is TensorFlow's, for sequences whose weights are all zero.
        return self._v1.reduce_sum(losses * weights, axis=axes) / (total + 1e-12)


def alias_tensorflow(variables: dict[str, Any], folder: Path | None = None) -> TensorFlow1:
    """Lets ``tensorflow`` mean TensorFlow 1 in a module: what it has imported, and what it will.

    Python asks one function for all imports of a process. It is replaced once, by one that looks
    at who asks, so all other modules get what they would have got.

    Args:
        variables: those of the module.
        folder: modules that lie in it are meant, too.

    Returns:
        What they get.
    """
    alias = _alias()
    tf = sys.modules["tensorflow"]
    variables.update({name: alias for name, value in variables.items() if value is tf})
    if folder is not None:
        _folders.append(str(folder))
    _scripts.append(variables)
    if len(_scripts) == 1:
        _replace_import(alias)
    return alias


@functools.cache
def _alias() -> TensorFlow1:
    tf: Any = require("tensorflow")
    alias = TensorFlow1(tf)
    # That it does nothing is for DeepOBS's runner, whose graphs are its own.
    vars(alias)["reset_default_graph"] = tf.compat.v1.reset_default_graph
    return alias


_scripts: list[dict[str, Any]] = []
_folders: list[str] = []


def _asks_for_1(variables: Any) -> bool:
    """Whether the module of these variables was written for TensorFlow 1."""
    if any(known is variables for known in _scripts):
        return True
    file = (variables or {}).get("__file__")
    return isinstance(file, str) and str(Path(file).parent) in _folders


def _replace_import(alias: TensorFlow1) -> None:
    original: Any = builtins.__import__

    @functools.wraps(original)
    def import_(name: str, variables: Any = None, *more: Any, **options: Any) -> Any:
        if name == "tensorflow" and _asks_for_1(variables):
            return alias
        return original(name, variables, *more, **options)

    builtins.__import__ = import_  # type: ignore[assignment]
