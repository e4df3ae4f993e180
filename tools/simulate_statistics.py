"""How often the intervals and tests of a leaderboard are right, on results whose truth is known.

The figures of ``docs/statistics.md`` come from here::

    python tools/simulate_statistics.py intervals   # half a minute
    python tools/simulate_statistics.py ties        # five minutes
    python tools/simulate_statistics.py seeds       # half a minute
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy import special

from alig_deepobs.analysis.intervals import Array
from alig_deepobs.analysis.paired import POWER, WIN_LEVEL, compare_all, compare_pairs, seeds_to_tell

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
SEEDS = (3, 5, 10)


def beta(mean: float, deviation: float) -> Draw:
    """Accuracies with that mean and standard deviation."""
    k = mean * (1 - mean) / deviation**2 - 1
    return lambda generator, shape: generator.beta(mean * k, (1 - mean) * k, shape)


def lognormal_error(sigma: float) -> Draw:
    """Accuracies whose error is log-normal, 3 % on average."""
    return lambda generator, shape: (
        1 - np.minimum(0.95, 0.03 * np.exp(generator.normal(-(sigma**2) / 2, sigma, shape)))
    )


def failing(share: float) -> Draw:
    """Accuracies near 97 %, of which a share of the runs ends at 10 %."""
    return lambda generator, shape: np.where(
        generator.random(shape) < share, 0.1, generator.normal(0.97, 0.003, shape)
    )


def images(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Accuracies on a test set of 352 images."""
    return np.round(352 * np.minimum(1, generator.normal(0.98, 0.006, shape))) / 352


ACCURACIES: dict[str, Draw] = {
    "normal, 97 ± 0.3 %": lambda generator, shape: generator.normal(0.97, 0.003, shape),
    "352 images, 98 ± 0.6 %": images,
    "beta, 50 ± 20 %": beta(0.5, 0.2),
    "beta, 93 ± 5 %": beta(0.93, 0.05),
    "beta, 99.5 ± 0.4 %": beta(0.995, 0.004),
    "log-normal error, sigma 0.5": lognormal_error(0.5),
    "log-normal error, sigma 1": lognormal_error(1.0),
    "fails 1 in 5": failing(0.2),
    "fails 1 in 20": failing(0.05),
}


def intervals(repetitions: int = 20_000) -> None:
    """Coverage of nominal 95 % intervals of a mean accuracy."""
    print(
        "| results over seeds | seeds | t leaves [0, 1] | t | t, logit scale | logits | bootstrap |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    generator = np.random.default_rng(0)
    for name, draw in ACCURACIES.items():
        truth = draw(generator, (4_000_000,)).mean()
        for n in SEEDS:
            x = draw(generator, (repetitions, n))
            mean, quantile = x.mean(axis=1), special.stdtrit(n - 1, 0.975)
            half = quantile * x.std(axis=1, ddof=1) / np.sqrt(n)
            # What `share_interval` does, for all repetitions at once.
            inside = np.clip(mean, 1e-9, 1 - 1e-9)
            scaled = half / (inside * (1 - inside))
            centre = special.logit(inside)
            logits = special.logit(np.clip(x, 1e-6, 1 - 1e-6))
            spread = quantile * logits.std(axis=1, ddof=1) / np.sqrt(n)
            middle = logits.mean(axis=1)
            some = x[:4000]
            places = generator.integers(n, size=(len(some), 500, n))
            draws = some[np.arange(len(some))[:, None, None], places].mean(axis=2)
            ends = {
                "t": (mean - half, mean + half),
                "delta": (special.expit(centre - scaled), special.expit(centre + scaled)),
                "logits": (special.expit(middle - spread), special.expit(middle + spread)),
                "bootstrap": tuple(np.quantile(draws, [0.025, 0.975], axis=1)),
            }
            tiny = 1e-12
            covered = [
                f"{100 * np.mean((low <= truth + tiny) & (high >= truth - tiny)):.0f} %"
                for low, high in ends.values()
            ]
            outside = np.mean((mean - half < 0) | (mean + half > 1))
            print(f"| {name} | {n} | {100 * outside:.0f} % | {' | '.join(covered)} |", flush=True)


def _skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Equal means, and an exponential shape of the first optimizer alone."""
    values = 0.3 * generator.normal(size=shape)
    values[:, 0] = generator.exponential(size=values[:, 0].shape) - 1
    return values


def _moderately_skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    values = 0.3 * generator.normal(size=shape)
    values[:, 0] = (generator.gamma(4, size=values[:, 0].shape) - 4) / 2
    return values


def _one_fails(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Equal means; the first optimizer fails in one of five runs, and nobody notices."""
    values = generator.normal(size=shape)
    values[:, 0] = np.where(generator.random(values[:, 0].shape) < 0.2, -80, values[:, 0] + 20)
    return values


TIES: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "352 images": images,
    "heavy tails (Student t, 3 degrees of freedom)": lambda generator, shape: generator.standard_t(
        3, shape
    ),
    "skewness 1 in one optimizer": _moderately_skewed,
    "exponentially skewed in one optimizer": _skewed,
    "one optimizer fails in one of five seeds": _one_fails,
}


