"""The plan as text, with its cost, before anything is run."""

from __future__ import annotations

from alig_deepobs.reproduce.declare import Kind
from alig_deepobs.reproduce.plan import Plan, Row
from alig_deepobs.reproduce.speed import Speeds
from alig_deepobs.run import RunSpec

HEADER = ("method", "settings", "runs", "epochs", "time", "where the settings come from")


def plan_text(plan: Plan, speeds: Speeds, jobs: int = 1, finished: int = 0) -> str:
    """The runs of each method, with epochs and estimated time.

    Args:
        plan: the plan.
        speeds: measures how long steps take.
        jobs: processes that run at the same time.
        finished: runs that are on disk already.
    """
    experiment, budget = plan.experiment, plan.budget
    lines = [experiment.title, f"budget {budget.name}: {'; '.join(budget.words) or 'as the paper'}"]
    rows: list[tuple[str, ...]] = []
    total = 0.0
    for part in experiment.parts:
        of_part = plan.of(part)
        if not of_part:
            continue
        counts = sorted({spec.num_epochs or 0 for row in of_part for spec in row.candidates})
        epochs = "1 epoch" if counts == [1] else f"{' or '.join(map(str, counts))} epochs"
        rows.append((f"{part.label} ({part.problem}), {epochs} a run",))
        rows.append(HEADER)
        for row in of_part:
            seconds = speeds.seconds(row)
            total += seconds
            rows.append(_row_cells(row, seconds))
    widths = [
        max(len(cells[column]) for cells in rows if len(cells) > 1)
        for column in range(len(HEADER))
    ]  # fmt: skip
    for cells in rows:
        if len(cells) == 1:
            lines += ["", cells[0]]
        else:
            pairs = zip(cells, widths, strict=True)
            lines.append("  " + "  ".join(cell.ljust(width) for cell, width in pairs).rstrip())
    lines += ["", f"{plan.runs} runs, {plan.epochs:,} epochs, {_cost(total, jobs)}"]
    if finished:
        lines.append(f"{finished} of the runs are finished already and are not run again")
    return "\n".join(lines)


def _cost(seconds: float, jobs: int) -> str:
    text = f"about {duration(seconds)} as measured on this device"
    return f"{text}, about {duration(seconds / jobs)} with {jobs} jobs" if jobs > 1 else text


def _row_cells(row: Row, seconds: float) -> tuple[str, ...]:
    if row.refused:
        return (row.method.label, "-", "0", "0", "-", f"not run: {row.refused}")
    return (
        row.method.label,
        str(len(row.candidates)),
        str(row.runs),
        f"{row.epochs:,}",
        duration(seconds),
        _origin(row),
    )


def _origin(row: Row) -> str:
    """Where the settings come from."""
    if row.kind is Kind.HEAT_MAP:
        (knob,) = row.method.grid
        values = [float(spec.hyperparams[knob]) for spec in row.candidates]
        released = sum(value in row.method.grid[knob] for value in values)
        text = f"{knob}: {released} of the released script"
        extra = len(values) - released
        return f"{text}, {extra} more" if extra else text
    if row.tuning:
        counts = {
            name: len({_knob(spec, name) for spec in row.candidates}) for name in row.method.grid
        }
        knobs = " x ".join(f"{count} {name}" for name, count in counts.items() if count > 1)
        seeds = len(row.seeds)
        return f"search: {knobs}; then the best with {seeds} seed{'s' if seeds > 1 else ''}"
    return "the authors' choice"


def _knob(spec: RunSpec, knob: str) -> object:
    run = {"batch_size": spec.batch_size, "l2": spec.weight_decay}
    return run[knob] if knob in run else spec.hyperparams[knob]


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
