"""Compares our problems with DeepOBS's on the same weights: ``FOLDER PROBLEM=BATCH_SIZE...``.

A process of its own, so that nothing of TensorFlow gets into that of pytest. Writes
``FOLDER/answer.json``: losses, accuracies and L2 terms of both for each problem and phase.
"""

import json
import shutil
import sys
import traceback
from pathlib import Path
from unittest import mock

import numpy as np
import official_files
import tensorflow as tf
import torch
import weights

from alig_deepobs import testproblems
from alig_deepobs.tensorflow import enable

v1 = tf.compat.v1
# The noise of the auto-encoders' codes, the same for each image.
NOISE = np.linspace(-1.0, 1.0, 8, dtype=np.float32)
# Data sets whose evaluation on training data is not augmented, and uses all of them.
EXACT_TRAIN_EVAL = {"quadratic", "two", "mnist", "tolstoi"}


def their_noise(shape):
    return tf.broadcast_to(tf.constant(NOISE), shape)


def our_noise(like):
    return torch.from_numpy(NOISE).expand_as(like)


def phases(problem):
    exact = problem.split("_")[0] in EXACT_TRAIN_EVAL
    return ("test", "train_eval") if exact else ("test",)


def evaluate_theirs(deepobs, name, batch_size):
    """What DeepOBS's problem says with weights drawn at random, and those weights."""
    rng = np.random.default_rng(1)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(1)
        problem = getattr(deepobs.tensorflow.testproblems, name)(batch_size)
        alias = deepobs.tensorflow.config.tf
        with mock.patch.object(alias, "random_normal", their_noise, create=True):
            problem.set_up()
        session.run(v1.global_variables_initializer())
        values = {}
        for variable in v1.global_variables():
            if variable.dtype.base_dtype != tf.float32:
                continue
            value = session.run(variable)
            value = value * rng.uniform(0.8, 1.2, value.shape)
            # Constant starts (biases, batch normalization) would hide a mix-up.
            if value.ndim < 2 or not value.any():
                value = value + rng.uniform(0.0, 0.05, value.shape)
            values[variable.name.removesuffix(":0")] = value.astype(np.float32)
            variable.load(value, session)
        answer = {"regularizer": float(session.run(problem.regularizer))}
        accuracy = tf.constant(0.0) if problem.accuracy is None else problem.accuracy
        for phase in phases(name):
            session.run(getattr(problem, f"{phase}_init_op"))
            losses, accuracies = [], []
            while True:
                try:
                    mini_batch = session.run((problem.losses, accuracy))
                except tf.errors.OutOfRangeError:
                    break
                losses.append(mini_batch[0])
                accuracies.append(float(mini_batch[1]))
            answer[phase] = summarize(losses, accuracies)
    return answer, values


def evaluate_ours(name, batch_size, data_dir, values):
    """What our problem says with these weights."""
    problem = getattr(testproblems, name)(
        batch_size, data_dir=str(data_dir), offline=True, device="cpu", seed=0
    )
    problem.set_up()

    def run():
        problem.test_init_op()
        problem.get_batch_loss_and_accuracy()

    if name.startswith(("quadratic", "two_d")):
        weights.copy_variables(problem.net, values)
    elif name == "tolstoi_char_rnn":
        weights.copy_char_rnn(problem.net, values)
    else:
        weights.copy_layers(name, problem.net, values, run)
    answer = {"regularizer": float(problem.get_regularization_loss())}
    for phase in phases(name):
        getattr(problem, f"{phase}_init_op")()
        losses, accuracies = [], []
        with mock.patch.object(torch, "randn_like", our_noise):
            while True:
                try:
                    loss, accuracy = problem.get_batch_loss_and_accuracy("none", False)
                except StopIteration:
                    break
                losses.append(loss.numpy())
                accuracies.append(float(accuracy))
        answer[phase] = summarize(losses, accuracies)
    return answer


def summarize(losses, accuracies):
    losses = np.concatenate(losses)
    return {
        "loss": float(losses.mean(dtype=np.float64)),
        "accuracy": float(np.mean(accuracies)),
        # In order of size: the sets may be shuffled.
        "losses": sorted(losses.tolist()),
    }


def compare(deepobs, name, batch_size, folder):
    data_set = name.split("_")[0]
    ours, theirs = folder / "ours", folder / "theirs"
    theirs.mkdir(parents=True)
    official_files.write(data_set, theirs, 5 * batch_size, 3 * batch_size, batch_size)
    shutil.copytree(theirs, ours)
    if name == "fmnist_mlp":  # DeepOBS's reads the files of MNIST
        shutil.copytree(theirs / "mnist", ours / "fmnist", dirs_exist_ok=True)
    if data_set == "cifar100":
        official_files.shift_cifar100(ours)
    deepobs.tensorflow.config.set_data_dir(str(theirs))
    expected, values = evaluate_theirs(deepobs, name, batch_size)
    return {"theirs": expected, "ours": evaluate_ours(name, batch_size, ours, values)}


def main(folder, *problems):
    torch.set_num_threads(1)
    folder = Path(folder)
    deepobs = enable()
    answers = {}
    for item in problems:
        name, batch_size = item.split("=")
        try:
            answers[name] = compare(deepobs, name, int(batch_size), folder / name)
        except Exception:  # noqa: BLE001 - the test shows whatever it is
            answers[name] = {"error": traceback.format_exc()}
    (folder / "answer.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
