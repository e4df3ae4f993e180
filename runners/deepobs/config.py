"""``deepobs.config`` of DeepOBS 1.2: folders, test sets, default settings, pretty names.

DeepOBS's interface is module-wide settings with getters and setters, so here they are. The tables
may be edited in place, and the settings may be assigned as well as set.
"""

from __future__ import annotations

from typing import Any

from alig_deepobs import registry
from alig_deepobs.errors import unknown_choice

FRAMEWORK = "pytorch"
DATA_DIR = "data_deepobs"
BASELINE_DIR = "baselines_deepobs"
SMALL_TEST_SET = list(registry.PROBLEM_SETS["small"])
LARGE_TEST_SET = list(registry.PROBLEM_SETS["large"])

DEFAULT_TEST_PROBLEMS_SETTINGS: dict[str, dict[str, int]] = {
    entry.name: {"batch_size": entry.batch_size, "num_epochs": entry.num_epochs}
    for entry in registry.testproblems().values()
}

# Pretty names, looked up by the two parts of a problem's name.
DATA_SET_NAMING: dict[str, str] = {}
TP_NAMING: dict[str, str] = {}


def _fill_names() -> None:
    for entry in registry.testproblems().values():
        data, _, model = entry.name.partition("_")
        data_label, _, model_label = entry.label.partition(" ")
        DATA_SET_NAMING[data] = data_label
        TP_NAMING[model] = model_label or data_label


_fill_names()


def get_data_dir() -> str:
    """The folder with the data files; the default one counts only where it exists."""
    return DATA_DIR


def set_data_dir(data_dir: str) -> None:
    """Sets the folder with the data files."""
    global DATA_DIR
    DATA_DIR = data_dir


def get_framework() -> str:
    """``pytorch`` or ``tensorflow``."""
    return FRAMEWORK


def set_framework(framework: str) -> None:
    """Sets the framework.

    Raises:
        ValueError: it is neither ``pytorch`` nor ``tensorflow`` (DeepOBS's own kind of error).
    """
    global FRAMEWORK
    if framework not in ("pytorch", "tensorflow"):
        raise ValueError(f"framework must be 'pytorch' or 'tensorflow', not {framework!r}")
    FRAMEWORK = framework


def get_baseline_dir() -> str:
    """The folder with baselines."""
    return BASELINE_DIR


def set_baseline_dir(baseline_dir: str) -> None:
    """Sets the folder with baselines."""
    global BASELINE_DIR
    BASELINE_DIR = baseline_dir


def get_small_test_set() -> list[str]:
    """DeepOBS's problems P1 to P4."""
    return SMALL_TEST_SET


def set_small_test_set(testset: list[str]) -> None:
    """Sets the small test set."""
    global SMALL_TEST_SET
    SMALL_TEST_SET = testset


def get_large_test_set() -> list[str]:
    """DeepOBS's problems P5 to P8."""
    return LARGE_TEST_SET


def set_large_test_set(testset: list[str]) -> None:
    """Sets the large test set."""
    global LARGE_TEST_SET
    LARGE_TEST_SET = testset


def get_data_set_naming() -> dict[str, str]:
    """Pretty names of data sets, by the first part of a problem's name."""
    return DATA_SET_NAMING


def get_tp_naming() -> dict[str, str]:
    """Pretty names of networks, by the rest of a problem's name."""
    return TP_NAMING


def get_testproblem_default_setting(testproblem: str) -> dict[str, int]:
    """Default batch size and number of epochs of a problem.

    Raises:
        RuntimeError: there is no such problem (DeepOBS's own kind of error).
    """
    try:
        return DEFAULT_TEST_PROBLEMS_SETTINGS[testproblem]
    except KeyError:
        raise RuntimeError(
            f"there are no default settings for test problem {testproblem!r}: "
            "give batch_size and num_epochs"
        ) from None


__all__ = [
    "BASELINE_DIR", "DATA_DIR", "DATA_SET_NAMING", "DEFAULT_TEST_PROBLEMS_SETTINGS", "FRAMEWORK",
    "LARGE_TEST_SET", "SMALL_TEST_SET", "TP_NAMING", "get_baseline_dir", "get_data_dir",
    "get_data_set_naming", "get_framework", "get_large_test_set", "get_small_test_set",
    "get_testproblem_default_setting", "get_tp_naming", "set_baseline_dir", "set_data_dir",
    "set_framework", "set_large_test_set", "set_small_test_set",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(str(unknown_choice("name in deepobs.config", name, __all__)))
