"""Downloading the official baseline repository, and comparing it with this package's tables."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import NamedTuple

from alig_deepobs.baselines.archive import result_members
from alig_deepobs.baselines.distil import distil
from alig_deepobs.baselines.published import published_table
from alig_deepobs.errors import DataError

logger = logging.getLogger(__name__)

COMMIT = "3da285abf9786e823aaef6d0fc0c9c98ef5d6d83"
URL = f"https://github.com/fsschneider/DeepOBS_Baselines/archive/{COMMIT}.tar.gz"


class Agreement(NamedTuple):
    """How the runs of an archive compare with the tables of this package.

    Attributes:
        agreeing: runs with the same final metrics, epochs to target and outcome.
        differing: runs that differ, as ``problem optimizer learning rate seed``.
        missing: runs of the tables that the archive lacks.
    """

    agreeing: int
    differing: list[str]
    missing: int


def download(url: str = URL) -> Path:
    """Downloads the archive into the cache folder, unless it is there.

    GitHub makes such archives anew now and then, so there is no digest to compare with; `verify`
    compares the content.

    Raises:
        DataError: it cannot be downloaded.
    """
    import pooch

    from alig_deepobs.testproblems.datasets.fetch import cache_dir, short_reason

    folder = cache_dir() / "baselines"
    name = f"DeepOBS_Baselines-{COMMIT[:7]}" + (".zip" if url.endswith(".zip") else ".tar.gz")
    its_logger = pooch.get_logger()
    level = its_logger.level
    its_logger.setLevel(logging.WARNING)  # its advice on digests is for developers
    try:
        return Path(pooch.retrieve(url, None, name, folder))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        logger.info("%s: %s", url, error)
        raise DataError(
            f"the official baselines could not be downloaded from {url} ({short_reason(error)}); "
            "`alig-deepobs baselines import` takes a clone or an archive that you have"
        ) from error
    finally:
        its_logger.setLevel(level)


def verify(archive: Path) -> Agreement:
    """Compares every run of an archive of the official repository with the tables.

    Args:
        archive: clone or archive.

    Raises:
        DataError: the archive is corrupt.
    """
    rows, _ = distil(result_members(archive))
    expected = {(r.testproblem, r.optimizer, r.learning_rate, r.seed): r for r in published_table()}
    agreeing, differing = 0, []
    for row in rows:
        key = (row.testproblem, row.optimizer, row.learning_rate, row.seed)
        known = expected.pop(key, None)
        same = known is not None and (
            known.outcome == row.outcome
            and known.epochs_to_target == row.epochs_to_target
            and all(
                _close(known.metrics[metric].final, facts.final)
                for metric, facts in row.metrics.items()
            )
        )
        if same:
            agreeing += 1
        else:
            differing.append(" ".join(map(str, key)))
    return Agreement(agreeing, differing, len(expected))


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9) or (math.isnan(a) and math.isnan(b))
