"""The plan of a study as text, with its cost, before anything is run."""

from __future__ import annotations

from alig_deepobs.runners.study import Cell, Study, estimated_seconds


def plan_text(study: Study, jobs: int = 1) -> str:
    """The runs of a study with their estimated time.

    Args:
        study: the study.
        jobs: runs at the same time.
    """
    rows = [("problem", "optimizer", "tuning runs", "runs", "epochs", "time")]
    # The settings of a heat map are cells of their own; a plan has one line for all of them.
    groups: dict[tuple[str, str | int], list[Cell]] = {}
    for number, cell in enumerate(study.cells):
        key = cell.candidates[0].testproblem, cell.label or number
        groups.setdefault(key, []).append(cell)
    for (problem, _), cells in groups.items():
        runs = [run for cell in cells for run in study.runs_of(cell)]
        tuning = sum(len(cell.tuning) for cell in cells)
        seconds, unknown = estimated_seconds(runs)
        rows.append(
            (
                problem,
                cells[0].label or runs[0].optimizer,
                str(tuning),
                str(len(runs) - tuning),
                f"{sum(run.num_epochs for run in runs):,}",
                "?" if unknown else duration(seconds),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    found = study.found()
    seconds, unknown = estimated_seconds(study.runs)
    epochs = sum(run.num_epochs for run in study.runs)
    text = f"{len(study.runs)} runs, {epochs:,} epochs: about {duration(seconds)} on one CPU core"
    if unknown:
        text += f", and {unknown} runs of problems whose time is not known"
    if jobs > 1:
        text += f"; about {duration(seconds / jobs)} with {jobs} jobs"
    lines += ["", text]
    if found:
        lines.append(f"{found} of the runs are there already and are not run again")
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
