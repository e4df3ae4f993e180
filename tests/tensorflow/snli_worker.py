"""Compares ``snli_bilstm`` of both frameworks: ``python snli_worker.py FOLDER``.

A process of its own, so that nothing of TensorFlow gets into that of pytest. Writes
``FOLDER/answer.json``.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import torch

from alig_deepobs import registry, testproblems
from alig_deepobs.results import read_result
from alig_deepobs.tensorflow import enable
from alig_deepobs.testproblems.tensorflow import snli_bilstm as module

v1 = tf.compat.v1
SEED = 5
SMALL = {"hidden_dim": 7, "fc_dim": 6, "embedding_dim": 5}


def compare(name, **options):
    """Outputs, losses and gradients of both on the same weights and training mini-batch."""
    theirs = getattr(module, name)
    settings = {"synthetic": True, **SMALL, **options}
    ours = getattr(testproblems, name)(9, seed=SEED, device="cpu", **settings)
    ours.set_up()
    batch = list(ours.batches("train", 0))[1]  # the second one
    logits = ours.forward(batch)
    losses = ours.losses_of(logits, batch)
    losses.mean().backward()
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(SEED)
        problem = theirs(9, **settings)
        problem.set_up()
        variables = {
            variable.op.name.replace("/", "."): variable for variable in v1.trainable_variables()
        }
        gradients = v1.gradients(tf.reduce_mean(problem.losses), list(variables.values()))
        session.run(v1.global_variables_initializer())
        parameters = dict(ours.net.named_parameters())
        assert variables.keys() == parameters.keys()
        for key, variable in variables.items():
            variable.load(parameters[key].detach().numpy(), session)
        session.run(problem.train_init_op)
        session.run(problem.losses)
        found = session.run([problem.dataset.batch[4], problem.logits, problem.losses, gradients])
    differences = [
        float(np.abs(found[1] - logits.detach().numpy()).max()),
        float(np.abs(found[2] - losses.detach().numpy()).max()),
        *(
            float(np.abs(gradient - parameters[key].grad.numpy()).max())
            for key, gradient in zip(variables, found[3], strict=True)
        ),
    ]
    return {
        "same_labels": found[0].tolist() == batch.labels.tolist(),
        "largest_difference": max(differences),
        "largest_gradient": max(float(np.abs(gradient).max()) for gradient in found[3]),
    }


def train(folder):
    """Trains a small problem with DeepOBS's own runner."""
    deepobs = enable()
    name = "snli_bilstm_svm"
    cls = registry.load_object(registry.find_testproblem(name).tensorflow_factory)
    small = type("snli_small", (cls,), {**SMALL, "synthetic": True, "embedding_dim": 20})
    deepobs.tensorflow.testproblems.snli_small = small
    runner = deepobs.tensorflow.runners.StandardRunner(
        v1.train.MomentumOptimizer, [{"name": "momentum", "type": float}]
    )
    runner.run(
        testproblem="snli_small",
        batch_size=32,
        num_epochs=3,
        learning_rate=0.1,
        momentum=0.9,
        random_seed=1,
        data_dir=str(folder),
        output_dir=str(folder / "results"),
    )
    [path] = (folder / "results").rglob("*.json")
    result = read_result(path)
    return {"train_losses": result.train_losses, "test_accuracies": result.test_accuracies}


def count_parameters():
    """The number of parameters of the full-size network; nothing is computed."""
    with tf.Graph().as_default():
        problem = module.snli_bilstm(2, synthetic=True)
        problem.set_up()
        return sum(variable.shape.num_elements() for variable in v1.trainable_variables())


def main(folder):
    torch.set_num_threads(1)
    folder = Path(folder)
    answer = {
        "snli_bilstm": compare("snli_bilstm"),
        "masked": compare("snli_bilstm", mask_padding=True),
        "snli_bilstm_svm": compare("snli_bilstm_svm"),
        "train": train(folder),
        "parameters": count_parameters(),
    }
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
