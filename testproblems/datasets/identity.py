"""What a run will be trained on, known before it starts.

The version of a data set is a digest of its decoded content, and decoding takes a while. So it is
remembered in the user's cache until anything changes that it depends on: the files, the code that
reads them, and the packages that draw numbers or bring data.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from alig_deepobs import __version__
from alig_deepobs.entries import ProblemEntry
from alig_deepobs.errors import DataError, ResultError
from alig_deepobs.files import clear_leftovers, write_text_atomically
from alig_deepobs.plugins import calling
from alig_deepobs.registry import find_testproblem
from alig_deepobs.testproblems.datasets.embeddings import find_table
from alig_deepobs.testproblems.datasets.fetch import (
    Stamps,
    cache_dir,
    require,
    stamp_of,
    stamps_of,
)
from alig_deepobs.testproblems.datasets.sources import SOURCES, DataSource

logger = logging.getLogger(__name__)

# DeepOBS's problem that reads another problem's data by mistake.
_READS_DATA_OF = {"fmnist_mlp": "mnist_mlp"}


@dataclass(frozen=True)
class DataIdentity:
    """The data of a run.

    Attributes:
        data_set: name of the data set.
        label: what the data are, for a reader.
        source: where they come from.
        version: digest of the content, and of what is held out.
        smallest_set: the set with the fewest examples: no mini-batch can be larger. Empty where
            incomplete mini-batches are used.
        smallest_size: its examples.
    """

    data_set: str
    label: str
    source: DataSource
    version: str
    smallest_set: str = ""
    smallest_size: int = 0


def data_of(problem: ProblemEntry) -> ProblemEntry:
    """The problem whose data set the problem of this name reads in TensorFlow."""
    if problem.tensorflow_factory:
        return problem
    return find_testproblem(_READS_DATA_OF.get(problem.name, problem.name))


def reads_records(problem: ProblemEntry) -> bool:
    """Whether DeepOBS 1.1.2 reads the problem's data from files in a form that it alone knows.

    They are too large to be converted, and nothing is known of them before the run.
    """
    source = SOURCES.get(data_of(problem).data_set)
    return source is not None and source.own and not problem.tensorflow_factory


def data_identity(
    problem: ProblemEntry,
    *,
    problem_options: Mapping[str, Any],
    split: str,
    synthetic: bool,
    data_dir: str | None,
    offline: bool,
    framework: str = "pytorch",
) -> DataIdentity:
    """The data that a run of a problem is trained on.

    Missing files are downloaded. The data are loaded once; as long as nothing changes, later calls,
    in other processes too, take milliseconds.

    Args:
        problem: the problem.
        problem_options: options of the problem; those that are left out have their defaults.
        split: ``full`` or ``validation``.
        synthetic: whether the data are the synthetic twin.
        data_dir: folder with the official files; None for the per-user cache.
        offline: never touch the network.
        framework: ``pytorch`` or ``tensorflow``, where the data are those of the same problem.

    Raises:
        UsageError: an option makes no sense, or there is nothing to hold out.
        DataError: a file is missing or broken.
    """
    if framework == "tensorflow":
        problem = data_of(problem)
        if reads_records(problem):
            source = SOURCES[problem.data_set]
            # DeepOBS reads these files in a form of its own, which nothing here decodes.
            return DataIdentity(source.name, source.label, "unverified", "")
    options = problem.changed_options(problem_options)
    asked = (problem.name, problem.factory, sorted(options.items()), split, synthetic)
    instance = partial(
        problem.make, problem.batch_size, synthetic=synthetic, data_dir=data_dir, offline=offline,
        device="cpu", seed=0, split=split, **options,
    )  # fmt: skip
    try:
        stamps = () if synthetic else _stamps(problem, options, data_dir, offline)
    except DataError:
        # The problem, which takes longer to ask, may know better what could be done about it.
        instance().check_files()
        raise
    # Of a problem of somebody else's, nobody knows which files and which code it reads.
    if stamps is None or not problem.factory.startswith("alig_deepobs."):
        return _loaded(problem, instance())
    place = cache_dir() / "identities" / f"{_digest(asked, [path for path, *_ in stamps])}.json"
    state = _digest(stamps, _versions(), _code())
    known = _recall(place, state)
    if known is None:
        known = _loaded(problem, instance())
        _remember(place, state, known)
    return known


def _loaded(problem: ProblemEntry, instance: Any) -> DataIdentity:
    with calling(f"loading the data of {problem.name}"):
        data = instance.load_data()
    found = DataIdentity(data.name, data.label, data.source, data.version_for(instance.split))
    if not instance.drops_incomplete:
        return found
    sizes = data.sizes_for(instance.split)
    smallest = min(sizes, key=sizes.__getitem__)
    return replace(found, smallest_set=smallest, smallest_size=sizes[smallest])


def _stamps(
    problem: ProblemEntry, options: Mapping[str, Any], data_dir: str | None, offline: bool
) -> Stamps | None:
    """The files that the data are read from; None where there are too many to look at, or unknown.

    Problems that let the user choose among several data sets call that option ``corpus``, and the
    one that names a table of word vectors ``embeddings``.
    """
    values = {name: declared.default for name, declared in problem.options.items()} | {**options}
    source = SOURCES.get(values.get("corpus", problem.data_set))
    if source is None or any(file.is_folder for file in source.files):
        return None
    stamps = stamps_of(source, require(source, data_dir, offline))
    if "embeddings" in values:
        stamps += tuple(map(stamp_of, find_table(values["embeddings"], data_dir).paths))
    return stamps


@cache
def _versions() -> tuple[str, ...]:
    return __version__, metadata.version("numpy"), metadata.version("scikit-learn")


@cache
def _code() -> Stamps:
    """The code that reads, draws and splits: in a checkout, the version does not change with it."""
    folder = Path(__file__).parent
    files = [*folder.parent.glob("*.py"), *folder.glob("*.py"), *folder.glob("*.toml")]
    return tuple(map(stamp_of, sorted(files)))


def _digest(*facts: Any) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _recall(place: Path, state: str) -> DataIdentity | None:
    """What is remembered; None if that is nothing, of another state, or damaged."""
    try:
        record = json.loads(place.read_bytes())
        if record.pop("state") == state and record["source"] in get_args(DataSource):
            return DataIdentity(**record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.debug("%s is not used: %r", place, error)
    return None


def _remember(place: Path, state: str, identity: DataIdentity) -> None:
    clear_leftovers(place.parent)
    try:
        write_text_atomically(place, json.dumps({"state": state, **asdict(identity)}))
    except ResultError as error:  # without a cache, the next run takes longer
        logger.info("%s", error)
