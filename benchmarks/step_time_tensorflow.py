"""Time of a training step in TensorFlow: AliG against TensorFlow's optimizers, side by side.

    python benchmarks/step_time_tensorflow.py [--rounds 15]

Each optimizer trains its own copy of a network on one fixed mini-batch, in a graph of
``tf.compat.v1`` as DeepOBS 1.1.2 builds it. Prints the median time of a whole training step and
its ratio to that of TensorFlow's Nesterov momentum. The optimizers take turns within each round,
and ratios are taken round by round, so a machine whose speed drifts drifts for all.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

import numpy as np
import tensorflow as tf

from alig_deepobs.tensorflow import AliG

v1 = tf.compat.v1

# Units of dense layers; the networks of digits_mlp and of DeepOBS's mnist_mlp.
NETWORKS = {
    "64-100-50-10, batch 32": (32, (64, 100, 50, 10)),
    "784-1000-500-100-10, batch 128": (128, (784, 1000, 500, 100, 10)),
}

OPTIMIZERS = {
    "TensorFlow Momentum, Nesterov": lambda: v1.train.MomentumOptimizer(
        1e-6, 0.9, use_nesterov=True
    ),
    "TensorFlow SGD": lambda: v1.train.GradientDescentOptimizer(1e-6),
    "TensorFlow Adam": lambda: v1.train.AdamOptimizer(1e-6),
    "AliG, momentum 0": lambda: AliG(1e-6),
    "AliG, momentum 0.9": lambda: AliG(1e-6, momentum=0.9),
    "AliG, momentum 0.9, adjusted": lambda: AliG(1e-6, momentum=0.9, adjusted_momentum=True),
}


def training_step(make_optimizer, batch_size, units):
    """A function that takes one training step."""
    rng = np.random.default_rng(0)
    graph = tf.Graph()
    with graph.as_default():
        x = tf.constant(rng.normal(size=(batch_size, units[0])), tf.float32)
        labels = tf.constant(rng.integers(0, units[-1], batch_size))
        for index, (inputs, outputs) in enumerate(itertools.pairwise(units)):
            start = (rng.normal(size=(inputs, outputs)) / inputs**0.5).astype(np.float32)
            x = tf.matmul(x, v1.Variable(start)) + v1.Variable(np.zeros(outputs, np.float32))
            x = tf.nn.relu(x) if index < len(units) - 2 else x
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
        step = make_optimizer().minimize(tf.reduce_mean(losses))
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
    return session.make_callable(step)


def seconds(step, calls):
    """Mean time of a step over a burst of calls."""
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return (time.perf_counter() - start) / calls


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print(f"tensorflow {tf.__version__}")
    for name, (batch_size, units) in NETWORKS.items():
        steps = {
            label: training_step(make, batch_size, units) for label, make in OPTIMIZERS.items()
        }
        base = "TensorFlow Momentum, Nesterov"
        for step in steps.values():
            seconds(step, 5)
        calls = max(5, int(0.1 / seconds(steps[base], 5)))
        times = {label: [] for label in steps}
        for _ in range(args.rounds):
            for label, step in steps.items():
                times[label].append(seconds(step, calls))
        print(f"\n{name}: {args.rounds} rounds of {calls} training steps")
        for label, values in times.items():
            ratios = sorted(value / b for value, b in zip(values, times[base], strict=True))
            print(
                f"  {label:32s} {statistics.median(values) * 1e6:9.1f} us   ratio "
                f"{statistics.median(ratios):.2f}  [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
            )


if __name__ == "__main__":
    main()
