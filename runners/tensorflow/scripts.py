"""DeepOBS 1.1.2's own scripts, which cannot be run as they are."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alig_deepobs.errors import UsageError, unknown_name
from alig_deepobs.runners.tensorflow.compat import enable

# Not its estimate_runtime: that compares a run in its own process with a process that is started
# for the run, so it mostly measures how long it takes to import TensorFlow.
SCRIPTS = {"plot_results": "deepobs.scripts.deepobs_plot_results"}


def run_script(name: str, arguments: Sequence[str]) -> list[Path]:
    """Runs one of DeepOBS's scripts with its own command line.

    Args:
        name: one of `SCRIPTS`.
        arguments: what would stand behind the name of the script. Where it is given no folder of
            baselines and there is none of the default name, it does without.

    Returns:
        The files that it wrote into the current folder.

    Raises:
        UsageError: there is no such script, a folder is missing, or TensorFlow, ``tf_keras`` or
            DeepOBS is.
        SystemExit: the arguments are wrong; the script has printed why.
    """
    if name not in SCRIPTS:
        raise unknown_name("script of DeepOBS", name, SCRIPTS)
    deepobs: Any = enable()
    module: Any = importlib.import_module(SCRIPTS[name])
    parser = module.parse_args()
    parser.prog = f"alig-deepobs deepobs {name}"
    parsed = vars(parser.parse_args(list(arguments)))
    default = parser.get_default("baseline_path")
    if parsed["baseline_path"] == default and not Path(default).is_dir():
        parsed["baseline_path"] = ""
    for folder in filter(None, (parsed["path"], parsed["baseline_path"])):
        if not Path(folder).is_dir():
            raise UsageError(f"there is no folder {folder}")
    before = _stamps()
    module.deepobs = deepobs
    with warnings.catch_warnings():
        # Where there is no screen, there is nothing to show; the pictures are in files.
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
        module.main(**parsed)
    return sorted(path for path, stamp in _stamps().items() if before.get(path) != stamp)


def _stamps() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path().iterdir() if path.is_file()}
