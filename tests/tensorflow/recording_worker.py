"""What the process of a TensorFlow run reports, tried in one process: ``FOLDER``.

Each function is a scenario; its answer goes to ``FOLDER/answer.json`` under its name. The tests are
in ``test_execute.py``.
"""

import json
import sys
import traceback
from pathlib import Path

import official_files

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import (
    HyperParameter,
    ProblemEntry,
    register_testproblem,
)
from alig_deepobs.results import read_result
from alig_deepobs.run import RunSpec
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.tensorflow.request import make_request
from alig_deepobs.runners.tensorflow.worker import carry_out
from alig_deepobs.tensorflow import enable

BATCH = 16


def tiny_entry():
    return register_testproblem(
        ProblemEntry(
            "tiny", "Tiny", "nowhere:tiny", "tiny", 4, 2, metric="loss",
            options={"size": HyperParameter(int, 8)}, tensorflow_factory="extra:tiny",
        )
    )  # fmt: skip


def run(folder, testproblem, optimizer, hyperparams, **options):
    """The reports of a run, and how it ended."""
    options = {"num_epochs": 2, "batch_size": BATCH, "train_log_interval": 2, **options}
    spec = RunSpec(testproblem, optimizer, hyperparams, framework="tensorflow", **options)
    request = make_request(resolve(spec, check_data=False), str(folder))
    reports = []
    try:
        ending = carry_out(json.loads(json.dumps(request)), reports.append)
    except UsageError as error:
        ending = {"event": "refused", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - as the process does
        ending = {"event": "failed", "message": f"{type(error).__name__}: {error}"}
    return {"reports": [r for r in reports if r["event"] != "ticked"], "ending": ending}


def as_deepobs(folder):
    """DeepOBS's own record of the same runs, made before anything listens to its session."""
    import tensorflow as tf

    runner = enable().tensorflow.runners.StandardRunner(tf.compat.v1.train.AdamOptimizer, [])
    found = {}
    for problem in ("quadratic_deep", "mnist_mlp"):
        runner.run(
            testproblem=problem, batch_size=BATCH, num_epochs=2, learning_rate=0.001,
            train_log_interval=2, random_seed=42, data_dir=str(folder), output_dir="deepobs",
        )  # fmt: skip
        [path] = Path("deepobs", problem).rglob("*.json")
        found[problem] = vars(read_result(path))
        found[problem]["outcome"] = "done"
    return found


def same_runs(folder):
    return {
        problem: run(folder, problem, "adam", {"lr": 0.001})
        for problem in ("quadratic_deep", "mnist_mlp")
    }


def l2(folder):
    return {
        "sgd": run(folder, "cifar10_3c3d", "sgd", {"lr": 0.01}, num_epochs=0),
        "sgd 0.1": run(
            folder, "cifar10_3c3d", "sgd", {"lr": 0.01}, num_epochs=0, weight_decay=0.1
        ),
        "alig": run(folder, "cifar10_3c3d", "alig", {"max_norm": 20.0}, num_epochs=0),
        "alig by path": run(
            folder, "cifar10_3c3d", "alig_deepobs.tensorflow:AliG", {"learning_rate": 0.1},
            num_epochs=0,
        ),
    }  # fmt: skip


def step_sizes(folder):
    return run(folder, "quadratic_deep", "alig", {"max_lr": None, "momentum": 0.0, "max_norm": 5.0})


def schedule(folder):
    """From the second epoch on the rate is so small that nothing changes."""
    training = {"lr_sched_epochs": [1], "lr_sched_factors": [1e-12]}
    return run(folder, "quadratic_deep", "sgd", {"lr": 0.01}, training_params=training)


def diverged(folder):
    return run(folder, "quadratic_deep", "sgd", {"lr": 1e30}, num_epochs=50)


def endings(folder):
    options = {"learning_rate": 0.1}
    found = {
        name: run(folder, "quadratic_deep", f"extra:{name}", options)
        for name in ("Failing", "Picky", "function", "nothing")
    }
    found["undeclared"] = run(
        folder, "quadratic_deep", "tensorflow:compat.v1.train.AdagradOptimizer",
        {"learning_rate": 0.1, "nonsense": 1.0},
    )  # fmt: skip
    found["large"] = run(folder, "quadratic_deep", "sgd", {"lr": 0.1}, batch_size=2000)
    return {name: answer["ending"] for name, answer in found.items()}


def extra_problem(folder):
    tiny_entry()
    plain = run(folder, "tiny", "alig", {"max_lr": None}, batch_size=4)
    options = {"problem_options": {"size": 12}, "synthetic": True, "batch_size": 4}
    return {"plain": plain, "options": run(folder, "tiny", "adam", {"lr": 0.1}, **options)}


def registered(folder):
    """`register` puts the problem where DeepOBS's own runner finds it."""
    import tensorflow as tf

    import alig_deepobs

    tiny_entry()
    register_testproblem(
        ProblemEntry("broken", "Broken", "x:y", "x", 4, 2, tensorflow_factory="nowhere:broken")
    )
    alig_deepobs.register("tensorflow")
    from deepobs.tensorflow import runners, testproblems

    optimizer = tf.compat.v1.train.GradientDescentOptimizer
    runners.StandardRunner(optimizer, []).run(
        testproblem="tiny", batch_size=4, num_epochs=1, learning_rate=0.1, output_dir="registered"
    )
    [path] = Path("registered").rglob("*.json")
    return {
        "losses": read_result(path).test_losses,
        "own": testproblems.mnist_mlp.__module__,
        "broken": hasattr(testproblems, "broken"),
    }


def main(folder):
    import os

    os.chdir(folder)
    data = Path(folder, "data")
    for name in ("mnist", "cifar10"):
        official_files.write(name, data, 3 * BATCH, 2 * BATCH)
    answers = {}
    for scenario in (
        # These two come first: later ones leave their session behind.
        as_deepobs, registered,
        same_runs, l2, step_sizes, schedule, diverged, endings, extra_problem,
    ):  # fmt: skip
        try:
            answers[scenario.__name__] = scenario(data)
        except Exception:  # noqa: BLE001 - the test shows whatever it is
            answers[scenario.__name__] = {"error": traceback.format_exc()}
    Path("answer.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1])
