r"""Tables for papers: LaTeX with booktabs, everything escaped.

The document needs ``\usepackage{booktabs}``, nothing else; characters that plain LaTeX does not
know are written as commands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alig_deepobs.analysis.table import Table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
    "—": "---",
    "−": r"$-$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "†": r"$\dagger$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "…": r"\dots{}",
    "·": r"$\cdot$",
    "\N{NO-BREAK SPACE}": "~",
    "\n": " ",
}
_PATTERN = re.compile("|".join(map(re.escape, _ESCAPES)))


def escape_latex(text: str) -> str:
    r"""Text in which nothing is a command.

    Example:
        >>> print(escape_latex("50 % of a_b & {c} ± 1"))
        50 \% of a\_b \& \{c\} $\pm$ 1
    """
    return _PATTERN.sub(lambda found: _ESCAPES[found[0]], text)


def to_latex(table: Table) -> str:
    r"""A ``table`` environment with caption, label, booktabs rules and the notes below.

    Rows that are set off are bold. The ``tabular`` is shrunk by ``\small``, not scaled, so that it
    keeps the document's font.
    """
    columns = "".join("r" if column.right else "l" for column in table.columns)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape_latex(table.title)}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9-]+', '-', table.name)}}}",
        r"  \small",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        _row([column.title for column in table.columns]),
        r"    \midrule",
        *(_row(row, strong=index in table.strong) for index, row in enumerate(table.rows)),
        r"    \bottomrule",
        r"  \end{tabular}",
    ]
    if table.notes:
        lines += [r"  \par\medskip", r"  \begin{minipage}{\linewidth}\footnotesize"]
        lines += [rf"    {escape_latex(note)}\par" for note in table.notes]
        lines.append(r"  \end{minipage}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str], strong: bool = False) -> str:
    texts = [escape_latex(cell) for cell in cells]
    if strong:
        texts = [rf"\textbf{{{text}}}" if text else text for text in texts]
    line = " & ".join(texts)
    # A row that begins with a bracket would be read as an argument of the line break before it.
    guard = "{}" if line.startswith("[") else ""
    return f"    {guard}{line} \\\\"
