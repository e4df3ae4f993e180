"""The DNC in TensorFlow and in PyTorch: ``python dnc_worker.py FOLDER``; writes ``answer.json``.

A process of its own, so that nothing of TensorFlow gets into that of pytest.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import torch

from alig_deepobs.results import read_result
from alig_deepobs.tensorflow import enable
from alig_deepobs.testproblems import dnc_copy as for_pytorch
from alig_deepobs.testproblems.models import dnc as dnc_for_pytorch
from alig_deepobs.testproblems.tensorflow import dnc
from alig_deepobs.testproblems.tensorflow.dnc_copy import dnc_copy as for_tensorflow

v1 = tf.compat.v1
SEED = 42


def copy_weights(net, theirs, session, scale=1.0):
    """Gives TensorFlow the weights of PyTorch (and random biases to both)."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in net.named_parameters():
        with torch.no_grad():
            if name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
            parameter.mul_(scale)
        theirs[name].load(parameter.detach().numpy(), session)


def by_name():
    return {v.name.removesuffix(":0").replace("/", "."): v for v in v1.trainable_variables()}


def distance(ours, theirs):
    """The largest difference, relative to the largest value (if that is above 1)."""
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))


def compare_problem():
    """Outputs, losses, gradients and mini-batches of the problem."""
    problem = for_pytorch(16, device="cpu", seed=SEED)
    problem.set_up()
    answer = {"batches": [], "gradients": {}}
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(SEED)
        theirs = for_tensorflow(16)
        theirs.set_up()
        variables = by_name()
        answer["names"] = list(variables)
        answer["our_names"] = [name for name, _ in problem.net.named_parameters()]
        loss = v1.reduce_mean(theirs.losses) + theirs.regularizer
        gradients = v1.gradients(loss, list(variables.values()))
        session.run(v1.global_variables_initializer())
        answer["start"] = {
            name: [float(value.std()), float(np.abs(value).max()), value.size]
            for name, value in session.run(variables).items()
        }
        copy_weights(problem.net, variables, session)

        for epoch in range(2):
            session.run(theirs.train_init_op)
            for step, batch in enumerate(problem.batches("train", epoch)):
                if epoch == step == 0:
                    values = session.run(
                        (theirs.dataset.batch, theirs.logits, theirs.losses, loss,
                         theirs.accuracy, gradients)
                    )  # fmt: skip
                    found, logits, losses, value, accuracy, slopes = values
                else:
                    found = session.run(theirs.dataset.batch)
                equal = all(np.array_equal(a, b) for a, b in zip(found, batch, strict=True))
                answer["batches"].append(equal)
                if epoch == step == 0:
                    outputs = problem.forward(batch)
                    our_losses = problem.losses_of(outputs, batch)
                    our_losses.mean().backward()
                    answer["outputs"] = distance(outputs.detach().numpy(), logits)
                    answer["losses"] = distance(our_losses.detach().numpy(), losses)
                    answer["loss"] = [our_losses.mean().item(), float(value)]
                    answer["accuracy"] = [
                        problem.correct_of(outputs, batch).float().mean().item(), float(accuracy)
                    ]  # fmt: skip
                    named = dict(problem.net.named_parameters())
                    for name, slope in zip(variables, slopes, strict=True):
                        difference = np.abs(named[name].grad.numpy() - slope).max()
                        answer["gradients"][name] = [float(difference), float(np.abs(slope).max())]
            try:
                session.run(theirs.losses)
                answer["batches"].append(False)  # the epoch should be over
            except tf.errors.OutOfRangeError:
                pass
        answer["evaluations"] = {}
        for phase in ("train_eval", "test"):
            session.run(getattr(theirs, f"{phase}_init_op"))
            their_losses, accuracy = session.run((theirs.losses, theirs.accuracy))
            getattr(problem, f"{phase}_init_op")()
            our_loss, our_accuracy = problem.get_batch_loss_and_accuracy()
            answer["evaluations"][phase] = [
                len(their_losses), float(their_losses.mean()), our_loss.item(), float(accuracy),
                our_accuracy.item(),
            ]  # fmt: skip
    return answer


def compare_network(write_heads):
    """A small network in double precision, its states too."""
    sizes = {"hidden_dim": 5, "memory_slots": 4, "word_size": 3, "read_heads": 2}
    net = dnc_for_pytorch.DNC(4, 3, write_heads=write_heads, **sizes)
    net = dnc_for_pytorch.fill_dnc(net, torch.Generator().manual_seed(0)).double()
    inputs = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with tf.Graph().as_default(), v1.Session() as session:
        theirs = dnc.DNC(dnc.Sizes(4, 3, write_heads=write_heads, **sizes), tf.float64)
        outputs, state = theirs.unroll(tf.constant(inputs.numpy()), 4)
        variables = by_name()
        loss = v1.reduce_sum(v1.square(outputs))
        gradients = v1.gradients(loss, list(variables.values()))
        session.run(v1.global_variables_initializer())
        copy_weights(net, variables, session, scale=3.0)
        expected, state, slopes = session.run((outputs, state, gradients))
    found, after = net.unroll(inputs, net.initial_state(3))
    found.square().sum().backward()
    ours = after.access._asdict() | after.controller._asdict() | {"words": after.words}
    named = dict(net.named_parameters())
    return {
        "outputs": distance(found.detach().numpy(), expected),
        "state": {name: distance(ours[name].detach().numpy(), state[name]) for name in state},
        "gradients": {
            name: distance(named[name].grad.numpy(), slope)
            for name, slope in zip(variables, slopes, strict=True)
        },
    }


def run(folder):
    """DeepOBS's own runner, one epoch."""
    deepobs = enable()
    deepobs.tensorflow.testproblems.dnc_copy = for_tensorflow
    runner = deepobs.tensorflow.runners.StandardRunner(v1.train.AdamOptimizer, [])
    runner.run(
        testproblem="dnc_copy",
        batch_size=16,
        num_epochs=1,
        learning_rate=0.01,
        random_seed=SEED,
        output_dir=str(folder / "results"),
        train_log_interval=1,
    )
    [path] = (folder / "results" / "dnc_copy").rglob("*.json")
    result = read_result(path)
    return {
        "test_losses": result.test_losses,
        "test_accuracies": result.test_accuracies,
        "minibatch_train_losses": result.minibatch_train_losses,
    }


def main(folder):
    torch.set_num_threads(1)
    folder = Path(folder)
    answer = {
        "problem": compare_problem(),
        "networks": {str(heads): compare_network(heads) for heads in (1, 2)},
        "run": run(folder),
    }
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
