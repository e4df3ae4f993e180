"""What a comparison says, in sentences that claim no more than the tests do.

Each sentence gives what the seeds exclude ("worse by 3.1 to 5.4 points"), or what they leave open
and how many more seeds would close it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from alig_deepobs.analysis.formats import MOST_SEEDS, format_count, format_range
from alig_deepobs.analysis.paired import PairedComparison
from alig_deepobs.analysis.standings import Standing

_MOST_NAMED = 6


def verdict(rows: Sequence[Standing]) -> list[str]:
    """Who is best, by how much and how sure; then the same for the reference.

    Args:
        rows: of a leaderboard, best first.

    Returns:
        The first sentence says who is first; the others have the evidence.
    """
    best = rows[0]
    if best.n_done == 0:
        return ["No run finished."]
    if len(rows) == 1:
        return [f"Only {best.label} was run."]
    if best.n_unfinished:
        return [f"Every optimizer has a run without a result; {best.label} has the fewest."]
    extreme = "highest" if best.entry.higher_is_better else "lowest"
    if not any(row.difference.known for row in rows):
        whole = [row for row in rows if not row.n_unfinished]
        reason = "nothing is told apart" if len(whole) > 1 else "it alone finished every run"
        return [f"{best.label} has the {extreme} {best.metric}; {reason}.", *_failures(rows)]
    open_rows = [row for row in rows if row.tied and row is not best]
    if not open_rows:
        first = f"{best.label} is ahead of all others."
    elif len(open_rows) == len(rows) - 1:
        first = f"{best.label} has the best mean; the seeds tell none of the others from it."
    else:
        names = _listed([row.label for row in open_rows])
        first = f"{best.label} has the best mean; not told apart from it: {names}."
    found = [first, *_against([row.to_best for row in rows], best), *_failures(rows)]
    reference = next((row for row in rows if row.label == best.reference), None)
    if reference is not None and reference is not best:
        # What the best one is against the reference stands above, where they are told apart.
        said = reference.separated
        found += _against([row.to_reference for row in rows[said:]], reference)
    return found


def compared_text(pair: PairedComparison, row: Standing) -> str:
    """By how much the first of a pair is better or worse, and what is open.

    Args:
        pair: the pair.
        row: any row of the table, for the metric.
    """
    percent, found = row.entry.metric == "accuracy", pair.difference
    low, high = sorted((row.direction * found.low, row.direction * found.high))
    smaller, larger = sorted((abs(low), abs(high)))
    if pair.separated:
        return f"by {format_range(smaller, larger, percent)}"
    if not found.known:
        return "too few seeds in common"
    if found.excludes_zero:
        text = f"seems {_word(pair, row)} by {format_range(smaller, larger, percent)}"
    elif low == high == 0:
        return "the same on every seed"
    else:
        worse, better = (format_range(end, end, percent) for end in (-low, high))
        better = better.removesuffix(" points")
        text = f"{worse} worse to {better} better"
    seeds = pair.seeds_to_tell
    if math.isinf(seeds) or seeds > MOST_SEEDS:
        return f"{text}; more than {MOST_SEEDS} seeds would be needed to tell"
    return f"{text}; about {format_count(seeds)} seeds would tell"


def _word(pair: PairedComparison, row: Standing) -> str:
    return "better" if row.direction * pair.difference.mean > 0 else "worse"


def _against(pairs: Sequence[PairedComparison | None], other: Standing) -> list[str]:
    """One sentence for what is worse, for what is better, and for what is open."""
    by_word: dict[str, list[str]] = {"Worse than": [], "Better than": [], "Open against": []}
    for pair in filter(None, pairs):
        text = compared_text(pair, other)
        if pair.separated:
            by_word[f"{_word(pair, other).capitalize()} than"].append(f"{pair.first} {text}")
        else:
            by_word["Open against"].append(f"{pair.first} ({text})")
    return [f"{word} {other.label}: {_listed(of)}." for word, of in by_word.items() if of]


def _listed(texts: Sequence[str]) -> str:
    """The first of many, who are the nearest in rank; the table has the others."""
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _failures(rows: Sequence[Standing]) -> list[str]:
    texts = [f"{row.label} ({row.unfinished_text})" for row in rows if row.n_unfinished]
    return [f"Below, whatever its other runs: {', '.join(texts)}."] if texts else []
