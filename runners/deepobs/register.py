"""Puts ALI-G and this package's problems where DeepOBS looks.

For TensorFlow, the installed DeepOBS 1.1.2 is made to run and gets the problems that it lacks. For
PyTorch there are three situations:

* The DeepOBS 1.2 beta is installed: its ``deepobs.pytorch`` gets the problems that it lacks.
* DeepOBS 1.1.2, or none, is installed: ``deepobs.pytorch``, ``deepobs.config`` and
  ``deepobs.tuner`` are provided from our own modules. Nothing of an installed DeepOBS is run for
  that, because 1.1.2 cannot be imported without TensorFlow.
* It was called before: nothing happens.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from alig_deepobs import registry
from alig_deepobs.errors import UsageError
from alig_deepobs.runners.tensorflow.alias import alias_tensorflow
from alig_deepobs.runners.tensorflow.compat import SUPPORTED, enable

logger = logging.getLogger(__name__)

_HOME = "alig_deepobs.runners.deepobs"
PROVIDED = {
    "deepobs.config": f"{_HOME}.config",
    "deepobs.analyzer": f"{_HOME}.analyzer",
    "deepobs.analyzer.analyze": f"{_HOME}.analyzer",
    "deepobs.analyzer.shared_utils": f"{_HOME}.shared_utils",
    "deepobs.tuner": f"{_HOME}.tuner",
    "deepobs.tuner.tuner": f"{_HOME}.tuner",
    "deepobs.tuner.grid_search": f"{_HOME}.tuner",
    "deepobs.tuner.random_search": f"{_HOME}.tuner",
    "deepobs.tuner.tuner_utils": f"{_HOME}.tuner_utils",
    "deepobs.tuner.bayesian": f"{_HOME}.bayesian",
    "deepobs.pytorch.config": f"{_HOME}.pytorch_config",
    "deepobs.pytorch.datasets": f"{_HOME}.datasets",
    "deepobs.pytorch.datasets.dataset": f"{_HOME}.datasets",
    "deepobs.pytorch.datasets.datasets_utils": f"{_HOME}.datasets_utils",
    "deepobs.pytorch.runners": f"{_HOME}.runners",
    "deepobs.pytorch.runners.runner": f"{_HOME}.runners",
    "deepobs.pytorch.runners.runner_utils": f"{_HOME}.runner_utils",
    "deepobs.pytorch.testproblems": f"{_HOME}.testproblems",
    "deepobs.pytorch.testproblems.testproblem": f"{_HOME}.testproblem",
    "deepobs.pytorch.testproblems.testproblems_modules": f"{_HOME}.testproblems_modules",
    "deepobs.pytorch.testproblems.testproblems_utils": f"{_HOME}.testproblems_utils",
    "deepobs.abstract_runner": f"{_HOME}.hooks",
    "deepobs.abstract_runner.abstract_runner": f"{_HOME}.hooks",
    "deepobs.abstract_runner.abstract_runner_utils": f"{_HOME}.runner_utils",
}
"""DeepOBS 1.2's module -> ours."""


def register(
    framework: str | None = None, split: str | None = None, *, alias: bool = False
) -> None:
    """Makes scripts written for DeepOBS find ALI-G's problems, and DeepOBS's own.

    Args:
        framework: ``"pytorch"`` or ``"tensorflow"``; None for all that are installed. Naming one
            saves the import of the other.
        split: for the provided ``deepobs.pytorch``: ``"validation"`` (DeepOBS 1.2's split, the
            default) or ``"full"`` (that of the released version, comparable with its baselines).
        alias: with ``"tensorflow"``: ``import tensorflow as tf`` means TensorFlow 1 in the module
            that calls this, before the call and after it, and in no other.

    Raises:
        UsageError: the framework is not known, it was named and is not installed, or ``alias``
            makes no sense for it.

    Example:
        >>> register("pytorch")
        >>> from deepobs.pytorch.runners import StandardRunner
        >>> from deepobs.pytorch.testproblems import quadratic_deep
    """
    if framework not in (None, "pytorch", "tensorflow"):
        raise UsageError(f"framework must be 'pytorch' or 'tensorflow', not {framework!r}")
    if alias and framework != "tensorflow":
        raise UsageError('alias=True goes with register("tensorflow", alias=True)')
    if framework != "tensorflow":
        _register_pytorch(split)
    if framework == "tensorflow":
        _register_tensorflow()
        if alias:
            alias_tensorflow(sys._getframe(1).f_globals)
    elif framework is None and _tensorflow_is_installed():
        try:
            _register_tensorflow()
        except UsageError as error:  # it was not asked for by name
            logger.warning("DeepOBS's TensorFlow half is left out: %s", error)


