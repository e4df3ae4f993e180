"""A folder of results as a store of runs: what is there, what is written, who works on what."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from alig_deepobs.errors import ResultError
from alig_deepobs.files import check_writable, clear_leftovers, remove_with_folder
from alig_deepobs.results import newest, read_result, run_folder, write_result
from alig_deepobs.run import Outcome, ResolvedRun, Run, RunResult

CLAIMS = ".claims"
CHECKPOINTS = ".checkpoints"
TUNING = "tuning"
ATTEMPTS = 20
"""Of claiming a run, where other processes make and remove the folder of claims."""


@dataclass(frozen=True)
class Store:
    """The results in a folder, found by the identity of their run.

    Runs that only serve to choose a setting are no results: they are in a folder of their own.
    Several processes, on one machine or on a file system with locks, may work on one folder.

    Attributes:
        folder: where the results are.
    """

    folder: Path

    def __post_init__(self) -> None:
        # Wherever the process goes, the results stay here.
        object.__setattr__(self, "folder", self.folder.absolute())

    def check(self) -> None:
        """Finds out whether results can be written.

        Raises:
            ResultError: they cannot; the message says why.
        """
        check_writable(self.folder)

    def find(self, run: Run, since: str = "") -> RunResult | None:
        """The result of a run that came to its end, if it is there.

        One that its time limit ended counts where the limit of ``run`` is not longer.

        Args:
            run: the run.
            since: a time (`alig_deepobs.results.now`); a run that failed after it counts, too, so
                that several processes do not try it in turn.
        """
        found: RunResult | None = None
        for _, result in self._results(run):
            found = result if found is None else newest(found, result)
        if found is None or not _has_extras(found, run):
            return None
        broke = found.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
        if found.outcome.is_final or (broke and since and found.started >= since):
            return found
        limit = getattr(run, "time_limit", None)
        return found if limit is not None and limit <= (found.time_limit or 0.0) else None

    def write(self, result: RunResult) -> Path:
        """Writes a result; it takes the place of those of the same run that count less.

        The later of two is this one, whatever the clock says. A run that has come to its end loses
        its checkpoint; where code of the user's fails, `alig_deepobs.runners.training` removes it.

        Raises:
            ResultError: it cannot be written.
        """
        earlier = list(self._results(result))
        path = write_result(result, self._root(result))
        for old_path, old in earlier:
            if result.outcome.is_final or not old.outcome.is_final:
                with contextlib.suppress(OSError):
                    old_path.unlink()
        if result.outcome.is_final:
            self.forget(result)
        return path

    def checkpoint(self, run: Run) -> Path:
        """The file that a run is kept in while it goes on."""
        return self.folder / CHECKPOINTS / f"{_name(run)}.pt"

    def forget(self, run: Run) -> None:
        """Removes the checkpoint of a run, if there is one."""
        remove_with_folder(self.checkpoint(run))

    def clear(self, found: Iterable[Run]) -> None:
        """Removes what processes that were killed have left behind.

        Args:
            found: runs whose results are there: they need no checkpoint any more.
        """
        if (self.folder / CHECKPOINTS).is_dir():
            for run in found:
                self.forget(run)
        clear_leftovers(self.folder)
        claims: list[Path] = []
        with contextlib.suppress(OSError):  # another process has just removed the folder
            claims = list((self.folder / CLAIMS).glob("*"))
        for path in claims:
            with contextlib.suppress(OSError, Timeout), FileLock(path, timeout=0):
                path.unlink()
        with contextlib.suppress(OSError):
            (self.folder / CLAIMS).rmdir()

    @contextlib.contextmanager
    def claim(self, run: Run) -> Iterator[bool]:
        """Claims a run for this process; yields False if another one is at work on it.

        A claim ends with the process that has it, however that ends.

        Raises:
            ResultError: the folder is not writable.
        """
        path = self.folder / CLAIMS / _name(run)
        lock = FileLock(path, timeout=0)
        for attempt in range(ATTEMPTS):
            try:
                check_writable(path.parent)
                lock.acquire()
                break
            except Timeout:
                yield False
                return
            except (OSError, ResultError) as error:
                # Another process may have removed the empty folder in between, or made it.
                if attempt == ATTEMPTS - 1:
                    reason = getattr(error, "strerror", None) or error
                    raise ResultError(f"cannot lock {path}: {reason}") from error
                time.sleep(0.001 * attempt)
        try:
            yield True
        finally:
            # Whoever locks the file in the moment between looks into the store once more.
            with contextlib.suppress(OSError):
                path.unlink()
            lock.release()
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def _root(self, run: Run) -> Path:
        return self.folder / TUNING if run.purpose == "tuning" else self.folder

    def _results(self, run: Run) -> Iterator[tuple[Path, RunResult]]:
        """The readable files of a run; broken ones are for the report to name."""
        folder = run_folder(run, self._root(run))
        try:
            paths = sorted(folder.glob(f"random_seed__{run.random_seed}__*.json"))
        except OSError:  # `check` says what is wrong with the folder
            paths = []
        for path in paths:
            with contextlib.suppress(ResultError):
                result = read_result(path)
                if result.identity() == run.identity():
                    yield path, result


def _name(run: Run) -> str:
    return f"{run.purpose or 'run'}-{run.identity()}"


def _has_extras(found: RunResult, run: Run) -> bool:
    """Whether a result has what was asked for beside the numbers."""
    if found.train_log_interval != run.train_log_interval:
        return False
    wants_weights = isinstance(run, ResolvedRun) and run.keep_best is not None
    return not wants_weights or Path(found.best_weights or "/").is_file()
