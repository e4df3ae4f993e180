"""DeepOBS 1.1.2's analyzer and plot script on folders of ours: ``analyzer_worker.py FOLDER``.

The folders ``FOLDER/results`` (of `run`) and ``FOLDER/compared`` (of `compare`) are there already.
"""

import contextlib
import io
import json
import os
import sys
import traceback
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")


def functions():
    """Every function of the analyzer on the results of `run`."""
    from alig_deepobs.tensorflow import enable

    package = enable().analyzer
    parsed = package.analyze_utils.Analyzer("results")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        package.analyze.get_best_run(parsed)
        package.analyze.plot_lr_sensitivity(parsed)
        package.analyze.plot_performance(parsed)
        package.analyze.plot_table(parsed)
    finals = {
        problem: {
            name: [
                [setting.aggregate.num_runs, setting.aggregate.final_value]
                for setting in optimizer.settings.values()
            ]
            for name, optimizer in found.optimizers.items()
        }
        for problem, found in parsed.testproblems.items()
    }
    return {
        "finals": json.loads(json.dumps(finals).replace("NaN", '"nan"')),
        "metrics": {name: found.metric for name, found in parsed.testproblems.items()},
        "best": printed.getvalue(),
        "table": Path("performance_table_small.tex").read_text(),
    }


def script():
    """The plot script, as the command line runs it."""
    from alig_deepobs.cli.main import main

    answers = {}
    for name, words in {
        "results": ["results", "--full"],
        "compared": ["compared", "--get_best_run"],
        "nowhere": ["nowhere"],
        "nonsense": ["results", "--nonsense"],
        "no baselines": ["results", "--baseline_path", "none"],
    }.items():
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
        ):
            try:
                main(["deepobs", "plot_results", *words])
            except SystemExit as ended:
                answers[name] = {"code": ended.code, "out": out.getvalue(), "err": err.getvalue()}
    return answers


def conv_perf():
    """The published convergence performances know eight problems only."""
    from alig_deepobs.tensorflow import enable

    deepobs = enable()
    Path("baselines").mkdir()
    Path("baselines/convergence_performance.json").write_text('{"quadratic_deep": 87.7}')
    deepobs.tensorflow.config.set_baseline_dir("baselines")
    parsed = deepobs.analyzer.analyze_utils.Analyzer("results")
    return {name: found.conv_perf for name, found in parsed.testproblems.items()}


def main(folder):
    os.chdir(folder)
    answers = {}
    for scenario in (functions, script, conv_perf):
        try:
            answers[scenario.__name__] = scenario()
        except (Exception, SystemExit):  # noqa: BLE001 - the test shows whatever it is
            answers[scenario.__name__] = {"error": traceback.format_exc()}
    Path("answer.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1])
