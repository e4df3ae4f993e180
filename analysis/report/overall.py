"""All problems together: ranks, wins, normalised scores and profiles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from alig_deepobs.analysis.aggregate import aggregate_scores, normalised_scores
from alig_deepobs.analysis.frames import final_headline, headline_curve
from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.paired import compare_all
from alig_deepobs.analysis.profiles import Profile, performance_profile, score_profile
from alig_deepobs.analysis.ranks import Ranking, rank_optimizers
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.analysis.targets import epochs_until, survival_curve
from alig_deepobs.errors import UsageError
from alig_deepobs.run import Outcome


@dataclass(frozen=True)
class Tally:
    """Pairs of an optimizer with others, over all problems.

    Attributes:
        wins, ties, losses: by the corrected paired test.
        unjudged: pairs that were not tested, since a run of one of the two did not finish or they
            have fewer than two seeds in common.
    """

    wins: int = 0
    ties: int = 0
    losses: int = 0
    unjudged: int = 0


@dataclass(frozen=True)
class Overall:
    """What all problems say together.

    Attributes:
        sections: titles of the problems that were taken together, by slug.
        optimizers: labels that have runs on all of them.
        left_out: what was not taken, one sentence each.
        tallies: optimizer -> wins, ties and losses.
        ranking: mean ranks; None for fewer than two problems.
        scores: optimizer -> interquartile mean of normalised scores; empty where a problem has no
            scale.
        score_profile, time_profile: None where they cannot be drawn.
    """

    sections: dict[str, str]
    optimizers: tuple[str, ...]
    left_out: tuple[str, ...]
    tallies: dict[str, Tally]
    ranking: Ranking | None
    scores: dict[str, Interval]
    score_profile: Profile | None
    time_profile: Profile | None


def make_overall(sections: Sequence[Section]) -> Overall | None:
    """Takes together the problems and optimizers that have a result for each other.

    Returns:
        None where no two optimizers were run on one problem.
    """
    # Of each problem the section with most runs; a problem must not count twice.
    most: dict[str, Section] = {}
    for section in sorted(sections, key=lambda section: -len(section.board.runs)):
        most.setdefault(section.entry.name, section)
    left_out = [
        f"{section.title}: the problem has more runs in another section"
        for section in sections
        if most[section.entry.name] is not section
    ]
    sections = [section for section in sections if most[section.entry.name] is section]
    best = {section.slug: _best_rows(section) for section in sections}
    counts = Counter(name for rows in best.values() for name in rows)
    if not counts:
        return None
    names, chosen = _largest_table(sections, best, counts)
    names.sort()
    if not chosen:
        return None
    rows = {section.slug: {name: best[section.slug][name] for name in names} for section in chosen}
    left_out += [
        f"{s.title}: not run with all of them" for s in sections if all(s is not c for c in chosen)
    ]
    left_out += [f"{name}: not run on all problems" for name in counts if name not in names]
    scores = _scores(chosen, rows)
    return Overall(
        sections={section.slug: section.title for section in chosen},
        optimizers=tuple(names),
        left_out=tuple(left_out),
        tallies=_tallies(chosen, rows),
        ranking=_ranking(chosen, rows),
        scores=aggregate_scores(scores) if scores else {},
        score_profile=score_profile(scores) if scores else None,
        time_profile=_time_profile(chosen, rows),
    )


def _largest_table(
    sections: Sequence[Section], best: dict[str, dict[str, Group]], counts: Counter[str]
) -> tuple[list[str], list[Section]]:
    """Optimizers and problems without a gap: as many results as possible, then problems."""
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    found: tuple[list[str], list[Section]] = ([], [])
    for k in range(2, len(ordered) + 1):
        names = ordered[:k]
        having = [s for s in sections if all(name in best[s.slug] for name in names)]
        size = (k * len(having), len(having))
        if size > (len(found[0]) * len(found[1]), len(found[1])):
            found = (names, having)
    return found


def _best_rows(section: Section) -> dict[str, Group]:
    """Optimizer -> its best row on a problem."""
    found: dict[str, Group] = {}
    for row in section.board.rows:
        group = section.groups[row.label]
        found.setdefault(group.optimizer_name, group)
    return found


def _tallies(sections: Sequence[Section], rows: dict[str, dict[str, Group]]) -> dict[str, Tally]:
    counts: dict[str, Counter[str]] = {}
    for section in sections:
        groups = rows[section.slug]
        names = {group.label: name for name, group in groups.items()}
        # Corrected over all rows of the problem that have only finished runs.
        finals = {
            label: {run.random_seed: final_headline(run, section.entry) for run in group.runs}
            for label, group in section.groups.items()
            if all(run.outcome is Outcome.DONE for run in group.runs)
        }
        judged = {
            (names[c.first], names[c.second]): c
            for c in compare_all(finals, section.entry.higher_is_better)
            if c.first in names and c.second in names
        }
        for first in groups:
            for second in groups:
                if first == second:
                    continue
                pair = judged.get((first, second)) or judged.get((second, first))
                if pair is None or math.isnan(pair.p_value):
                    what = "unjudged"
                elif pair.winner is None:
                    what = "ties"
                else:
                    what = "wins" if names[pair.winner] == first else "losses"
                counts.setdefault(first, Counter())[what] += 1
    return {name: Tally(**counts[name]) for name in sorted(counts)}


def _ranking(sections: Sequence[Section], rows: dict[str, dict[str, Group]]) -> Ranking | None:
    if len(sections) < 2:
        return None
    names = list(rows[sections[0].slug])
    results = {
        name: {section.slug: _mean(rows[section.slug][name], section) for section in sections}
        for name in names
    }
    return rank_optimizers(results, {s.slug: s.entry.higher_is_better for s in sections})


def _mean(group: Group, section: Section) -> float:
    """Mean over seeds; NaN (ranked last) where a run did not finish."""
    finals = [final_headline(run, section.entry) for run in group.runs]
    return math.fsum(finals) / len(finals)


def _scores(
    sections: Sequence[Section], rows: dict[str, dict[str, Group]]
) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for section in sections:
        entry = section.entry
        starts = [curve[0] for run in section.board.runs if (curve := headline_curve(run, entry))]
        finals = {
            name: [final_headline(run, entry) for run in group.runs]
            for name, group in rows[section.slug].items()
        }
        try:
            start = math.fsum(starts) / len(starts)
            scaled = normalised_scores(finals, start, entry.higher_is_better)
        except (UsageError, ZeroDivisionError):
            continue  # nobody learned anything here, so there is no scale
        for name, values in scaled.items():
            found.setdefault(name, {})[section.slug] = values
    return found


def _time_profile(sections: Sequence[Section], rows: dict[str, dict[str, Group]]) -> Profile | None:
    timed = [section for section in sections if section.entry.target is not None]
    if len(timed) < 2:
        return None
    costs: dict[str, dict[str, float]] = {}
    for section in timed:
        for name, group in rows[section.slug].items():
            curve = survival_curve([epochs_until(run, section.entry) for run in group.runs])
            # A target that is met before training costs an epoch, too: a ratio needs a number.
            cost = math.inf if curve.median is None else max(1.0, curve.median)
            costs.setdefault(name, {})[section.slug] = cost
    return performance_profile(costs)