def ties(repetitions: int = 1000) -> None:
    """Share of studies of equal optimizers in which any win is called."""
    print("| results over seeds | optimizers | seeds | all pairs | reference against each |")
    print("| --- | ---: | ---: | ---: | ---: |")
    generator = np.random.default_rng(1)
    for name, draw in TIES.items():
        for k in (2, 4, 8):
            for n in SEEDS:
                wins = np.zeros(2)
                for values in draw(generator, (repetitions, k, n)).tolist():
                    scores = {f"O{i}": dict(enumerate(row)) for i, row in enumerate(values)}
                    pairs = [(label, "O0") for label in scores if label != "O0"]
                    wins[0] += any(c.separated for c in compare_all(scores, True))
                    wins[1] += any(c.separated for c in compare_pairs(scores, pairs, True))
                shares = " | ".join(f"{100 * share:.1f} %" for share in wins / repetitions)
                print(f"| {name} | {k} | {n} | {shares} |", flush=True)


def seeds(repetitions: int = 4000) -> None:
    """Chance of a win with as many seeds as `seeds_to_tell` asks for, where it knows the truth.

    And what it says of samples, where it must estimate.
    """
    print("| difference / deviation | tests | seeds asked for | wins | from 5 seeds | from 10 |")
    print("| ---: | ---: | ---: | ---: | --- | --- |")
    generator = np.random.default_rng(2)
    for ratio in (0.3, 0.5, 1.0, 2.0):
        for tests in (1, 6):
            # Two values with exactly this mean and standard deviation.
            n = int(seeds_to_tell([ratio - 2**-0.5, ratio + 2**-0.5], tests))
            x = generator.normal(ratio, 1, (repetitions, n))
            statistic = x.mean(axis=1) / (x.std(axis=1, ddof=1) / np.sqrt(n))
            p = 2 * special.stdtr(n - 1, -np.abs(statistic))
            said = []
            for known in (5, 10):
                found = [
                    seeds_to_tell(row, tests) for row in generator.normal(ratio, 1, (500, known))
                ]
                low, high = np.quantile(found, [0.25, 0.75])
                said.append(f"{low:.0f} to {high:.0f}")
            wins = 100 * np.mean(p <= WIN_LEVEL / tests)
            print(f"| {ratio:g} | {tests} | {n} | {wins:.0f} % | {' | '.join(said)} |", flush=True)
    print(f"\nWanted: {100 * POWER:.0f} % wins. The last columns: middle half of what it says.")


if __name__ == "__main__":
    parts = {"intervals": intervals, "ties": ties, "seeds": seeds}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=parts)
    parts[parser.parse_args().part]()
