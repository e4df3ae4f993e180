"""``deepobs.config`` of DeepOBS 1.2: folders, test sets, default settings.

DeepOBS's interface is module-wide settings with getters and setters, so here they are.
"""

from __future__ import annotations

from alig_deepobs import registry
from alig_deepobs.runners.deepobs.accessors import accessors, one_of

get_data_dir, set_data_dir = accessors(None)  # None: the cache of the user
get_baseline_dir, set_baseline_dir = accessors("baselines_deepobs", str)
get_framework, set_framework = accessors("pytorch", one_of("framework", "pytorch", "tensorflow"))
get_small_test_set, set_small_test_set = accessors(registry.PROBLEM_SETS["small"], list)
get_large_test_set, set_large_test_set = accessors(registry.PROBLEM_SETS["large"], list)


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
