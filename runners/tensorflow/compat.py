"""Makes the released DeepOBS 1.1.2, which was written for TensorFlow 1, run on TensorFlow 2."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn, cast

import numpy as np

from alig_deepobs.errors import DataError, UsageError
from alig_deepobs.runners.tensorflow import analyzer
from alig_deepobs.runners.tensorflow.alias import TensorFlow1
from alig_deepobs.tensorflow._install import INSTALL, require
from alig_deepobs.testproblems.datasets.deepobs_files import missing_for_deepobs

SUPPORTED = "1.1.2"


def enable(*, command_line: bool | None = None) -> ModuleType:
    """Makes the installed DeepOBS 1.1.2 importable and runnable on TensorFlow 2.

    No file of DeepOBS is changed and no module of TensorFlow is replaced: after its import, each
    module of DeepOBS gets another object under the name ``tf``. So TensorFlow 2, eager execution
    and Keras 3 in the rest of the process stay what they are, and it does not matter in which order
    TensorFlow, DeepOBS and this function come. What is mended:

    - ``tf`` is ``tensorflow.compat.v1``, with the layers of ``tf_keras`` and the few names of
      ``tf.contrib`` that DeepOBS uses.
    - The runner writes NumPy's scalars as JSON, runs in a graph of its own, and does not trip over
      command-line arguments that are not meant for it.
    - ``quadratic_deep`` is the published problem in each instance, not only in the first of a
      process.
    - The analyzer works with today's NumPy, pandas and matplotlib. Its plots are saved as PDF; the
      ``.tex`` file includes that. Importing it does not change matplotlib's style any more.

    DeepOBS's test problems build graphs. ``StandardRunner.run`` takes care of that; whoever sets
    up a problem does it under ``with tf.Graph().as_default():``.

    What is global: DeepOBS's own settings (``deepobs.tensorflow.config``), and whether the command
    line is read. Calling `enable` again does no harm.

    Args:
        command_line: whether ``StandardRunner.run`` takes options that it was not passed from
            ``sys.argv``: always (True), or only if it was not passed a test problem either, as in
            DeepOBS's scripts (False). None leaves it as it is, False at first.

    Returns:
        The module ``deepobs``.

    Raises:
        UsageError: TensorFlow, ``tf_keras`` or DeepOBS 1.1.2 is missing.

    Example:
        >>> deepobs = enable()  # doctest: +SKIP
        >>> sgd = tf.compat.v1.train.GradientDescentOptimizer  # doctest: +SKIP
        >>> runner = deepobs.tensorflow.runners.StandardRunner(sgd, [])  # doctest: +SKIP
        >>> runner.run(  # doctest: +SKIP
        ...     testproblem="quadratic_deep", batch_size=128, num_epochs=1, learning_rate=0.01
        ... )
    """
    tf = require("tensorflow")
    require("tf_keras")
    deepobs, style = _import_deepobs()
    runner: Any = importlib.import_module("deepobs.tensorflow.runners.standard_runner")
    if not isinstance(runner.tf, TensorFlow1):
        # `deepobs.tensorflow.testproblems.quadratic_deep` is the class; this is its module.
        quadratic: Any = sys.modules["deepobs.tensorflow.testproblems.quadratic_deep"]
        quadratic.quadratic_deep.__init__ = _reseeded(quadratic)
        dataset: Any = importlib.import_module("deepobs.tensorflow.datasets.dataset")
        config: Any = importlib.import_module("deepobs.tensorflow.config")
        dataset.DataSet.__init__ = _with_files_and_graph(dataset.DataSet.__init__, tf, config)
        analyzer.mend(deepobs.analyzer, style)
        # Under NumPy 2 the averages are NumPy's scalars, which json does not know.
        runner.json = SimpleNamespace(dump=functools.partial(json.dump, default=np.generic.item))
        runner.StandardRunner._run = _in_own_graph(runner.StandardRunner._run, tf)
        _take_hyperparams_of_1_2(runner.StandardRunner)
        _read_command_line(runner, False)
        alias = TensorFlow1(tf)
        for name, module in list(sys.modules.items()):
            if name.startswith("deepobs.tensorflow.") and getattr(module, "tf", None) is tf:
                module.tf = alias  # type: ignore[attr-defined]
    if command_line is not None:
        _read_command_line(runner, command_line)
    return cast("ModuleType", deepobs)


def _import_deepobs() -> tuple[Any, Any]:
    """Imports DeepOBS; returns it and a dict of the settings of matplotlib that this made."""
    try:
        version = metadata.version("deepobs")
    except metadata.PackageNotFoundError:
        raise UsageError(f"deepobs is not installed: {INSTALL}") from None
    if version != SUPPORTED:
        raise UsageError(
            f"deepobs {version} is installed, not {SUPPORTED}: pip install deepobs=={SUPPORTED}"
        )
    # `register` may have put the functions of 1.2's analyzer in the place of 1.1.2's.
    for name in ("deepobs.analyzer.analyze", "deepobs.analyzer"):
        if getattr(sys.modules.get(name), "__name__", name) != name:
            del sys.modules[name]
    mpl = require("matplotlib")
    analyzer.provide_matplotlib2tikz()
    with mpl.rc_context():
        # Its analyzer sets seaborn's style for the whole process when it is imported.
        before = dict(mpl.rcParams)
        deepobs = require("deepobs")
        # Both by name: `register` may have put an empty package called deepobs in its place.
        require("deepobs.tensorflow")
        require("deepobs.analyzer")
        style = {key: value for key, value in mpl.rcParams.items() if value != before[key]}
    return deepobs, style


def _reseeded(module: Any) -> Callable[..., None]:
    """The constructor of ``quadratic_deep`` with the random numbers of a new process.

    DeepOBS draws the Hessian from a generator of the module, so each instance has another.
    """
    construct = module.quadratic_deep.__init__

    @functools.wraps(construct)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        module.rng.seed(42)
        construct(*args, **kwargs)

    return wrapper


def _with_files_and_graph(
    construct: Callable[..., None], tf: Any, config: Any
) -> Callable[..., None]:
    """The constructor of a data set, the first thing that every test problem makes."""

    @functools.wraps(construct)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        if tf.executing_eagerly():
            raise UsageError(
                "DeepOBS builds graphs, but TensorFlow executes eagerly: set the test problem up "
                "under `with tf.Graph().as_default():`"
            )
        name, folder = type(self).__name__, config.get_data_dir()
        is_deepobs = type(self).__module__.startswith("deepobs.tensorflow.")
        if is_deepobs and (missing := missing_for_deepobs(name, folder)):
            how = (
                "bring your own copy as TFRecords" if name == "imagenet"
                else f"`alig-deepobs deepobs prepare_data --data_dir={folder} --only={name}` makes "
                "them"
            )  # fmt: skip
            raise DataError(
                f"{name}: no {' and no '.join(missing)} in {Path(folder).absolute()}; {how}, or "
                "--data_dir names another folder"
            )
        construct(self, *args, **kwargs)

    return wrapper


class Arguments(argparse.ArgumentParser):
    """The runner's parser, which looks at ``sys.argv`` only for a script that is its command line.

    DeepOBS parses the command line in every run, for the options that were not passed to ``run``,
    and so trips over the arguments of pytest, of a notebook or of the user's own script. Here the
    command line counts only if ``run`` was called without a test problem, which then can come from
    nowhere else.
    """

    @property
    def _reads_command_line(self) -> bool:
        return any(action.dest == "testproblem" for action in self._actions)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parses the command line, or nothing."""
        if args is None and not self._reads_command_line:
            args = ()
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Ends the program, as argparse does, if it is its command line that is wrong.

        Raises:
            UsageError: ``run`` lacks an argument.
        """
        if self._reads_command_line:
            super().error(message)
        raise UsageError(
            f"StandardRunner.run: {message} (it was called with a test problem, so the command "
            "line is not read; `enable(command_line=True)` changes that)"
        )


def _read_command_line(runner: Any, always: bool) -> None:
    """Chooses whether the runner's options may come from ``sys.argv`` in every run."""
    runner.argparse = argparse if always else SimpleNamespace(ArgumentParser=Arguments)


