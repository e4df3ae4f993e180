"""Runs DeepOBS's own runner on problems: ``FOLDER PROBLEM=BATCH_SIZE[=OPTIMIZER,...]...``.

A process of its own, so that nothing of TensorFlow gets into that of pytest. Writes
``FOLDER/answer.json``.
"""

import json
import sys
import traceback
from pathlib import Path

import official_files
import tensorflow as tf

from alig_deepobs.results import read_result
from alig_deepobs.tensorflow import AliG, enable

# Two steps per epoch, for the data sets that are not read from files.
FIXED = {"quadratic": 500, "two": 5000}
# The gradient of Beale's function is 10^5 at the start, that of the recurrent network tiny.
LEARNING_RATES = {"two_d_beale": 1e-7, "tolstoi_char_rnn": 0.1}


class Sgd(tf.compat.v1.train.GradientDescentOptimizer):
    """SGD that counts the parameters it is given."""

    parameters = 0

    def apply_gradients(self, pairs, *args, **kwargs):
        pairs = list(pairs)
        Sgd.parameters = sum(variable.shape.num_elements() for _, variable in pairs)
        return super().apply_gradients(pairs, *args, **kwargs)


v1 = tf.compat.v1
MOMENTUM = [{"name": "momentum", "type": float, "default": 0.9}]
OPTIMIZERS = {
    "sgd": (Sgd, []),
    "momentum": (v1.train.MomentumOptimizer, MOMENTUM),
    "adam": (v1.train.AdamOptimizer, []),
    "alig": (AliG, MOMENTUM),
}


def run(problem, batch_size, optimizer, folder):
    optimizer_class, hyperparams = OPTIMIZERS[optimizer]
    rate = LEARNING_RATES.get(problem, 1e-3)
    runner = enable().tensorflow.runners.StandardRunner(optimizer_class, hyperparams)
    runner.run(
        testproblem=problem,
        batch_size=batch_size,
        num_epochs=1,
        # Adam's and ALI-G's steps do not grow with the gradient.
        learning_rate=max(rate, 1e-3) if optimizer in ("adam", "alig") else rate,
        data_dir=str(folder / "data"),
        output_dir=str(folder / "results"),
        train_log_interval=1,
    )
    [path] = (folder / "results" / problem / optimizer_class.__name__).rglob("*.json")
    result = read_result(path)
    return {
        "train_losses": result.train_losses,
        "test_losses": result.test_losses,
        "test_accuracies": result.test_accuracies,
        "minibatch_train_losses": result.minibatch_train_losses,
        "parameters": Sgd.parameters,
    }


def run_all(problem, batch_size, optimizers, folder):
    data_set = problem.split("_")[0]
    batch_size = FIXED.get(data_set, batch_size)
    official_files.write(data_set, folder / "data", 2 * batch_size, batch_size, batch_size)
    return {name: run(problem, batch_size, name, folder) for name in optimizers}


def main(folder, *problems):
    folder = Path(folder)
    answers = {}
    for item in problems:
        problem, batch_size, *optimizers = item.split("=")
        chosen = optimizers[0].split(",") if optimizers else ["sgd"]
        try:
            answers[problem] = run_all(problem, int(batch_size), chosen, folder / problem)
        except Exception:  # noqa: BLE001 - the test shows whatever it is
            answers[problem] = {"error": traceback.format_exc()}
    (folder / "answer.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
