"""The reports of a run, the escaping of its text, and the statistics of few repeats."""

from __future__ import annotations

import dataclasses
import html.parser
import math
import pathlib
import random

import pytest

from phaselock.bench.analysis import stats
from phaselock.bench.report import page as report
from phaselock.bench.results import Case, Metric, Plot, Run, Series, new_run
from phaselock.errors import PhaseLockError

EVIL = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\ud800$\\frac{$|`*_&\u202e"
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(html.parser.HTMLParser):
    """Collects what a browser shows, and checks that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name == "href" and value]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def a_run(*cases: Case, complete: bool = True) -> Run:
    run = new_run(("bench", "sync", "--out", "/home/ada/found", "--trace", "/home/ada/trace"))
    run.cases += cases
    run.complete, run.seconds = complete, 90.0
    return run


def a_case(name: str = "wired", *plots: Plot) -> Case:
    figures = (Metric("start_us", "us", (10.0, 12.0, 50.0)), Metric("settling_s", "s", (math.nan, 2.0, 1.0)))
    return Case("sync", name, {"peers": 2, "machines": [{"name": "host"}]}, figures, plots, {}, ("A note.",))


def pages(run: Run, folder: pathlib.Path) -> tuple[Page, str]:
    report.write(run, folder)
    return Page((folder / "report.html").read_text("utf-8")), (folder / "report.md").read_text("utf-8")


def test_a_page_contains_results_and_computer(tmp_path: pathlib.Path) -> None:
    plot = Plot("Distance over time", "seconds", "microseconds", (Series("seed 1", (0.0, 1.0), (5.0, 6.0)),))
    page, markdown = pages(a_run(a_case("wired", plot), a_case("wifi")), tmp_path)
    for text in ("Synchronisation", "wired", "wifi", "start", "12 µs", "10 to 50", "10 to 50 (75% sure)", "A note."):
        assert any(text in words for words in page.words), text
        assert text in markdown, text
    assert "Distance over time" in page.words
    assert page.tags.count("figure") == 1
    assert "phaselock bench sync --trace trace" in page.words  # paths are private
    assert all("/home" not in words for words in page.words)
    assert not any("is not complete" in text for text in [*page.words, markdown])


def test_every_link_of_the_navigation_leads_somewhere(tmp_path: pathlib.Path) -> None:
    page, _ = pages(a_run(a_case("wired"), a_case("wifi"), dataclasses.replace(a_case(), benchmark="new")), tmp_path)
    inside = {link.removeprefix("#") for link in page.links if link.startswith("#b")}
    assert {"b0", "b0c0", "b0c1", "b1", "b1c0"} == inside
    assert inside <= set(page.ids)


def test_problems_come_first(tmp_path: pathlib.Path) -> None:
    run = a_run(a_case(), complete=False)
    run.problems.append("transfer: The link <b>broke</b>.")
    page, markdown = pages(run, tmp_path)
    said = [k for k, words in enumerate(page.words) if "is not complete" in words or "The link <b>" in words]
    assert len(said) == 2 and max(said) < page.words.index("12 µs")
    assert markdown.index("is not complete") < markdown.index("\\<b\\>broke") < markdown.index("12 µs")


def test_failed_repeats_are_shown(tmp_path: pathlib.Path) -> None:
    page, markdown = pages(a_run(a_case()), tmp_path)
    assert "2, 1 failed" in page.words and "2, 1 failed" in markdown
    assert "1 failed" in "\n".join(report.summary(a_run(a_case())))


def test_an_empty_run_gives_a_page(tmp_path: pathlib.Path) -> None:
    page, markdown = pages(a_run(complete=False), tmp_path)
    assert "Nothing was measured" in page.words
    assert markdown.startswith("# PhaseLock bench")
    assert report.summary(a_run()) == []


@pytest.mark.parametrize("kind", ["line", "points", "bars"])
def test_text_of_a_run_is_escaped(kind: str, tmp_path: pathlib.Path) -> None:
    x = (EVIL, EVIL + "2") if kind == "bars" else (0.0, 1.0)
    plot = Plot(EVIL, EVIL, EVIL, (Series(EVIL, x, (1.0, 2.0)), Series(EVIL, x, (3.0, 4.0))), kind)  # type: ignore[arg-type]
    figure = Metric(EVIL, EVIL, (1.0, 2.0), "more")
    parameters = {EVIL: EVIL, "list": [EVIL], "deep": {EVIL: [EVIL]}}
    run = a_run(*(Case(EVIL, EVIL + end, parameters, (figure,), (plot,), {}, (EVIL,)) for end in "ab"), complete=False)
    run.problems.append(EVIL)
    run.machine = dict.fromkeys(run.machine, EVIL) | {"packages": {EVIL: EVIL}}
    run.began, run.command = EVIL, (EVIL,)
    page, markdown = pages(run, tmp_path)
    assert not {"script", "img", "iframe", "foreignobject", "image"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\x1b" not in markdown and "<script" not in markdown.replace("\\<script", "")
    assert all("\x1b" not in line and len(line) <= 400 for line in report.summary(run))


def test_a_page_is_self_contained(tmp_path: pathlib.Path) -> None:
    plots = [
        Plot("a", "", "", (Series("", (0.0, 1.0), (1.0, 2.0)),), "points", True),
        Plot("b", "", "", (Series("", ("a", "b"), (1.0, 2.0)),), "bars", True),
    ]
    page, _ = pages(a_run(a_case("wired", *plots)), tmp_path)
    assert not {"link", "script", "img", "iframe"} & set(page.tags)
    assert [value for name, value in page.attributes if name in ("src", "href", "xlink:href") and value[0] != "#"] == []
    assert not [value for _, value in page.attributes if value and "url(" in value and "url(#" not in value]


def test_a_plot_prints_in_the_colours_of_the_page(tmp_path: pathlib.Path) -> None:
    series = tuple(Series(f"seed {k}", (0.0, 1.0), (1.0, k)) for k in range(3))
    pages(a_run(a_case("wired", Plot("a", "x", "y", series))), tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    drawn = text[text.index("<figure>") : text.index("</figure>")]
    assert all(f"stroke: var(--m{k})" in drawn for k in range(3))
    assert "#b3b3b3" not in drawn and "#2a2a2a" not in drawn


@pytest.mark.parametrize(
    ("kind", "x", "y"),
    [
        ("line", (), ()),
        ("line", (0.0, 1.0), (math.nan, math.inf)),
        ("line", (0.0, math.nan), (1.0, 2.0)),
        ("line", (1.0,), (1e308,)),
        ("line", (1.0, 2.0, 3.0), (1.0,)),
        ("points", (math.nan,), (1.0,)),
        ("points", (1.0, 1.0), (-1.0, 0.0)),
        ("points", (1.0, 1.0), (1e99, 1e-99)),
        ("bars", (), ()),
        ("bars", ("a",), (math.nan,)),
        ("bars", ("a", "a", "b"), (0.0, -1.0, 5.0)),
        ("bars", tuple(f"{k}" for k in range(120)), (1.0,) * 120),
    ],
)
@pytest.mark.parametrize("log_y", [False, True])
def test_unusual_plots_are_drawn(
    kind: str, x: tuple[float, ...], y: tuple[float, ...], log_y: bool, tmp_path: pathlib.Path
) -> None:
    plot = Plot("odd", "x", "y", (Series("a", x, y),), kind, log_y)  # type: ignore[arg-type]
    page, _ = pages(a_run(a_case("wired", plot)), tmp_path)
    assert "odd" in page.words


def test_a_long_series_is_thinned_and_keeps_its_extremes() -> None:
    chance = random.Random(4)
    y = [chance.gauss(0, 1) for _ in range(100_000)]
    y[77_777], y[5] = 40.0, -40.0
    found_x, found_y = report._thinned(
        Series("", tuple(map(float, range(100_000))), tuple(y)), 600, positive_only=False
    )
    assert len(found_x) <= 600
    assert {(77_777.0, 40.0), (5.0, -40.0)} <= set(zip(found_x.tolist(), found_y.tolist(), strict=True))
    assert list(found_x) == sorted(found_x)


def test_a_full_run_is_less_than_a_megabyte(tmp_path: pathlib.Path) -> None:
    series = tuple(
        Series(f"seed {k}", tuple(map(float, range(5000))), (1.0, 7.123456, -3.0, 0.5) * 1250) for k in range(3)
    )
    plots = tuple(Plot("a", "seconds", "us", series, kind) for kind in ("line", "points"))  # type: ignore[arg-type]
    pages(a_run(*(a_case(f"case {k}", *plots) for k in range(25))), tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_a_page_is_reproducible(tmp_path: pathlib.Path) -> None:
    run = a_run(a_case("wired", Plot("a", "x", "y", (Series("", (0.0, 1.0), (1.0, 2.0)),))))
    pages(run, tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    pages(run, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first


def test_an_unwritable_folder_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(PhaseLockError, match="cannot be written to"):
        report.write(a_run(), tmp_path)


def test_a_summary_fits_a_terminal() -> None:
    names = ("start_us", "playing_p50_us", "playing_p95_us", "playing_max_us", "settling_s", "clicks")
    figures = tuple(Metric(name, "us", (1234.5, 2345.6, 3456.7)) for name in names)
    lines = report.summary(a_run(*(Case("sync", f"scenario {k}, 6 machines", {}, figures) for k in range(3))))
    assert max(map(len, lines)) <= 100
    assert sum("scenario 1" in line for line in lines) == 2  # wide tables continue below
    assert "\n".join(lines).count("2346 (1234–3457)") == 18


# -- statistics --------------------------------------------------------------------------------------------------------


def test_percentiles_count_only_what_was_measured() -> None:
    assert stats.median([3.0, math.nan, 1.0, math.inf, 2.0]) == 2.0
    assert stats.percentile([0.0, 10.0], 95) == 9.5
    assert math.isnan(stats.median([])) and math.isnan(stats.percentile([math.nan], 50))


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.5), (3, 0.75), (5, 0.9375)])
def test_the_interval_of_few_repeats_is_their_range(n: int, confidence: float) -> None:
    found = stats.summary([float(k) for k in range(n)])
    assert (found.interval, found.confidence) == ((0.0, n - 1.0), confidence)


def test_fewer_than_two_repeats_have_no_interval() -> None:
    assert stats.summary([5.0]).confidence == 0 and stats.summary([5.0]).median == 5.0
    assert stats.summary([math.nan]).n == 0 and stats.summary([math.nan]).missing == 1


@pytest.mark.parametrize("n", [3, 5, 8, 25])
def test_the_interval_contains_the_median_with_its_confidence(n: int) -> None:
    chance = random.Random(n)
    found = [stats.summary([chance.lognormvariate(0, 1) for _ in range(n)]) for _ in range(400)]
    hits = sum(one.interval[0] <= 1.0 <= one.interval[1] for one in found) / len(found)
    assert abs(hits - found[0].confidence) < 0.06


def test_the_same_values_have_the_same_interval() -> None:
    values = [1.0, 5.0, 2.0, 8.0, 3.0, 4.0, 9.0]
    assert stats.summary(values) == stats.summary(values)


def test_very_many_values_fit_in_memory() -> None:
    low, high = stats.summary([float(k % 1000) for k in range(200_000)]).interval
    assert 400 < low < 499.5 < high < 600


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (2, 1 / 3), (3, 0.1), (4, 1 / 35)])
def test_the_smallest_p_value_depends_on_the_number_of_repeats(n: int, smallest: float) -> None:
    result = stats.compare([1.0 + k / 10 for k in range(n)], [9.0 + k / 10 for k in range(n)])
    assert result.p == pytest.approx(smallest) and result.smallest_p == pytest.approx(smallest)


def test_equal_distributions_seldom_differ_significantly() -> None:
    chance = random.Random(9)

    def some() -> list[float]:
        return [chance.gauss(9, 1) for _ in range(6)]

    ps = [stats.compare(some(), some()).p for _ in range(200)]
    assert sum(p < 0.05 for p in ps) / len(ps) < 0.09


def test_the_test_is_that_of_mann_and_whitney() -> None:
    import scipy.stats

    a, b = [1.0, 4.0, 2.0, 8.0, 5.0, 7.0], [3.0, 9.0, 11.0, 6.0, 10.0]
    assert stats.compare(a, b).p == pytest.approx(scipy.stats.mannwhitneyu(a, b, method="exact").pvalue)
    many = [k * 1.7 % 13 for k in range(40)]
    assert stats.compare(many, many).p == pytest.approx(1.0)
    assert stats.compare([2.0] * 40, [2.0] * 40).p == 1.0


def test_thousands_of_values_are_compared_at_once() -> None:
    """The number of arrangements has tens of thousands of digits."""
    result = stats.compare([float(k) for k in range(60_000)], [float(k) + 30_000 for k in range(60_000)])
    assert result.p < 1e-9 and 0 <= result.smallest_p < 1e-9


@pytest.mark.parametrize("figures", [1, 30, 120, 400, 5000])
def test_the_recommended_repeats_find_one_difference(figures: int) -> None:
    for repeats, found in ((stats.repeats_for(figures), True), (stats.repeats_for(figures) - 1, False)):
        result = stats.compare([1.0 + k / 100 for k in range(repeats)], [9.0 + k / 100 for k in range(repeats)])
        assert (stats.significance_limit([result.p] + [1.0] * (figures - 1)) > 0) == found


def test_a_ratio_has_an_interval_around_it() -> None:
    chance = random.Random(2)
    a, b = [chance.uniform(9, 11) for _ in range(12)], [chance.uniform(18, 22) for _ in range(12)]
    result = stats.compare(a, b)
    assert result.interval[0] < result.ratio < result.interval[1] and 1.8 < result.ratio < 2.2
    few = stats.compare([1.0, 2.0], [4.0, 6.0])
    assert few.ratio == pytest.approx(5 / 1.5) and few.interval == (2.0, 6.0)


@pytest.mark.parametrize("before", [(0.0, 0.0, 0.0), (-1.0, 2.0, 3.0), (math.nan,), ()])
def test_a_ratio_needs_positive_values(before: tuple[float, ...]) -> None:
    assert math.isnan(stats.compare(before, (1.0, 2.0, 3.0)).ratio)
