"""``deepobs.config`` of DeepOBS 1.2: folders, test sets, default settings.

DeepOBS's interface is module-wide settings with getters and setters, so here they are.
"""

from __future__ import annotations

from typing import Any

from alig_deepobs import registry

_settings: dict[str, Any] = {
    "data_dir": None,
    "baseline_dir": "baselines_deepobs",
    "framework": "pytorch",
    "small_test_set": list(registry.PROBLEM_SETS["small"]),
    "large_test_set": list(registry.PROBLEM_SETS["large"]),
}


def get_data_dir() -> str | None:
    """The folder of the data files; None: the cache of the user."""
    return _settings["data_dir"]  # type: ignore[no-any-return]


def set_data_dir(data_dir: str | None) -> None:
    """Sets the folder of the data files."""
    _settings["data_dir"] = data_dir


def get_baseline_dir() -> str:
    """The folder of the baselines."""
    return str(_settings["baseline_dir"])


def set_baseline_dir(baseline_dir: str) -> None:
    """Sets the folder of the baselines."""
    _settings["baseline_dir"] = baseline_dir


def get_framework() -> str:
    """The framework in use."""
    return str(_settings["framework"])


def set_framework(framework: str) -> None:
    """Sets the framework in use.

    Raises:
        ValueError: it is neither pytorch nor tensorflow.
    """
    if framework not in ("pytorch", "tensorflow"):
        raise ValueError(f"framework must be 'pytorch' or 'tensorflow', not {framework!r}")
    _settings["framework"] = framework


def get_small_test_set() -> list[str]:
    """Names of the problems P1 to P4."""
    return list(_settings["small_test_set"])


def set_small_test_set(testset: list[str]) -> None:
    """Replaces the small test set."""
    _settings["small_test_set"] = list(testset)


def get_large_test_set() -> list[str]:
    """Names of the problems P5 to P8."""
    return list(_settings["large_test_set"])


def set_large_test_set(testset: list[str]) -> None:
    """Replaces the large test set."""
    _settings["large_test_set"] = list(testset)


def get_testproblem_default_setting(testproblem: str) -> dict[str, int]:
    """Default batch size and number of epochs of a problem.

    Raises:
        RuntimeError: there is no such problem (DeepOBS's own kind of error).
    """
    try:
        return dict(DEFAULT_TEST_PROBLEMS_SETTINGS[testproblem])
    except KeyError:
        raise RuntimeError(
            f"there are no default settings for test problem {testproblem!r}: "
            "give batch_size and num_epochs"
        ) from None


DEFAULT_TEST_PROBLEMS_SETTINGS = {
    entry.name: {"batch_size": entry.batch_size, "num_epochs": entry.num_epochs}
    for entry in registry.testproblems().values()
}

# Pretty names, looked up by the two parts of a problem's name.
DATA_SET_NAMING: dict[str, str] = {}
TP_NAMING: dict[str, str] = {}
for _entry in registry.testproblems().values():
    _data, _, _model = _entry.name.partition("_")
    _data_label, _, _model_label = _entry.label.partition(" ")
    DATA_SET_NAMING[_data] = _data_label
    TP_NAMING[_model] = _model_label or _data_label