def _register_pytorch(split: str | None) -> None:
    _refuse_strangers()
    if _beta_is_installed():
        _add_to_beta()
        return
    _provide()
    if split is not None:
        importlib.import_module("alig_deepobs.runners.deepobs.pytorch_config").set_split(split)


def _tensorflow_is_installed() -> bool:
    """Whether everything that the TensorFlow half needs is there; imports nothing."""
    try:
        version = metadata.version("deepobs")
    except metadata.PackageNotFoundError:
        return False
    needed = ("tensorflow", "tf_keras")
    return version == SUPPORTED and all(importlib.util.find_spec(name) for name in needed)


def _register_tensorflow() -> None:
    """Makes DeepOBS 1.1.2 run, and adds the problems that it lacks."""
    enable()
    ours: Any = importlib.import_module(PROVIDED["deepobs.analyzer"])
    for module in ("deepobs.analyzer", "deepobs.analyzer.analyze"):
        for name in ours.__all__:  # 1.2's functions beside the classes of 1.1.2
            setattr(sys.modules[module], name, getattr(ours, name))
    theirs = importlib.import_module("deepobs.tensorflow.testproblems")
    for entry in registry.testproblems().values():
        if not entry.tensorflow_factory:
            continue
        try:
            setattr(theirs, entry.name, registry.load_object(entry.tensorflow_factory))
        except UsageError as error:  # a stranger's problem must not cost the others
            logger.warning("%s is left out of DeepOBS 1.1.2: %s", entry.name, error)
    for name in ("", ".runners", ".testproblems", ".datasets", ".config"):
        _tell_neighbours(f"deepobs.tensorflow{name}")
    _tell_neighbours("deepobs", "deepobs.analyzer", "deepobs.analyzer.analyze")


def _beta_is_installed() -> bool:
    """Whether the 1.2 beta is there; imports nothing of it.

    The wheel of 1.1.2 carries left-over files of the beta, ``deepobs/pytorch`` among them, which
    can never be imported: its ``__init__`` is that of 1.1.2. So the version counts too.
    """
    if getattr(sys.modules.get("deepobs.pytorch"), "provided_by", None) == "alig_deepobs":
        return False
    return any(
        (folder / "pytorch" / "__init__.py").exists() and not _is_released_version(folder)
        for folder in _deepobs_folders()
    )


def _refuse_strangers() -> None:
    """A package that is called deepobs and is none stays alone.

    Raises:
        UsageError: there is one.
    """
    for folder in _deepobs_folders():
        known = (folder / "pytorch" / "__init__.py").exists() or _is_released_version(folder)
        if not known and (folder / "__init__.py").exists():
            raise UsageError(_stranger(folder))


def _stranger(folder: Path, why: str = "") -> str:
    return (
        f"the package deepobs in {folder} is neither DeepOBS {SUPPORTED} nor the 1.2 beta{why}: "
        f"remove it, and pip install deepobs=={SUPPORTED}"
    )


def _is_released_version(folder: Path) -> bool:
    """Whether a folder is that of an installed DeepOBS older than 1.2."""
    try:
        installed = metadata.distribution("deepobs")
    except metadata.PackageNotFoundError:
        return False
    same = Path(str(installed.locate_file("deepobs"))).resolve() == folder.resolve()
    return same and tuple(map(int, installed.version.split(".")[:2])) < (1, 2)


def _deepobs_folders() -> list[Path]:
    """The folders of an installed ``deepobs``, found without importing it."""
    loaded = sys.modules.get("deepobs")
    if loaded is not None:
        return [Path(path) for path in getattr(loaded, "__path__", [])]
    spec = importlib.util.find_spec("deepobs")
    return [Path(path) for path in (spec.submodule_search_locations or [])] if spec else []


def _provide() -> None:
    folders = [str(path) for path in _deepobs_folders()]
    if "deepobs" not in sys.modules:
        # A package without the __init__ of 1.1.2, which would import TensorFlow. Its folder stays
        # searchable, so that deepobs.tensorflow can still be imported.
        _make_package("deepobs", folders)
    if "deepobs.pytorch" not in sys.modules:
        package = _make_package("deepobs.pytorch", [])
        package.provided_by = "alig_deepobs"  # type: ignore[attr-defined]
    for name, home in PROVIDED.items():
        if name not in sys.modules:
            sys.modules[name] = importlib.import_module(home)
            parent, _, child = name.rpartition(".")
            # Where a module of DeepOBS is in ours with its neighbours, it is its own parent.
            setattr(sys.modules[parent], child, sys.modules[name])
    if not hasattr(sys.modules["deepobs"], "__version__"):
        sys.modules["deepobs"].__version__ = "1.2.0-beta0"  # type: ignore[attr-defined]
    _tell_neighbours("deepobs", "deepobs.pytorch", *PROVIDED)
    _provide_classes_as_modules()