def _take_hyperparams_of_1_2(runner: Any) -> None:
    """Lets a runner take hyper-parameters as scripts for DeepOBS 1.2 give them, too.

    There they are declared in a dictionary, ``{"momentum": {"type": float}}``, the learning rate
    among them, and ``run`` may get ``hyperparams={"momentum": 0.9}``.
    """
    construct, run = runner.__init__, runner.run

    @functools.wraps(construct)
    def constructed(self: Any, optimizer_class: Any, hyperparams: Any) -> None:
        if isinstance(hyperparams, Mapping):
            names = [name for name in hyperparams if name != "learning_rate"]
            hyperparams = [{"name": name, **hyperparams[name]} for name in names]
        construct(self, optimizer_class, hyperparams)

    @functools.wraps(run)
    def with_hyperparams(
        self: Any, *args: Any, hyperparams: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        run(self, *args, **{**(hyperparams or {}), **kwargs})

    runner.__init__, runner.run = constructed, with_hyperparams


def _in_own_graph(run: Any, tf: Any) -> Callable[..., None]:
    @functools.wraps(run)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        # A graph of its own takes the run out of eager execution, and nothing else in the process.
        with tf.Graph().as_default(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`tf\.(layers|nn)\.", UserWarning)
            try:
                run(*args, **kwargs)
            except ZeroDivisionError as error:
                *_, (frame, _) = traceback.walk_tb(error.__traceback__)
                if frame.f_globals is not run.__globals__:  # not its means over no mini-batch
                    raise
                raise UsageError(
                    "a set of the problem has fewer examples than one mini-batch: give a smaller "
                    "batch size"
                ) from error

    return wrapper
