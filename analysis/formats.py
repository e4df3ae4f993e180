"""How numbers, settings and sentences are written; no mean without its interval, or `(n=1)`."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.foreign import shown

MISSING = "–"

MOST_SEEDS = 1000
"""More are not told apart in words."""

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", "–": "--",
    "—": "---", "−": r"$-$", "×": r"$\times$", "∞": r"$\infty$", "†": r"$\dagger$",
    "≤": r"$\leq$", "≥": r"$\geq$", "…": r"\dots{}", "·": r"$\cdot$",
    "\N{NO-BREAK SPACE}": "~", "\n": " ", "\t": " ",
}  # fmt: skip
# Backslashes first: the escapes of `shown` are text, too. Dots and colons would make links.
# Names somebody, a discussion or an address, and GitHub ignores backslashes there: a character of
# no width takes them apart.
_NAMED = re.compile(r"(?:@|#|(?<![^\W_])GH-)(?=\w)", re.IGNORECASE)
# What begins a heading, a quotation or a list where a line begins.
_LINE_START = re.compile(r"^(\s*)([>=]|#+(?=\s|$)|\[(?=.\])|[-+](?=[-+\s]|$)|\d+(?=[.)](?:\s|$)))")
_MARKDOWN = re.compile(r"[\\`*_|~$]|\](?=[(\[:])|(?<=www)\.|:(?=//)|(?<=mailto):", re.IGNORECASE)
_LATEX_PATTERN = re.compile("|".join(map(re.escape, _LATEX)))


def format_interval(interval: Interval, percent: bool = False) -> str:
    """A mean with its interval, rounded to what the interval can carry.

    Args:
        interval: the numbers.
        percent: whether they are fractions to be shown in percent.

    Example:
        >>> format_interval(Interval(0.97311, 0.97019, 0.97603, 3), percent=True)
        '97.31 % [97.02, 97.60]'
        >>> format_interval(Interval(0.97311, math.nan, math.nan, 1), percent=True)
        '97.31 % (n=1, no interval)'
        >>> format_interval(Interval(0.983, 0.983, 0.983, 5), percent=True)
        '98.30 % (all 5 alike)'
        >>> format_interval(Interval(0.0912345, 0.0871, 0.0953, 3))
        '0.0912 [0.0871, 0.0953]'
        >>> format_interval(Interval(math.nan, math.nan, math.nan, 0))
        '–'
    """
    if interval.n == 0:
        return MISSING
    scale, unit = (100, " %") if percent else (1, "")
    form = ".2f" if percent else number_form(interval)
    mean = f"{interval.mean * scale:{form}}{unit}"
    if not interval.known:
        return f"{mean} (n={interval.n}, no interval)"
    if interval.low == interval.high:  # which says nothing of how sure it is
        return f"{mean} (all {interval.n} alike)"
    return f"{mean} [{interval.low * scale:{form}}, {interval.high * scale:{form}}]"


def format_spread(interval: Interval) -> str:
    """A mean with half the width of its interval, for the columns beside the headline.

    Example:
        >>> format_spread(Interval(0.0912345, 0.0871, 0.0953, 3))
        '0.0912 ± 0.0041'
        >>> format_spread(Interval(12.0, math.nan, math.nan, 1))
        '12.00 (n=1)'
    """
    if interval.n == 0:
        return MISSING
    form = number_form(interval)
    if not interval.known:
        return f"{interval.mean:{form}} (n={interval.n})"
    return f"{interval.mean:{form}} ± {(interval.high - interval.low) / 2:{form}}"


def format_difference(interval: Interval, percent: bool = False) -> str:
    """A difference with its interval, both with their signs.

    Args:
        interval: the numbers.
        percent: whether they are fractions to be shown in percentage points.

    Example:
        >>> format_difference(Interval(-0.0312, -0.0541, -0.0083, 5), percent=True)
        '-3.1 [-5.4, -0.8]'
        >>> format_difference(Interval(math.nan, math.nan, math.nan, 0))
        '–'
    """
    if not interval.known:
        return MISSING
    mean, low, high = (
        (100 if percent else 1) * value for value in (interval.mean, interval.low, interval.high)
    )
    form = number_form(Interval(mean, low, high, interval.n))
    return f"{mean:+{form}} [{low:+{form}}, {high:+{form}}]"


def format_range(low: float, high: float, percent: bool = False) -> str:
    """Two ends of how much one is better or worse, in words.

    Example:
        >>> format_range(0.0312, 0.0541, percent=True), format_range(0.25, 0.25)
        ('3.1 to 5.4 points', '0.25')
    """
    if percent:
        texts = [f"{100 * value:.{1 if value >= 0.01 else 2}f}" for value in (low, high)]
    else:
        texts = [_two_digits(value) for value in (low, high)]
    return " to ".join(dict.fromkeys(texts)) + " points" * percent


def format_count(number: float) -> str:
    """A number of seeds that is known roughly.

    Example:
        >>> [format_count(n) for n in (7.0, 234.0, 5000.0, math.inf, math.nan)]
        ['7', '230', '> 1000', '> 1000', '–']
    """
    if math.isnan(number):
        return MISSING
    return f"> {MOST_SEEDS}" if number > MOST_SEEDS else f"{float(f'{number:.2g}'):g}"


def format_metric(value: float, metric: str) -> str:
    """A value of an accuracy in percent, of a loss as a number.

    Example:
        >>> format_metric(0.9, "accuracy"), format_metric(87.123456, "loss")
        ('90.00 %', '87.12')
    """
    return f"{100 * value:.2f} %" if metric == "accuracy" else f"{value:.4g}"


def format_value(value: Any) -> str:
    """Any value of a table, for columns that do not say how.

    Example:
        >>> [format_value(value) for value in (None, math.nan, 3, 0.123456, True, (1, 2), "x")]
        ['–', '–', '3', '0.1235', 'yes', '1, 2', 'x']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Interval):
        return format_interval(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def params_text(params: Mapping[str, Any]) -> str:
    """Writes parameters in one line.

    Example:
        >>> params_text({"lr": 0.015848931925, "betas": (0.9, 0.999), "nesterov": False})
        'lr=0.015848931925, betas=(0.9, 0.999), nesterov=False'
    """
    return ", ".join(f"{key}={value}" for key, value in params.items())


def seeds_text(seeds: Iterable[int]) -> str:
    """Writes seeds in short form.

    Example:
        >>> seeds_text([42, 43, 44]), seeds_text([1, 7]), seeds_text([42])
        ('seeds 42–44', 'seeds 1, 7', 'seed 42')
    """
    ordered = sorted(set(seeds))
    if len(ordered) == 1:
        return f"seed {ordered[0]}"
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"seeds {ordered[0]}–{ordered[-1]}"
    return f"seeds {', '.join(map(str, ordered))}"


def clipped(text: str, longest: int = 30) -> str:
    """A text that is too long without its middle: settings often differ at the end alone.

    Example:
        >>> clipped("AliG (max_lr=0.1, momentum=0.9, adjusted_momentum=True)")
        'AliG (max_lr=0.1, m…ntum=True)'
    """
    tail = longest // 3
    return text if len(text) <= longest else f"{text[: longest - tail - 1]}…{text[-tail:]}"


def wrapped(paragraph: str, width: int) -> str:
    """A paragraph in lines of that width, the later ones indented."""
    return textwrap.fill(paragraph, width, subsequent_indent="  ", break_on_hyphens=False)


def escape_markdown(text: str) -> str:
    r"""Text in which nothing is markup, a link or a formula, in one line.

    Example:
        >>> print(escape_markdown("a_b | [x](http://y) <b> $z$ & `c`"))
        a\_b \| [x\](http\://y) &lt;b> \$z\$ &amp; \`c\`
    """
    text = shown(text, lines=True).replace("\n", " ").replace("\t", " ")
    text = _MARKDOWN.sub(r"\\\g<0>", text).replace("&", "&amp;").replace("<", "&lt;")
    return _LINE_START.sub(_begin, _NAMED.sub(r"\g<0>&#8203;", text))


def _begin(found: re.Match[str]) -> str:
    mark = found[2]
    return f"{found[1]}&#{ord(mark[0])};{mark[1:]}" if mark.isdigit() else f"{found[1]}\\{mark}"


def escape_csv(text: str) -> str:
    """Text that a spreadsheet does not take for a formula.

    Example:
        >>> escape_csv("=1+1"), escape_csv("SGD"), escape_csv("-")
        ("'=1+1", 'SGD', '-')
    """
    text = shown(text, lines=True)
    return f"'{text}" if len(text) > 1 and text[0] in "=+-@＝＋－＠\t\n" else text


def escape_latex(text: str) -> str:
    r"""Text in which nothing is a command.

    Example:
        >>> print(escape_latex("50 % of a_b & {c} ± 1"))
        50 \% of a\_b \& \{c\} $\pm$ 1
    """
    return _LATEX_PATTERN.sub(lambda found: _LATEX[found[0]], shown(text, lines=True))


def _two_digits(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    digits = 1 - math.floor(math.log10(abs(value))) if value else 1
    return f"{value:.{max(0, digits)}f}"


def number_form(interval: Interval) -> str:
    """Two digits of the interval's half width, four of the mean where there is no interval."""
    size = max(abs(interval.mean), abs(interval.high) if interval.known else 0.0)
    if size and not 1e-3 <= size < 1e5:
        return ".1e"
    half_width = (interval.high - interval.low) / 2 if interval.known else 0.0
    magnitude = math.floor(math.log10(size)) if size else 0
    # A tiny spread does not make more than four digits of the mean worth reading.
    digits = 3 - magnitude
    if half_width > 0:
        digits = min(digits, 1 - math.floor(math.log10(half_width)))
    return f".{max(0, digits)}f"