def _tell_neighbours(*names: str) -> None:
    packages: Any = importlib.import_module(f"{_HOME}.packages")
    for name in names:
        packages.tell_neighbours(name)


def _provide_classes_as_modules() -> None:
    """Lets ``from deepobs.pytorch.testproblems.mnist_mlp import mnist_mlp`` find the class."""
    if not any(isinstance(finder, _ClassModules) for finder in sys.meta_path):
        sys.meta_path.append(_ClassModules())


class _ClassModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the modules in which DeepOBS has one problem or one data set each.

    ``deepobs.pytorch.testproblems.mnist_mlp`` is the class for those who ask the package, as in
    DeepOBS; so the module is no attribute of it.
    """

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of a problem or of a data set; None for everything else."""
        parent, _, name = fullname.rpartition(".")
        if parent in ("deepobs.pytorch.testproblems", "deepobs.pytorch.datasets"):
            known = dir(sys.modules[parent]) if parent in sys.modules else []
            if name in known and isinstance(getattr(sys.modules[parent], name), type):
                return importlib.machinery.ModuleSpec(fullname, self)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Nothing of its own."""

    def exec_module(self, module: ModuleType) -> None:
        """Puts the class into the module."""
        parent, _, name = module.__name__.rpartition(".")
        setattr(module, name, getattr(sys.modules[parent], name))


def _make_package(name: str, path: list[str]) -> ModuleType:
    module = ModuleType(name, f"Provided by alig_deepobs for scripts written for {name}.")
    module.__path__ = path
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    module.__spec__.submodule_search_locations = path
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def _add_to_beta() -> None:
    """Adds to an installed 1.2 beta the problems that it lacks, with defaults and names."""
    try:
        config: Any = importlib.import_module("deepobs.config")
        theirs: Any = importlib.import_module("deepobs.pytorch.testproblems")
        _ = config.DEFAULT_TEST_PROBLEMS_SETTINGS, config.get_data_dir
    except Exception as error:  # a fork may break in any way
        folder = next(iter(_deepobs_folders()), Path("deepobs"))
        why = f" ({type(error).__name__}: {error})"
        raise UsageError(_stranger(folder, why)) from error
    from alig_deepobs.runners.deepobs import config as ours

    for entry in registry.testproblems().values():
        if hasattr(theirs, entry.name):
            continue
        if not entry.has_validation:
            # The beta's runners evaluate a validation set in any case.
            logger.info("%s has no validation set and is left out of DeepOBS 1.2", entry.name)
            continue
        setattr(theirs, entry.name, _for_beta(entry))
        defaults = {"batch_size": entry.batch_size, "num_epochs": entry.num_epochs}
        config.DEFAULT_TEST_PROBLEMS_SETTINGS.setdefault(entry.name, defaults)
        data, _, model = entry.name.partition("_")
        for table, key in (("DATA_SET_NAMING", data), ("TP_NAMING", model)):
            if hasattr(config, table):
                getattr(config, table).setdefault(key, getattr(ours, table)[key])


def _for_beta(entry: registry.ProblemEntry) -> type:
    """The problem's class as the beta calls it: two arguments, with a validation set."""
    base = entry.load()

    def construct(
        self: Any, batch_size: int, weight_decay: float | None = None, **more: Any
    ) -> None:
        config: Any = importlib.import_module("deepobs.config")
        folder = Path(config.get_data_dir())
        more.setdefault("data_dir", str(folder) if folder.is_dir() else None)
        base.__init__(self, batch_size, weight_decay, **{"split": "validation", **more})

    def loss_and_accuracy_func(self: Any, *args: Any, **more: Any) -> Callable[[], Any]:
        evaluate = base.get_batch_loss_and_accuracy_func(self, *args, **more)

        def with_float() -> tuple[Any, float]:
            loss, accuracy = evaluate()
            return loss, float(accuracy)  # the beta writes what it is given into its JSON

        return with_float

    own = {
        "__init__": construct,
        "__doc__": base.__doc__,
        "get_batch_loss_and_accuracy_func": loss_and_accuracy_func,
    }
    return type(entry.name, (base,), own)
