"""One table in four formats."""

from __future__ import annotations

import pandas as pd
import pytest

from alig_deepobs.analysis.table import (
    Column,
    Table,
    to_csv,
    to_markdown,
    to_text,
    write_table,
)
from alig_deepobs.analysis.tables_latex import escape_latex, to_latex
from alig_deepobs.errors import ResultError


@pytest.fixture
def table():
    return Table(
        name="my_table",
        title="50 % of [bold]names[/bold] & more",
        columns=[Column("who_am_i"), Column("value", right=True)],
        rows=[["A|B", "1.0 ± 0.1"], ["[x]", "∞"]],
        frame=pd.DataFrame({"who": ["A|B", "[x]"], "value": [1.0123456789, float("inf")]}),
        notes=["a note with $ and _"],
        strong=frozenset({0}),
    )


def test_text_keeps_brackets_and_width(table):
    text = to_text(table, 60)
    assert "[bold]names[/bold]" in text
    assert "[x]" in text
    assert max(map(len, text.splitlines())) <= 60


def test_markdown_escapes_and_aligns(table):
    lines = to_markdown(table).splitlines()
    assert lines[2] == r"| who\_am\_i | value |"
    assert lines[3] == "|---|---:|"
    assert lines[4] == r"| **A\|B** | **1.0 ± 0.1** |"
    assert lines[-1] == r"- a note with $ and \_"


def test_latex_is_escaped_and_balanced(table):
    text = to_latex(table)
    assert r"\caption{50 \% of [bold]names[/bold] \& more}" in text
    assert r"\label{tab:my-table}" in text
    assert r"\textbf{A\textbar{}B} & \textbf{1.0 $\pm$ 0.1} \\" in text
    assert r"{}[x] & $\infty$ \\" in text  # a bracket would be read as an argument of \\
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    for name in ("table", "tabular", "minipage"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    assert r"\begin{tabular}{lr}" in text


def test_every_special_character_of_latex():
    special = "\\&%$#_{}~^<>|"
    escaped = escape_latex(special)
    assert escaped == (
        r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}"
        r"\textless{}\textgreater{}\textbar{}"
    )
    assert escape_latex("a\nb") == "a b"


def test_csv_is_exact(table):
    assert "A|B,1.0123456789" in to_csv(table)


def test_files(table, tmp_path):
    for kind in ("csv", "md", "tex"):
        assert write_table(table, tmp_path / "new", kind).name == f"my_table.{kind}"
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write"):
        write_table(table, tmp_path / "file", "csv")
