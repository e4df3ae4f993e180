"""ALI-G for tf.compat.v1, tried in one process: ``python alig_worker.py FOLDER``.

Each function is a scenario; its answer goes to ``FOLDER/answer.json`` under its name. The tests are
in ``test_alig.py``.
"""

import itertools
import json
import sys
import traceback
from pathlib import Path

import numpy as np
import tensorflow as tf
import torch

from alig_deepobs import AliG as TorchAliG
from alig_deepobs import L2Ball
from alig_deepobs.tensorflow import AliG

v1 = tf.compat.v1
START = {"a": [1.0, -1.0], "b": [2.0]}


def quadratic(a, b):
    """Problem Q: f = (a1^2 + 4 a2^2 + b^2 / 4) / 2."""
    return (a[0] ** 2 + 4 * a[1] ** 2 + b[0] ** 2 / 4) / 2


def variables(use_resource=True, dtype=tf.float64):
    with v1.variable_scope("q", use_resource=use_resource):
        return [v1.get_variable(k, initializer=tf.constant(x, dtype)) for k, x in START.items()]


def on_q(steps=3, use_resource=True, **options):
    """Loss before, weights after and step size of each step."""
    rows = []
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = variables(use_resource)
        loss = quadratic(a, b)
        optimizer = AliG(**options)
        step = optimizer.minimize(loss)
        session.run(v1.global_variables_initializer())
        for _ in range(steps):
            _, value, size = session.run([step, loss, optimizer.step_size])
            rows.append([float(value), *session.run(a).tolist(), *session.run(b).tolist()])
            rows[-1].append(float(size))
    return rows


def vectors():
    caps = {"none": None, "0.2": 0.2}
    found = {
        f"{name} {momentum}": on_q(max_lr=cap, momentum=momentum, adjusted_momentum=True)
        for (name, cap), momentum in itertools.product(caps.items(), (0.0, 0.9))
    }
    found["0.2 standard"] = on_q(max_lr=0.2, momentum=0.9)
    found["0.2 eps0"] = on_q(max_lr=0.2, eps=0.0)
    found["0.2 ball"] = on_q(max_lr=0.2, max_norm=2.0)
    found["0.2 standard ball"] = on_q(max_lr=0.2, momentum=0.9, max_norm=2.0)
    found["refs"] = on_q(max_lr=0.2, momentum=0.9, max_norm=2.0, use_resource=False)
    return found


def fed():
    """Problem P: losses and gradients are fed."""
    losses = [3.0, 0.02, 0.5]
    gradients = [([1.0, -4.0], [0.5]), ([0.02, -0.05], [0.5]), ([-0.3, 0.01], [-0.25])]
    found = {}
    for name, options in {
        "plain": {},
        "standard": {"momentum": 0.9},
        "adjusted": {"momentum": 0.9, "adjusted_momentum": True},
    }.items():
        found[name] = feed(losses, gradients, max_lr=0.2, **options)["weights"]
    vanishing = [gradients[0], ([0.0, 0.0], [0.0]), ([0.0, 0.0], [0.0])]
    for name in ("standard", "adjusted"):
        found[f"vanishing {name}"] = feed(
            [3.0, 0.0, 0.0],
            vanishing,
            max_lr=0.2,
            momentum=0.9,
            adjusted_momentum=name != "standard",
        )["weights"]
    nan, inf = float("nan"), float("inf")
    for name, loss, gradient in (
        ("nan loss", nan, gradients[0]),
        ("inf loss", inf, gradients[0]),
        ("nan gradient", 3.0, ([nan, 1.0], [0.5])),
        ("inf gradient", 3.0, ([1.0, 1.0], [inf])),
        ("negative loss", -3.0, gradients[0]),
        ("zero over zero", 0.0, ([0.0, 0.0], [0.0])),
        ("infinite quotient", 3.0, ([0.0, 0.0], [0.0])),
    ):
        # The second of three steps is the odd one; its momentum must not come through later.
        found[name] = feed(
            [3.0, loss, 0.5], [gradients[0], gradient, gradients[2]],
            max_lr=0.2, momentum=0.9, eps=0.0,
        )  # fmt: skip
    return found


def skipped():
    """Weights after three steps of which the second is skipped, and after the two others alone."""
    gradients = [([1.0, -4.0], [0.5]), ([float("nan"), 1.0], [0.5]), ([-0.3, 0.01], [-0.25])]
    losses, found = [3.0, 3.0, 0.5], {}
    for adjusted, use_resource, dtype in itertools.product(
        (False, True), (True, False), (tf.float64, tf.float16)
    ):
        options = {"max_lr": 0.2, "momentum": 0.9, "adjusted_momentum": adjusted}
        of = {"use_resource": use_resource, "dtype": dtype, **options}
        name = f"adjusted {adjusted}, resource {use_resource}, {dtype.name}"
        three, two = feed(losses, gradients, **of), feed(losses[::2], gradients[::2], **of)
        found[name] = [three["weights"], two["weights"]]
    return found


