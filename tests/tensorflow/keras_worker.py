"""ALI-G in model.fit, against PyTorch: ``python keras_worker.py FOLDER keras|tf_keras``.

Each function is a scenario; its answer goes to ``FOLDER/answer.json`` under its name. The tests are
in ``test_keras.py``.
"""

import importlib
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

BATCH, STEPS = 10, 20
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
WEIGHTS = [rng.normal(size=shape) for shape in ((5, 8), (8,), (8, 3), (3,))]


class Scenarios:
    """For one of the two packages."""

    def __init__(self, name):
        self.name = name
        self.keras = importlib.import_module(name)
        self.ours = importlib.import_module(f"alig_deepobs.tensorflow.{name}")
        self.keras.backend.set_floatx("float64")

    def model(self, mixin=False, l2=0.0):
        layers, base = self.keras.layers, self.keras.Model
        model_class = type("Model", (self.ours.LossMixin, base), {}) if mixin else base
        penalty = self.keras.regularizers.L2(l2) if l2 else None
        inputs = self.keras.Input((5,))
        hidden = layers.Dense(8, activation="relu", kernel_regularizer=penalty)(inputs)
        model = model_class(inputs, layers.Dense(3)(hidden))
        model.set_weights(WEIGHTS)
        return model

    def loss(self):
        return self.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fit(self, mixin=False, l2=0.0, compiled=None, **options):
        """The weights after each step, and the model."""
        model = self.model(mixin, l2)
        optimizer = self.ours.AliG(**options)
        model.compile(optimizer=optimizer, loss=self.loss(), **(compiled or {}))
        iterates = []

        def remember(batch, logs=None):
            iterates.append([weight.copy() for weight in model.get_weights()])

        callback = self.keras.callbacks.Callback()
        callback.on_train_batch_end = remember
        model.fit(X, Y, BATCH, STEPS // 4, verbose=0, shuffle=False, callbacks=[callback])
        return iterates, model

    def difference(self, mixin=False, l2=0.0, compiled=None, **options):
        ours, _ = self.fit(mixin, l2, compiled, **options)
        return difference(ours, in_torch(l2, **options))

    def parity(self):
        forms = {"none": (0.0, False), "standard": (0.9, False), "adjusted": (0.9, True)}
        found = {}
        for (form, (momentum, adjusted)), cap, radius in itertools.product(
            forms.items(), (None, 3.0), (None, 3.0)
        ):
            found[f"{form}, cap {cap}, radius {radius}"] = self.difference(
                max_lr=cap, momentum=momentum, adjusted_momentum=adjusted, max_norm=radius
            )
        return found

    def regularized(self):
        """The layers' own losses are in the gradient, so they are in the loss."""
        options = {"l2": 0.01, "max_lr": 0.5, "momentum": 0.9}
        return {
            "plain": self.difference(**options),
            "mixin": self.difference(mixin=True, max_norm=3.0, **options),
            "eagerly": self.difference(compiled={"run_eagerly": True}, **options),
            "mixin, eagerly": self.difference(
                mixin=True, max_norm=3.0, compiled={"run_eagerly": True}, **options
            ),
            "xla": self.difference(compiled={"jit_compile": True}, max_norm=3.0, **options),
        }

    def saved(self):
        """A model that was saved and loaded goes on as the other one does."""
        _, model = self.fit(max_lr=0.5, momentum=0.9, max_norm=3.0)
        model.save("model.keras")
        loaded = self.keras.models.load_model("model.keras")
        for each in (model, loaded):
            each.fit(X, Y, BATCH, verbose=0, shuffle=False)
        return {
            "class": type(loaded.optimizer).__module__,
            "difference": difference([model.get_weights()], [loaded.get_weights()]),
            "size": float(loaded.optimizer.step_size),
            "unclipped": float(loaded.optimizer.step_size_unclipped),
            "guards": loaded.optimizer.guarded_steps,
        }

    def configurations(self):
        schedule = self.keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
        found = {}
        self.keras.backend.set_floatx("float32")
        json.dumps([self.ours.AliG(cap).get_config() for cap in (None, 0.5)])  # plain data
        self.keras.backend.set_floatx("float64")
        for name, cap in {"none": None, "number": 0.5, "schedule": schedule}.items():
            options = {"momentum": 0.5, "eps": 0.1, "adjusted_momentum": True, "f_min": -1.0}
            optimizer = self.ours.AliG(cap, max_norm=2.0, name="mine", **options)
            config = optimizer.get_config()
            json.dumps(config)
            again = self.keras.optimizers.deserialize(self.keras.optimizers.serialize(optimizer))
            found[name] = {
                "cap": float(again.learning_rate),
                "same": json.dumps(again.get_config()) == json.dumps(config),
                "kept": {key: getattr(again, key) for key in (*options, "max_norm", "name")},
                "in config": sorted(config),
                "momentum": again.momentum,
            }
        return found

    def learning_rate_callback(self):
        """Keras's callbacks change the cap."""
        model = self.model()
        model.compile(optimizer=self.ours.AliG(0.5), loss=self.loss())
        sizes = []

        def remember(epoch, logs=None):
            sizes.append(float(model.optimizer.step_size))

        callback = self.keras.callbacks.Callback()
        callback.on_epoch_end = remember
        schedule = self.keras.callbacks.LearningRateScheduler(
            lambda epoch, rate: 1e-4 / (1 + epoch)
        )
        model.fit(X, Y, BATCH, 2, verbose=0, callbacks=[schedule, callback])
        return sizes

    def replicas(self):
        """Two replicas, on two halves of each mini-batch, against PyTorch on the whole."""
        found = {}
        for radius in (None, 3.0):
            options = {"max_lr": 0.5, "momentum": 0.9, "max_norm": radius}
            with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
                model = self.model()
                model.compile(optimizer=self.ours.AliG(**options), loss=self.loss())
            model.fit(X, Y, BATCH, STEPS // 4, verbose=0, shuffle=False)
            found[str(radius)] = difference([model.get_weights()], [in_torch(0.0, **options)[-1]])
        return found

    def mixed_precision(self):
        """float16 activations and a scaled loss, near to the run without."""
        expected = in_torch(0.0, max_lr=0.5)[-1]
        self.keras.mixed_precision.set_global_policy("mixed_float16")
        try:
            _, model = self.fit(mixin=True, max_lr=0.5)
            plain = message(self.fit, max_lr=0.5)
        finally:
            self.keras.mixed_precision.set_global_policy("float64")
        optimizer = model.optimizer.inner_optimizer
        return {
            "wrapped": type(model.optimizer).__name__,
            "difference": difference([model.get_weights()], [expected]),
            "size": float(optimizer.step_size),
            "without the mixin": plain,
        }

    def own_loop(self):
        """The loss is handed over by name, and asked for where it is missing."""
        variable = tf.Variable([1.0, -1.0], dtype=tf.float64)
        if self.name == "keras":
            variable = self.keras.Variable([1.0, -1.0], dtype="float64")
        optimizer = self.ours.AliG(max_lr=0.2, eps=0.0)
        gradient = tf.constant([1.0, -4.0], tf.float64)
        optimizer.apply_gradients([(gradient, variable)], loss=1.7)
        found = {
            "weights": np.asarray(variable).tolist(),
            "no loss": message(optimizer.apply_gradients, [(gradient, variable)]),
            "no gradient": message(optimizer.apply_gradients, [(None, variable)], loss=1.0),
        }
        optimizer.apply_gradients([(gradient * float("nan"), variable)], loss=1.0)
        optimizer.apply_gradients([(gradient, variable)], loss=-1.0)
        optimizer.apply_gradients([(gradient * 0.0, variable)], loss=1.0)
        found["guards"] = optimizer.guarded_steps
        found["unchanged"] = np.asarray(variable).tolist() == found["weights"]
        if self.name == "tf_keras":
            optimizer.minimize(lambda: tf.reduce_sum(variable**2) / 2, [variable])
            found["minimized"] = [float(optimizer.step_size_unclipped), variable.numpy().tolist()]
        return found

    def skipped(self):
        """Weights after three steps of which the second is skipped, and after the two others."""
        found = {}
        for adjusted in (False, True):
            ends = []
            for factors in ((1.0, float("nan"), -0.3), (1.0, -0.3)):
                variable = tf.Variable([1.0, -1.0], dtype=tf.float64)
                if self.name == "keras":
                    variable = self.keras.Variable([1.0, -1.0], dtype="float64")
                optimizer = self.ours.AliG(0.2, momentum=0.9, adjusted_momentum=adjusted)
                for factor in factors:
                    gradient = factor * tf.constant([1.0, -4.0], tf.float64)
                    optimizer.apply_gradients([(gradient, variable)], loss=1.7)
                ends.append(np.asarray(variable).tolist())
            found[str(adjusted)] = ends
        return found

    def bad_arguments(self):
        bad = {"max_lr": -1.0, "momentum": 1.0, "eps": -1.0, "f_min": float("inf"), "max_norm": 0.0}
        return {name: message(self.ours.AliG, **{name: value}) for name, value in bad.items()}

    def habits(self):
        """What people write for other optimizers: taken rightly, or refused with a remedy."""
        refused = {
            "weight_decay": 1e-4, "clipnorm": 1.0, "clipvalue": 0.5, "global_clipnorm": 1.0,
            "gradient_accumulation_steps": 4, "loss_scale_factor": 8.0,
        }  # fmt: skip
        found = {"arguments": {}, "attributes": {}}
        for name, value in refused.items():
            found["arguments"][name] = message(self.ours.AliG, **{name: value})
            model = self.model()
            optimizer = self.ours.AliG(0.1)
            setattr(optimizer, name, value)
            model.compile(optimizer=optimizer, loss=self.loss())
            found["attributes"][name] = message(model.fit, X, Y, BATCH, verbose=0)
        found["nothing asked"] = message(self.ours.AliG, weight_decay=None, clipnorm=None)
        found["unknown"] = message(self.ours.AliG, learning_rat=0.1)
        found["two names"] = message(self.ours.AliG, 0.1, learning_rate=0.2)
        found["cap"] = float(self.ours.AliG(learning_rate=0.25).learning_rate)
        return found

    def other_optimizers(self):
        """The mixin changes nothing for them."""
        results = []
        for mixin in (False, True):
            model = self.model(mixin)
            model.compile(optimizer=self.keras.optimizers.SGD(0.1), loss=self.loss())
            model.fit(X, Y, BATCH, verbose=0, shuffle=False)
            results.append(model.get_weights())
        return difference(*[[result] for result in results])


def in_torch(l2, max_norm=None, **options):
    w = [torch.nn.Parameter(torch.tensor(value)) for value in WEIGHTS]
    ball = None if max_norm is None else L2Ball(w, max_norm)
    optimizer = TorchAliG(w, projection_fn=ball, **options)
    iterates = []
    for step in range(STEPS):
        part = slice(step * BATCH % len(X), step * BATCH % len(X) + BATCH)
        logits = torch.relu(torch.tensor(X[part]) @ w[0] + w[1]) @ w[2] + w[3]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(Y[part]))
        loss = loss + l2 * w[0].square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(loss=loss)
        iterates.append([p.detach().numpy().copy() for p in w])
    return iterates


def difference(ours, theirs):
    return max(
        float(np.abs(x - y).max())
        for left, right in zip(ours, theirs, strict=True)
        for x, y in zip(left, right, strict=True)
    )


def message(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - which one it is is the question
        return f"{type(error).__name__}: {error}"
    return "no error"


def main(folder, name):
    import os

    os.chdir(folder)
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    scenarios = Scenarios(name)
    answers = {}
    for scenario in (
        "parity", "regularized", "saved", "configurations", "learning_rate_callback", "replicas",
        "mixed_precision", "own_loop", "skipped", "bad_arguments", "habits", "other_optimizers",
    ):  # fmt: skip
        try:
            answers[scenario] = getattr(scenarios, scenario)()
        except Exception:  # noqa: BLE001 - the test shows whatever it is
            answers[scenario] = {"error": traceback.format_exc()}
    Path("answer.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
