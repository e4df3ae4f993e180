"""One table in four formats."""

from __future__ import annotations

import html
import re

import pytest

from alig_deepobs.analysis import (
    Column,
    Interval,
    Table,
    to_csv,
    to_latex,
    to_markdown,
    to_text,
    write_table,
)
from alig_deepobs.analysis.formats import escape_csv, escape_latex, escape_markdown
from alig_deepobs.errors import ResultError


@pytest.fixture
def table():
    return Table(
        name="my_table",
        title="50 % of [bold]names[/bold] & more",
        columns=[
            Column("who", "who_am_i"),
            Column(
                "value", text=lambda row, value: row["shown"], right=True, direction=1, note="Up."
            ),
            Column("extra", value=lambda row: len(row["who"]), shown=lambda row: False),
        ],
        rows=[
            {"who": "A|B", "value": 1.0123456789, "shown": "1.0 ± 0.1"},
            {"who": "[x]", "value": float("inf"), "shown": "∞"},
        ],
        notes=["a note with $ and _"],
        strong=lambda row: row["who"] == "A|B",
        common={"problem": "toy"},
    )


def test_text_keeps_brackets_and_width(table):
    text = to_text(table, 60)
    assert "[bold]names[/bold]" in text
    assert "[x]" in text
    assert max(map(len, text.splitlines())) <= 60


def test_markdown_escapes_and_aligns(table):
    lines = to_markdown(table).splitlines()
    assert lines[2] == r"| who\_am\_i | Value |"
    assert lines[3] == "|---|---:|"
    assert lines[4] == r"| **A\|B** | **1.0 ± 0.1** |"
    assert lines[-2:] == [r"- a note with \$ and \_", "- Up."]


@pytest.mark.parametrize(
    "text",
    ["@octocat", "see @octocat", "#1", "fixes #12", "x/y#3", "GH-4", "gh-4", "a@b.example",
     "mailto:a@b.example", "**@octocat**"],
)  # fmt: skip
def test_markdown_names_nobody(text):
    """As GitHub finds names and numbers: in the text, after backslashes are gone."""
    found = html.unescape(escape_markdown(text).replace("\\", ""))
    assert not re.search(r"@\w|#\d|GH-\d", found, re.IGNORECASE)
    assert found.replace("\u200b", "") == text
    assert escape_markdown("C# a @ b") == "C# a @ b"


@pytest.mark.parametrize("mark", "=+-@＝＋－＠")
def test_csv_has_no_formulas(mark):
    assert escape_csv(f"{mark}1+1") == f"'{mark}1+1"


@pytest.mark.parametrize("start", ["*", "[1pt]", " *", "*[2pt]"])
def test_latex_rows_are_no_arguments_of_line_breaks(start):
    lines = to_latex(Table("t", "T", [Column("a")], [{"a": f"{start}x"}] * 2)).splitlines()
    assert sum(line.startswith("    {}") for line in lines) == 2


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
    assert r"who\_am\_i & Value $\uparrow$ \\" in text


def test_every_special_character_of_latex():
    special = "\\&%$#_{}~^<>|"
    escaped = escape_latex(special)
    assert escaped == (
        r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}"
        r"\textless{}\textgreater{}\textbar{}"
    )
    assert escape_latex("a\nb") == "a b"


def test_csv_is_exact_and_has_what_readers_do_not_see(table):
    assert to_csv(table) == "problem,who,value,extra\ntoy,A|B,1.0123456789,3\ntoy,[x],inf,3\n"


def test_an_interval_is_four_columns():
    table = Table("t", "T", [Column("x")], [{"x": Interval(0.5, 0.25, 0.75, 3)}])
    assert to_csv(table) == "x_mean,x_low,x_high,x_n\n0.5,0.25,0.75,3\n"
    (((text, key, _),),) = table.cells
    assert (text, key) == ("0.50 [0.25, 0.75]", 0.5)


def test_cells_sort_by_value(table):
    assert [[cell.key for cell in row] for row in table.cells] == [
        ["A|B", 1.0123456789], ["[x]", float("inf")]
    ]  # fmt: skip
    missing = Table("t", "T", [Column("x")], [{"x": None}, {"x": float("nan")}, {"x": ""}])
    assert [cell.key for (cell,) in missing.cells] == [None] * 3
    assert [cell.text for (cell,) in missing.cells] == ["–", "–", ""]


def test_a_column_without_anything_to_show_is_left_out():
    columns = [Column("a"), Column("b", shown=lambda row: row["b"] > 0, note="About b.")]
    without = Table("t", "T", columns, [{"a": 1, "b": 0}])
    assert [heading.name for heading in without.headings] == ["a"]
    assert without.all_notes == []
    both = Table("t", "T", columns, [{"a": 1, "b": 0}, {"a": 2, "b": 3}])
    assert [heading.name for heading in both.headings] == ["a", "b"]
    assert both.all_notes == ["About b."]


def test_a_narrow_table_says_what_went():
    columns = [Column("name"), Column("first", keep=2), Column("second", keep=1)]
    table = Table("t", "T", columns, [{"name": "x" * 10, "first": "y" * 10, "second": "z" * 10}])
    assert table.narrowed(36) is table
    assert [heading.name for heading in table.narrowed(35).headings] == ["name", "first"]
    narrow = table.narrowed(5)
    assert [heading.name for heading in narrow.headings] == ["name"]
    assert narrow.notes == ["Left out for lack of width: First, Second."]


def test_an_empty_table_has_its_columns():
    table = Table("t", "T", [Column("a_b")], [])
    assert to_csv(table) == "a_b\n"
    assert to_markdown(table) == "**T**\n\n| A b |\n|---|\n"


def test_files(table, tmp_path):
    for kind in ("csv", "tex"):
        assert write_table(table, tmp_path / "new", kind).name == f"my_table.{kind}"
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write"):
        write_table(table, tmp_path / "file", "csv")


def test_a_single_cell_is_set_off():
    columns = [
        Column("a"),
        Column("b", strong=lambda row: row["b"] > 1),
        Column("c", text=lambda row, value: "", strong=lambda row: True),
    ]
    table = Table("t", "T", columns, [{"a": 1, "b": 1, "c": 0}, {"a": 2, "b": 2, "c": 0}])
    assert "| 2 | **2** |  |" in to_markdown(table)
    assert r"2 & \textbf{2} & " in to_latex(table)
    assert "**1**" not in to_markdown(table)
    assert [[cell.strong for cell in cells] for cells in table.cells] == [
        [False, False, True], [False, True, True]
    ]  # fmt: skip
