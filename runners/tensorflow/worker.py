"""Carries out a run with DeepOBS's own runner, as a program of its own.

A process of its own, so that nothing of TensorFlow gets into the one that asked for the run. It
reads the request, one JSON object, from its input, and writes what happens to its output, one JSON
object a line. Everything else that is printed (DeepOBS prints a lot) goes to the error output.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from types import SimpleNamespace
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import load_object
from alig_deepobs.runners.signals import end_with


def main() -> None:
    """Runs what the request asks for; how it ended is the last line of the output."""
    end_with(int(sys.argv[1]))
    # From here on, whatever prints does not print into the reports.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.read())

    def report(event: dict[str, Any]) -> None:
        print(json.dumps(event), file=reports, flush=True)

    try:
        ending = carry_out(request, report)
    except UsageError as error:
        ending = {"event": "refused", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - a stranger's optimizer or problem may raise anything
        traceback.print_exc()
        message = str(error).strip().partition("\n")[0]
        ending = {"event": "failed", "message": f"{type(error).__name__}: {message}"}
    report(ending)


def carry_out(request: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Carries out a run.

    Args:
        request: what to run; see `alig_deepobs.runners.tensorflow.request`.
        report: hears of the progress.

    Returns:
        The last report: ``done``, or ``diverged`` with the reason.

    Raises:
        UsageError: the request makes no sense.
    """
    from alig_deepobs.runners.tensorflow.compat import enable

    deepobs: Any = enable()
    from alig_deepobs.runners.tensorflow.recording import Diverged, Recorder, tf

    optimizer_class = load_object(request["optimizer_factory"])
    if not (isinstance(optimizer_class, type) and hasattr(optimizer_class, "minimize")):
        raise UsageError(
            f"{request['optimizer_factory']} is not an optimizer of tf.compat.v1: it must be a "
            "class with `minimize`, called with the learning rate first"
        )
    regularization = request["regularization"] or getattr(optimizer_class, "regularization", "l2")
    without_l2 = regularization == "ball"
    recorder = Recorder(report, without_l2)
    environment = _environment(tf, request["wants_gpu"])
    module: Any = sys.modules["deepobs.tensorflow.runners.standard_runner"]
    arguments, hyperparams = request["arguments"], request["hyperparams"]
    name = arguments["testproblem"]
    if without_l2 and request["has_l2"]:
        arguments = {**arguments, "weight_decay": 0.0}

    def build_problem(*given: Any) -> Any:  # the batch size, perhaps the weight decay
        if request["problem_factory"]:
            problem_class = load_object(request["problem_factory"])
            recorder.problem = problem_class(*given, **_accepted(problem_class, request))
        else:
            recorder.problem = getattr(deepobs.tensorflow.testproblems, name)(*given)
        return recorder.problem

    def build_optimizer(learning_rate: Any, **hyperparams: Any) -> Any:
        try:
            recorder.optimizer = optimizer_class(learning_rate, **hyperparams)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{request['optimizer']}: {error}") from error
        return recorder.optimizer

    def build_session() -> Any:
        report(
            {
                "event": "started",
                "environment": environment,
                "regularization": regularization,
                "data_label": getattr(recorder.problem, "data_label", ""),
                "data_version": getattr(recorder.problem, "data_version", ""),
            }
        )
        return recorder.session()

    build_optimizer.__name__ = optimizer_class.__name__
    module.testproblems = SimpleNamespace(**{name: build_problem})
    module.tf.Session = build_session
    declared = [{"name": key, "type": type(value)} for key, value in hyperparams.items()]
    runner = deepobs.tensorflow.runners.StandardRunner(build_optimizer, declared)
    try:
        runner.run(
            **arguments, **hyperparams, print_train_iter=False, tf_logging=False, no_logs=True
        )
    except Diverged as diverged:
        return {"event": "diverged", "message": str(diverged), "peak_memory": _peak_memory(tf)}
    return {"event": "done", "peak_memory": _peak_memory(tf)}


def _accepted(problem_class: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a problem: its options, and where its data are if it asks.

    Raises:
        UsageError: the synthetic twin is wanted, but the problem has none.
    """
    parameters, data = inspect.signature(problem_class).parameters, request["data"]
    if data["synthetic"] and "synthetic" not in parameters:
        name = request["arguments"]["testproblem"]
        raise UsageError(f"{name} has no synthetic twin in TensorFlow")
    known = {name: value for name, value in data.items() if name in parameters}
    return {**known, **request["problem_options"]}


def _environment(tf: Any, wants_gpu: bool) -> dict[str, Any]:
    gpus = tf.config.list_physical_devices("GPU")
    if wants_gpu and not gpus:
        raise UsageError("a GPU was asked for, but TensorFlow finds none")
    info = {
        "tensorflow": tf.__version__,
        "tf_keras": metadata.version("tf_keras"),
        "deepobs": metadata.version("deepobs"),
        # 0 stands for "as many as there are cores".
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
        "device": "cuda" if gpus else "cpu",
    }
    if gpus:
        info["device_name"] = tf.config.experimental.get_device_details(gpus[0]).get("device_name")
    return info


def _peak_memory(tf: Any) -> int | None:
    if not tf.config.list_physical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


if __name__ == "__main__":
    main()
