"""The page, driven in a real headless Chromium."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

# Texts whose contrast with what is behind them is below 4.5, what WCAG 2 asks for at level AA.
FAINT_TEXT = r"""() => {
  const numbers = color => color.match(/[\d.]+/g).slice(0, 3).map(v => v / 255);
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = color => numbers(color).map(linear)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/, 0\)$|transparent/.test(color)) return color;
    }
  };
  const texts = 'p, td, th, li, summary, .tag, a, h1, h2, h3, label, figcaption, dt, dd, button';
  return [...document.querySelectorAll(texts)]
    .filter(e => e.offsetParent && e.innerText.trim())
    .map(e => {
      const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
      return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.innerText.slice(0, 30)];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.fixture(scope="module")
def page_file(results, tmp_path_factory):
    from alig_deepobs.analysis.report import build_report
    from alig_deepobs.analysis.report.page import write_page

    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(build_report([results], ("deepobs", "measured")), path)


class Opened:
    """A page with everything that it asked for and complained about."""

    def __init__(self, browser, path, wait=True, **settings):
        settings.setdefault("viewport", {"width": 1280, "height": 900})
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        self.page.goto(Path(path).as_uri())
        if wait:
            self.page.wait_for_function("() => document.documentElement.dataset.ready")

    def scroll_through(self):
        height = self.page.evaluate("document.documentElement.scrollHeight")
        for y in range(0, height, 500):
            self.page.evaluate(f"scrollTo(0, {y})")
            self.page.wait_for_timeout(40)


@pytest.fixture
def opened(browser, page_file):
    found = []

    def open_page(**settings):
        found.append(Opened(browser, page_file, **settings))
        return found[-1]

    yield open_page
    for item in found:
        item.context.close()


def first_column(page, table, column):
    script = "(rows, column) => rows.map(row => row.rows[0].cells[column].innerText.trim())"
    return page.eval_on_selector_all(f"{table} tbody:not([hidden])", script, column)


def test_no_request_leaves_the_file_and_nothing_complains(opened, page_file):
    found = opened()
    found.scroll_through()
    assert found.requests == [page_file.as_uri()]
    assert found.complaints == []
    assert found.page.locator(".chart svg").count() >= 8


def test_the_policy_of_the_page_forbids_requests(opened):
    found = opened()
    found.page.evaluate("fetch('https://example.org').catch(() => 0)")
    found.page.evaluate("new Promise(r => { const i = new Image(); i.onerror = r; i.src = "
                        "'https://example.org/a.png'; })")  # fmt: skip
    assert len(found.complaints) >= 2
    assert all("Content Security Policy" in text or "Refused" in text for text in found.complaints)


def test_sorting_by_mouse_and_keyboard(opened):
    page = opened().page
    table = "#digits-mlp table.board"
    seeds_first = first_column(page, table, 1)
    heading = page.locator(f"{table} th", has_text="Test accuracy")
    button = heading.locator("button")
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    worst_first = first_column(page, table, 1)
    assert worst_first != seeds_first
    assert "Evil" in worst_first[0]
    button.focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert "AliG" in first_column(page, table, 1)[0]


def test_filters_change_the_tables(opened):
    page = opened().page
    # Baselines that are collapsed are rows, too.
    page.evaluate("document.querySelectorAll('.baselines').forEach(e => { e.open = true; })")
    total = page.locator("tbody.row:visible").count()
    page.fill("#filter-text", "max_lr")
    shown = page.locator("tbody.row:visible")
    assert 0 < shown.count() < total
    assert all("AliG" in text for text in shown.all_inner_texts())
    assert f"Showing {shown.count()} of {total} rows" in page.inner_text("#shown")
    page.click("button[type=reset]")
    page.wait_for_function(
        f"() => document.querySelectorAll('tbody.row:not([hidden])').length === {total}"
    )
    page.select_option("#filter-problem", "quadratic-deep")
    assert page.locator("section.problem:visible").count() == 1
    page.select_option("#filter-optimizer", "Adam")
    assert page.locator("tbody.row:visible").count() == 4  # own, published, two measured
    assert all("Adam" in text for text in page.locator("tbody.row:visible").all_inner_texts())


def test_keyboard_focus_is_visible(opened):
    page = opened().page
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        name, width, style = page.evaluate(
            "() => { const e = document.activeElement, s = getComputedStyle(e);"
            "return [e.tagName, parseFloat(s.outlineWidth), s.outlineStyle]; }"
        )
        assert width >= 2, name
        assert style != "none", name
        seen.add(name)
    assert {"A", "BUTTON"} <= seen
    assert page.evaluate("document.querySelector('.skip') !== null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes(opened, scheme):
    page = opened(color_scheme=scheme).page
    dark = scheme == "dark"
    assert page.evaluate(FAINT_TEXT) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 384) == dark
    page.click("#theme")
    switched = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert switched != background
    page.wait_for_timeout(500)  # until the browser's own process has heard of the choice
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == switched


# What is wider than the window, or than the box it stands in, without a way to scroll there.
CUT = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.offsetParent && !e.closest('.hidden, .skip, svg'))
  .filter(e => getComputedStyle(e.closest('pre, .picture') ?? e).overflowX !== 'auto')
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1
    || (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline'))
  .map(e => [e.tagName, e.className, e.textContent.slice(0, 40)])"""


@pytest.fixture(scope="module")
def wide_file(tmp_path_factory, run_maker):
    """A page with all that makes a table wide: two references, failures, targets, long settings."""
    from alig_deepobs.analysis.report import build_report
    from alig_deepobs.analysis.report.page import write_page
    from alig_deepobs.registry import optimizers
    from alig_deepobs.results import write_result
    from alig_deepobs.run import Outcome

    folder = tmp_path_factory.mktemp("wide")
    for problem in ("digits_mlp", "quadratic_deep"):
        for number, entry in enumerate(optimizers().values()):
            for seed in (42, 43, 44, 45, 46):
                final = 0.9756 - 0.0031 * number + 0.004 * math.sin(seed * (number + 1))
                changes = {
                    "hyperparams": {"lr": 0.0025118864315, "betas": [0.9, 0.999], "eps": 1e-8},
                    "training_seconds": [0.0123 * seed] * 10,
                    "best_valid_test_accuracy": final,
                    "best_valid_test_loss": final,
                    "best_valid_epoch": 9,
                    "optimizer": entry.name,
                }
                if number in (5, 6) and seed < 44:
                    changes["outcome"] = Outcome.DIVERGED if number == 5 else Outcome.FAILED
                write_result(run_maker(problem, entry.label, seed, final, **changes), folder)
    path = tmp_path_factory.mktemp("page") / "wide.html"
    return write_page(build_report([folder], ("deepobs", "measured"), "adam"), path)


@pytest.mark.parametrize("which", ["page_file", "wide_file"])
@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_cut(browser, request, which, width):
    viewport = {"width": width, "height": 812}
    found = Opened(browser, request.getfixturevalue(which), viewport=viewport)
    page = found.page
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert page.evaluate(CUT) == []
    # Tables fit without scrolling, so that no column hides behind the edge.
    boxes = (
        "es => es.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent.slice(0, 60))"
    )
    assert page.eval_on_selector_all(".scroll", boxes) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found.context.close()


def test_no_two_optimizers_look_alike(browser, wide_file):
    """Colour and marker of every swatch of every legend, of 26 optimizers and the baselines."""
    found = Opened(browser, wide_file)
    script = """es => es.map(e => [...e.querySelectorAll('.swatch *')]
      .map(e => [e.getAttribute('d'), e.getAttribute('style'), e.getAttribute('stroke'),
                 e.getAttribute('fill')].join()).join(' '))"""
    for legend in found.page.locator("section.problem .legend").all():
        looks = legend.locator("button").evaluate_all(script)
        assert len(looks) >= 26
        assert len(set(looks)) == len(looks)
    found.context.close()


def test_the_rank_diagram_has_full_names(browser, wide_file):
    from alig_deepobs.registry import optimizers

    found = Opened(browser, wide_file)
    texts = " ".join(found.page.locator("#chart-critical-difference svg").all_text_contents())
    box = found.page.locator("#chart-critical-difference svg").bounding_box()
    for entry in optimizers().values():
        assert entry.label in texts
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    found.context.close()


def test_names_in_the_legend_hide_lines(opened):
    page = opened().page
    section = page.locator("#digits-mlp")
    button = section.locator(".legend button", has_text="SGD").first
    number = button.get_attribute("data-hides")
    line = section.locator(f"[data-series='{number}'] > path").first
    drawn = section.locator(f"[data-series='{number}']").count()
    assert drawn > 3
    assert line.is_visible()
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert section.locator(f"[data-series='{number}'].off").count() == drawn
    assert not line.is_visible()
    button.click()
    assert section.locator(".off").count() == 0


def test_marks_say_their_numbers(opened):
    page = opened().page
    titles = page.locator("#chart-digits-mlp-test-accuracy [data-series] title").all_text_contents()
    assert any(title.startswith("AliG at 10: 9") and "n=6" in title for title in titles)


def test_many_baselines_are_collapsed(opened):
    page = opened().page
    baselines = page.locator("#quadratic-deep details.baselines")
    assert baselines.locator("tbody.row").count() > 4
    assert baselines.locator("tbody.row:visible").count() == 0
    baselines.locator("summary").first.click()
    assert baselines.locator("tbody.row:visible").count() > 4


def test_without_javascript(browser, page_file):
    found = Opened(browser, page_file, wait=False, java_script_enabled=False)
    page = found.page
    # Two leaderboards, and of one problem what DeepOBS published and what was measured here.
    assert page.locator("table.board").count() == 4
    assert page.locator("figure svg").count() >= 8
    assert page.locator("figure svg:visible").count() >= 8
    assert page.locator(".filters:visible").count() == 0
    assert page.locator("noscript").count() == 1
    assert found.requests == [page_file.as_uri()]
    found.context.close()


def test_hostile_names_stay_text(opened):
    found = opened()
    found.page.wait_for_timeout(100)
    assert found.page.locator("img[src=x]").count() == 0
    assert found.page.locator("th", has_text="Evil <b>&").count() >= 1
    assert found.page.locator("th b").count() == 0
    assert found.complaints == []


def test_commands_can_be_copied(opened):
    page = opened().page
    row = page.locator("#digits-mlp tbody.row", has_text="AliG").first
    row.locator("summary").click()
    assert row.locator("pre").inner_text().startswith("alig-deepobs run digits_mlp --optimizer")
    row.locator("button.copy").click()
    from playwright.sync_api import expect

    expect(row.locator("button.copy")).to_have_text(re.compile("Copied|Selected"))


@pytest.mark.slow
def test_a_thousand_runs_are_interactive_in_two_seconds(
    browser, tmp_path, runs_writer, record_property
):
    from alig_deepobs.analysis.report import build_report
    from alig_deepobs.analysis.report.page import write_page

    for problem in ("digits_mlp", "digits_logreg", "mnist_mlp", "fmnist_mlp", "quadratic_deep"):
        runs_writer(tmp_path / "r", problem, seeds=50, epochs=50)
    path = write_page(build_report([tmp_path / "r"]), tmp_path / "big.html")
    found = Opened(browser, path)
    # Milliseconds since the navigation began, by the browser's own clock.
    ready = int(found.page.evaluate("document.documentElement.dataset.ready"))
    sorting = found.page.evaluate(
        "() => { const start = performance.now();"
        " document.querySelector('#digits-mlp table.board th button').click();"
        " document.body.getBoundingClientRect(); return performance.now() - start; }"
    )
    found.context.close()
    size = path.stat().st_size / 1e6
    record_property("page of 1,000 runs", f"{size:.2f} MB, {ready} ms, sorted in {sorting:.0f} ms")
    assert size < 2
    assert ready + sorting < 2000