def feed(losses, gradients, *, use_resource=True, dtype=tf.float64, **options):
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = variables(use_resource, dtype)
        places = [v1.placeholder(dtype, shape) for shape in ((), (2,), (1,))]
        optimizer = AliG(**options)
        step = optimizer.apply_gradients([(places[1], a), (places[2], b)], loss=places[0])
        session.run(v1.global_variables_initializer())
        rows, sizes = [], []
        for loss, (ga, gb) in zip(losses, gradients, strict=True):
            values = dict(zip(places, (loss, ga, gb), strict=True))
            sizes.append(float(session.run([step, optimizer.step_size], values)[1]))
            rows.append([*session.run(a).tolist(), *session.run(b).tolist()])
        counts = session.run(optimizer.guard_counts).tolist()
    return {"weights": rows, "sizes": sizes, "guards": counts}


def network_data():
    """The parity test of the authors' repository: a 5-8-3 network on ten samples."""
    rng = np.random.RandomState(1234)
    weights = [rng.randn(*shape) for shape in ((5, 8), (8,), (8, 3), (3,))]
    return weights, rng.randn(10, 5), rng.randint(0, 3, 10)


def parity():
    """The largest difference from PyTorch's weights over 20 steps, by setting."""
    found = {}
    forms = {"none": (0.0, False), "standard": (0.9, False), "adjusted": (0.9, True)}
    for (form, (momentum, adjusted)), cap, radius in itertools.product(
        forms.items(), (None, 3.0), (None, 4.0)
    ):
        options = {"max_lr": cap, "momentum": momentum, "adjusted_momentum": adjusted}
        ours, theirs = network_in_tf(radius, **options), network_in_torch(radius, **options)
        found[f"{form}, cap {cap}, radius {radius}"] = max(
            float(np.abs(x - y).max())
            for left, right in zip(ours, theirs, strict=True)
            for x, y in zip(left, right, strict=True)
        )
    return found


def network_in_tf(radius, **options):
    weights, x, labels = network_data()
    with tf.Graph().as_default(), v1.Session() as session:
        w = [v1.get_variable(f"w{i}", initializer=value) for i, value in enumerate(weights)]
        logits = tf.nn.relu(x @ w[0] + w[1]) @ w[2] + w[3]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        step = AliG(max_norm=radius, **options).minimize(tf.reduce_mean(losses))
        session.run(v1.global_variables_initializer())
        return [(session.run(step), session.run(w))[1] for _ in range(20)]


def network_in_torch(radius, **options):
    weights, x, labels = network_data()
    w = [torch.nn.Parameter(torch.tensor(value)) for value in weights]
    ball = None if radius is None else L2Ball(w, radius)
    optimizer = TorchAliG(w, projection_fn=ball, **options)
    iterates = []
    for _ in range(20):
        logits = torch.relu(torch.tensor(x) @ w[0] + w[1]) @ w[2] + w[3]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(loss=loss)
        iterates.append([p.detach().numpy().copy() for p in w])
    return iterates


def initial_projection():
    """Random initial values are drawn once, so all together are exactly on the ball."""
    norms = {}
    for use_resource in (True, False):
        with tf.Graph().as_default(), v1.Session() as session:
            with v1.variable_scope("r", use_resource=use_resource):
                w = [
                    v1.get_variable(f"w{i}", (50, 20), initializer=v1.random_normal_initializer())
                    for i in range(2)
                ]
            loss = tf.add_n([tf.reduce_sum(x**2) for x in w])
            AliG(max_norm=5.0).minimize(loss)
            session.run(v1.global_variables_initializer())
            norms[f"resource {use_resource}"] = float(session.run(loss)) ** 0.5
    return norms


def sparse():
    """The gradient of an embedding, with a row that occurs twice, against the dense one."""
    rows = {}
    for kind in ("sparse", "dense"):
        with tf.Graph().as_default(), v1.Session() as session:
            table = v1.get_variable("t", initializer=np.arange(12.0).reshape(4, 3) / 10)
            rows_used = [1, 3, 1]
            if kind == "sparse":
                picked = tf.nn.embedding_lookup(table, rows_used)
            else:
                picked = tf.one_hot(rows_used, 4, dtype=tf.float64) @ table
            loss = tf.reduce_sum(picked**2)
            assert isinstance(tf.gradients(loss, table)[0], tf.IndexedSlices) == (kind == "sparse")
            step = AliG(0.1, momentum=0.9, max_norm=1.0).minimize(loss)
            session.run(v1.global_variables_initializer())
            for _ in range(3):
                session.run(step)
            rows[kind] = session.run(table).tolist()
    return rows


def half_precision():
    """float16 weights whose squared gradient norm float16 could not hold."""
    with tf.Graph().as_default(), v1.Session() as session:
        w = v1.get_variable("w", initializer=tf.constant([300.0, 400.0], tf.float16))
        loss = tf.reduce_sum(tf.cast(w, tf.float32) ** 2) / 2
        optimizer = AliG(momentum=0.9)
        step = optimizer.minimize(loss)
        session.run(v1.global_variables_initializer())
        _, size = session.run([step, optimizer.step_size])
        slot = optimizer.get_slot(w, "momentum")
        return {"size": float(size), "w": session.run(w).tolist(), "slot": slot.dtype.name}


