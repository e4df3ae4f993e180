"""What `enable` promises, tried in one fresh process: ``python compat_worker.py FOLDER``.

Each function is a scenario; its answer goes to ``FOLDER/answer.json`` under its name. The tests are
in ``test_compat.py``.
"""

import contextlib
import io
import json
import os
import sys
import traceback
from pathlib import Path

import matplotlib as mpl
import official_files

mpl.use("agg")
STYLE = dict(mpl.rcParams)
FOREIGN = ["pytest", "--foreign", "tests/tensorflow"]


def packages():
    """Comes first: nothing of DeepOBS or TensorFlow is imported yet."""
    from alig_deepobs.tensorflow import enable

    lazy = "tensorflow" not in sys.modules and "deepobs" not in sys.modules
    deepobs = enable()
    import tensorflow as tf

    return {
        "lazy": lazy,
        "same": enable() is deepobs,
        "tensorflow": tf.__version__,
        "eager": tf.executing_eagerly(),
        "keras": tf.keras.__version__,
        "environment": [name for name in os.environ if "LEGACY_KERAS" in name],
        "style": [name for name, value in STYLE.items() if mpl.rcParams[name] != value],
    }


def _runner(name="GradientDescentOptimizer", hyperparams=()):
    import tensorflow as tf

    from alig_deepobs.tensorflow import enable

    optimizer = getattr(tf.compat.v1.train, name)
    return enable().tensorflow.runners.StandardRunner(optimizer, list(hyperparams))


def _message(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - which one it is is the question
        return f"{type(error).__name__}: {error}"
    return "no error"


def _results(folder):
    from alig_deepobs.results import read_result

    return [read_result(path).test_losses for path in sorted(Path(folder).rglob("*.json"))]


def runs():
    """Two runs in one process, with command-line arguments that are not for DeepOBS."""
    sys.argv = list(FOREIGN)
    options = {"testproblem": "quadratic_deep", "batch_size": 128, "num_epochs": 1}
    for seed in (42, 43):
        _runner().run(**options, learning_rate=0.01, random_seed=seed, output_dir="runs")
    return _results("runs")


def options_missing():
    sys.argv = list(FOREIGN)
    return _message(_runner().run, testproblem="quadratic_deep", batch_size=128)


def script():
    """A script that passes nothing has DeepOBS's command line."""
    momentum = {"name": "momentum", "type": float}
    arguments = "quadratic_deep --bs 128 -N 1 --lr 0.001 --momentum 0.9 --output_dir script"
    sys.argv = ["script", *arguments.split()]
    _runner("MomentumOptimizer", [momentum]).run()
    return _results("script")


def script_with_wrong_arguments():
    sys.argv = list(FOREIGN)
    with contextlib.redirect_stderr(io.StringIO()):
        return _message(_runner().run)


def command_line_always():
    from alig_deepobs.tensorflow import enable

    sys.argv = ["script", "--bs", "128", "-N", "1", "--lr", "0.01", "--output_dir", "always"]
    enable(command_line=True)
    enable()  # leaves it as it is
    _runner().run(testproblem="quadratic_deep")
    enable(command_line=False)
    return {"results": _results("always"), "off": _message(_runner().run, "quadratic_deep")}


def eager():
    from alig_deepobs.tensorflow import enable

    return _message(enable().tensorflow.testproblems.quadratic_deep(128).set_up)


def files():
    """What runs say where files are missing, and where there are too few examples."""
    from alig_deepobs.tensorflow import enable

    config = enable().tensorflow.config

    def message(problem, batch_size, data_dir):
        options = {"batch_size": batch_size, "num_epochs": 0, "learning_rate": 0.1, "no_logs": True}
        found = _message(_runner().run, problem, data_dir=data_dir, **options)
        config.set_data_dir("data_deepobs")
        return found

    names = ("mnist_logreg", "fmnist_logreg", "cifar10_3c3d", "cifar100_3c3d", "svhn_3c3d",
             "tolstoi_char_rnn", "imagenet_vgg16")  # fmt: skip
    official_files.write("svhn", Path("few"), 8, 8)
    return {
        "missing": [message(name, 4, "nowhere") for name in names],
        "few": message("svhn_3c3d", 16, "few"),
    }


def contrib():
    import numpy as np
    import tensorflow as tf

    from alig_deepobs.tensorflow import enable

    contrib = enable().tensorflow.config.tf.contrib
    weights, penalty = tf.constant([3.0, 4.0]), contrib.layers.l2_regularizer
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(2, 3, 5)), rng.integers(0, 5, (2, 3))
    mask = np.array([[1.0, 1.0, 0.5], [1.0, 0.0, 0.0]])
    chosen = np.take_along_axis(logits, targets[..., None], 2)[..., 0]
    losses = np.log(np.exp(logits).sum(2)) - chosen
    sums = {
        (True, True): (losses * mask).sum() / mask.sum(),
        (True, False): (losses * mask).sum(1) / mask.sum(1),
        (False, True): (losses * mask).sum(0) / mask.sum(0),
        (False, False): losses * mask,
    }
    return {
        "l2": float(penalty(0.1)(weights)),
        "none": penalty(0.0) is None,
        "negative": _message(penalty, -1.0),
        "sequence_loss": all(
            np.allclose(contrib.seq2seq.sequence_loss(logits, targets, mask, *flags), expected)
            for flags, expected in sums.items()
        ),
    }


def analyzer():
    """Curves of one and of two epochs in one panel, and a table."""
    from alig_deepobs.tensorflow import enable

    options = {"testproblem": "quadratic_deep", "batch_size": 128, "output_dir": "analyzed"}
    for rate, epochs in ((0.01, 1), (0.02, 1)):
        _runner().run(**options, learning_rate=rate, num_epochs=epochs)
    momentum = _runner("MomentumOptimizer", [{"name": "momentum", "type": float}])
    momentum.run(**options, learning_rate=0.001, num_epochs=2, momentum=0.9)
    package = enable().analyzer
    parsed = package.analyze_utils.Analyzer("analyzed")
    package.analyze.get_best_run(parsed)
    package.analyze.plot_lr_sensitivity(parsed)
    package.analyze.plot_performance(parsed)
    package.analyze.plot_table(parsed)
    return {
        "files": sorted(path.name for path in Path().glob("*.*") if path.is_file()),
        "tex": Path("benchmark_small.tex").read_text(),
        "table": Path("performance_table_small.tex").read_text(),
        "style": [name for name, value in STYLE.items() if mpl.rcParams[name] != value],
    }


def main(folder):
    os.chdir(folder)
    answers = {}
    for scenario in (
        packages,
        runs,
        options_missing,
        script,
        script_with_wrong_arguments,
        command_line_always,
        eager,
        files,
        contrib,
        analyzer,
    ):
        try:
            answers[scenario.__name__] = scenario()
        except (Exception, SystemExit):  # noqa: BLE001 - the test shows whatever it is
            answers[scenario.__name__] = {"error": traceback.format_exc()}
    Path("answer.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1])
