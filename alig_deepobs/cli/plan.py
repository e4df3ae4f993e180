"""The plan of a study as text, with its cost, before anything is run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from alig_deepobs.cli.output import in_columns
from alig_deepobs.errors import UsageError
from alig_deepobs.files import write_text_atomically
from alig_deepobs.run import ResolvedRun
from alig_deepobs.runners.study import Study, estimated_seconds
from alig_deepobs.words import counted


def plan_text(study: Study, jobs: int = 1) -> str:
    """The runs of a study with their estimated time.

    Args:
        study: the study.
        jobs: runs at the same time.
    """
    rows = [("problem", "optimizer", "runs", "epochs", "time")]
    keys = [(run.testproblem, run.optimizer) for run in study.runs]
    for key in dict.fromkeys(keys):
        runs = [run for run, other in zip(study.runs, keys, strict=True) if other == key]
        seconds, unknown = estimated_seconds(runs)
        epochs = sum(run.num_epochs for run in runs)
        time = "?" if unknown else duration(seconds)
        rows.append((*key, str(len(runs)), f"{epochs:,}", time))
    seconds, unknown = estimated_seconds(study.missing)
    total = counted(len(study.runs), "run")
    text = f"{total}: {len(study.found)} there already, {len(study.missing)} to be run"
    lines = [in_columns(rows), "", text]
    if seconds:
        lines[-1] += f", about {duration(seconds)} on one CPU core"
    if seconds and jobs > 1:
        lines[-1] += f", {duration(seconds / jobs)} with {jobs} jobs"
    if any(cell.search is not None for cell in study.cells):
        lines.append("searches may ask for more runs, as their results come in")
    if unknown:
        lines.append(f"of {counted(unknown, 'run')} nobody knows how long it takes")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A length of time in the two units that matter.

    Example:
        >>> duration(0.4), duration(75), duration(7300), duration(200_000)
        ('0.4 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append(f"{count} {name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def write_commands(runs: Sequence[ResolvedRun], output_dir: str, path: Path) -> None:
    """Writes one command for each run, one a line, for whatever starts them.

    A command needs nothing but this folder and the package; it writes the result that the study
    looks for, and, after an interruption, goes on from the run's checkpoint.

    Args:
        runs: the runs.
        output_dir: the folder of the results.
        path: the file.

    Raises:
        UsageError: a name has a line break in it.
        ResultError: the file cannot be written.
    """
    # From here a user's own optimizer is found.
    place = f"cd {shlex.quote(str(Path.cwd()))}"
    folder = shlex.join(["--output_dir", str(Path(output_dir).absolute())])
    lines = [f"{place} && {run.command_line()} {folder}" for run in runs]
    if any("\n" in line for line in lines):
        raise UsageError("--emit writes a command a line, but a name has a line break in it")
    write_text_atomically(path, "".join(f"{line}\n" for line in lines))