def edges():
    """Numbers that the weights' type can hold, and whose squares or steps it cannot."""
    found = {}
    for name, weight, radius in (("3e19", 3e19, 1.0), ("far", 1e30, 1e25), ("inf", np.inf, 1.0)):
        w = tf.Variable([weight, -1.0], dtype=tf.float32)
        AliG(max_norm=radius).project([w])
        found[name] = w.numpy().tolist()
    for name, gradient, loss, adjusted in (
        ("long step", 1.0, 1e10, False),
        ("velocity", 6e4, 1e-3, True),
    ):
        w = tf.Variable([1.0, -2.0], dtype=tf.float16)
        optimizer = AliG(momentum=0.9, adjusted_momentum=adjusted)
        for _ in range(4):
            pair = tf.constant([gradient, -gradient], tf.float16), w
            optimizer.apply_gradients([pair], loss=tf.constant(loss))
        found[name] = w.numpy().tolist(), optimizer.guard_counts.numpy().tolist()
    return found


def missing_gradient():
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = variables()
        loss = tf.constant(3.0, tf.float64) + tf.reduce_sum(a * [1.0, -4.0]) - 5.0
        step = AliG(0.2, momentum=0.9).minimize(loss, var_list=[a, b])
        session.run(v1.global_variables_initializer())
        session.run(step)
        return [*session.run(a).tolist(), *session.run(b).tolist()]


def caps():
    """A cap that is a variable, as DeepOBS's, under a schedule; and one below 0."""
    sizes = []
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = variables()
        rate = v1.Variable(0.01, trainable=False)
        optimizer = AliG(rate)
        step = optimizer.minimize(quadratic(a, b))
        session.run(v1.global_variables_initializer())
        for cap in (0.01, 0.001, -1.0, float("inf")):
            session.run(rate.assign(cap))
            sizes.append(float(session.run([step, optimizer.step_size])[1]))
    return sizes


def knows_the_loss():
    """After compute_gradients the loss is known, also if gradients are changed or left out."""
    found = {}
    with tf.Graph().as_default():
        a, b = variables()
        optimizer = AliG(0.2)
        pairs = optimizer.compute_gradients(quadratic(a, b))
        optimizer.apply_gradients([(2 * g, v) for g, v in pairs][:1])
        found["forgotten afterwards"] = message(optimizer.apply_gradients, pairs)
        optimizer.compute_gradients(quadratic(a, b))
        optimizer.compute_gradients(2 * quadratic(a, b))
        found["two losses"] = message(optimizer.apply_gradients, pairs)
        found["none"] = message(AliG().apply_gradients, pairs)
        found["vector"] = message(AliG().minimize, a)
        found["grad_loss"] = message(AliG().minimize, quadratic(a, b), grad_loss=a)
        found["no gradient"] = message(AliG().minimize, tf.constant(1.0))
        first = AliG(0.2)
        both = (first.compute_gradients(a[0] ** 2, [a]), first.compute_gradients(b[0] ** 2, [b]))
        found["one optimizer, two parts"] = [
            message(first.apply_gradients, pairs) for pairs in both
        ]  # fmt: skip
    return found


def bad_arguments():
    with tf.Graph().as_default():
        nan, inf = float("nan"), float("inf")
        bad = {
            "max_lr": [
                -0.1,
                0.0,
                nan,
                "0.1",
                True,
                v1.Variable(-0.1, trainable=False),
                tf.constant(-1.0),
            ],
            "momentum": [1.0, -0.1, nan, None],
            "eps": [-1.0, nan, inf, None],
            "f_min": [inf, nan, None],
            "max_norm": [0.0, -1.0, nan, "a"],
            "adjusted_momentum": ["no", None],
        }
        return {
            name: [message(AliG, **{name: value}) for value in values]
            for name, values in bad.items()
        }


def message(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - which one it is is the question
        return f"{type(error).__name__}: {error}"
    return "no error"


def eager():
    """In eager execution and in a tf.function, with initial weights outside the ball."""
    found = {}
    for kind in ("eager", "function"):
        a, b = (tf.Variable(x, dtype=tf.float64) for x in START.values())
        optimizer = AliG(0.2, momentum=0.9, max_norm=2.0)

        def step(optimizer=optimizer, a=a, b=b):
            optimizer.minimize(lambda: quadratic(a, b), var_list=[a, b])

        run = step if kind == "eager" else tf.function(step)
        for _ in range(3):
            run()
        found[kind] = [*a.numpy().tolist(), *b.numpy().tolist()]
    return found


def main(folder):
    answers = {}
    for scenario in (
        vectors, fed, skipped, parity, initial_projection, sparse, half_precision,
        edges, missing_gradient, caps, knows_the_loss, bad_arguments, eager,
    ):  # fmt: skip
        try:
            answers[scenario.__name__] = scenario()
        except Exception:  # noqa: BLE001 - the test shows whatever it is
            answers[scenario.__name__] = {"error": traceback.format_exc()}
    Path(folder, "answer.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1])
