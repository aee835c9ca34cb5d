"""The report asks the network for nothing; in a real browser it opens, figures load, the table sorts."""

import re
from pathlib import Path

import pytest
from browser import TELL, WATCH, browse, in_a_browser
from runs import snakemake_in

CLICK = """<script>
addEventListener('load', function () {
  var heads = Array.from(document.querySelectorAll('th button'));
  heads.find(function (h) { return h.textContent === 'Mean' }).click();
  var rows = Array.from(document.querySelectorAll('tbody tr')).filter(function (r) { return !r.hidden });
  var out = document.createElement('pre'); out.id = 'told';
  out.textContent = JSON.stringify(rows.map(function (r) { return Number(r.cells[3].dataset.value) }));
  document.body.appendChild(out);
});
</script>"""


@pytest.fixture(scope="module")
def report(redrawn):
    """The report of the cached results, beside their figures."""
    path = redrawn.folder / "results/reference/report.html"
    style = "workflow/report/report.css"
    snakemake_in(
        redrawn.folder, "figures", "--config", "run=reference",
        "--report", str(path), "--report-stylesheet", style,
    )  # fmt: skip
    return path


@in_a_browser
def test_opens_without_errors_and_every_figure_loads(report, tmp_path):
    told = browse(report, WATCH, TELL, tmp_path)
    assert told["problems"] == []
    drawn = {path.name for path in (report.parent / "figures").glob("*.svg")}
    assert {Path(path).name for path, _ in told["images"]} == drawn
    assert all(width > 100 for _, width in told["images"])
    assert len(told["front"]) == 5 and all(width > 100 for _, width in told["front"])
    for question in (
        "Which strategy should I use?", "How sure is that?", "What does it cost?",
        "Why does streaming score lower?", "simulated",
    ):  # fmt: skip
        assert question in told["menu"], question


def test_the_report_asks_the_network_for_nothing(report):
    text = report.read_text(encoding="utf-8")
    assert len(text) > 100_000  # with all figures inside
    assert not re.search(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?:https?:)?//""", text)
    assert not re.search(r"""(?:url\(|@import )["']?https?:""", text)


@in_a_browser
def test_the_table_sorts_and_filters(report, tmp_path):
    means = browse(report.parent / "summary" / "table.html", "", CLICK, tmp_path)
    assert means == sorted(means)
    n_jobs = len(list(report.parent.glob("train/*/seed0")))
    assert len(means) == 4 * (n_jobs + 2)  # macro F1 of four tasks, the score first shown; two rows of chance
