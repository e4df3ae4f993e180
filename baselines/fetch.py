"""Downloading the official baseline repository, and comparing it with what is committed here."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from alig_deepobs.baselines.committed import (
    COMMIT,
    published_grid,
    published_problems,
    published_runs,
)
from alig_deepobs.baselines.imports import imports_folder
from alig_deepobs.errors import DataError
from alig_deepobs.run import Outcome, RunResult

logger = logging.getLogger(__name__)

URL = f"https://github.com/fsschneider/DeepOBS_Baselines/archive/{COMMIT}.tar.gz"

_CURVES = ("train_losses", "test_losses", "train_accuracies", "test_accuracies")


class Agreement(NamedTuple):
    """How runs compare with the published ones of this package.

    Attributes:
        agreeing: runs with the same final metrics (of a run that was not finite to its end: the
            same metrics before training).
        differing: runs that differ, as ``problem optimizer learning rate seed``.
        missing: published runs that are not among them.
    """

    agreeing: int
    differing: list[str]
    missing: int


def download(url: str = URL) -> Path:
    """Downloads the archive into the folder of the imports, unless it is there.

    GitHub makes such archives anew now and then, so there is no digest to compare with; `verify`
    compares the content.

    Raises:
        DataError: it cannot be downloaded.
    """
    import pooch

    from alig_deepobs.testproblems.datasets.download import Downloader
    from alig_deepobs.testproblems.datasets.fetch import short_reason

    name = f"DeepOBS_Baselines-{COMMIT[:7]}" + (".zip" if url.endswith(".zip") else ".tar.gz")
    its_logger = pooch.get_logger()
    level = its_logger.level
    its_logger.setLevel(logging.WARNING)  # its advice on digests is for developers
    try:
        return Path(pooch.retrieve(url, None, name, imports_folder(), downloader=Downloader()))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        logger.info("%s: %s", url, error)
        raise DataError(
            f"the official baselines could not be downloaded from {url} ({short_reason(error)}); "
            "`alig-deepobs baselines import` takes a clone or an archive that you have"
        ) from error
    finally:
        its_logger.setLevel(level)


def verify(results: Iterable[RunResult]) -> Agreement:
    """Compares the runs of the official repository with the published runs of this package.

    Args:
        results: the runs, under our names (`import_results`).
    """
    expected = {
        run.identity(): run
        for problem in published_problems()
        for optimizer in ("sgd", "momentum", "adam")
        for run in (*published_runs(problem, optimizer), *published_grid(problem, optimizer))
    }
    agreeing, differing = 0, []
    for run in results:
        known = expected.pop(run.identity(), None)
        if known is not None and _agree(known, run):
            agreeing += 1
        else:
            differing.append(
                f"{run.testproblem} {run.optimizer or run.optimizer_name} {run.learning_rate} "
                f"{run.random_seed}"
            )
    return Agreement(agreeing, differing, len(expected))


def _agree(known: RunResult, found: RunResult) -> bool:
    pairs = [(getattr(known, name), getattr(found, name)) for name in _CURVES]
    # Of runs that diverged the values before training were kept.
    at = -1 if known.outcome is Outcome.DONE else 0
    return known.outcome is found.outcome and all(
        math.isclose(a[at], b[at], rel_tol=1e-9) for a, b in pairs if a and b
    )
