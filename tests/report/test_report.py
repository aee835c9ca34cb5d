"""The report asks the network for nothing; in a real browser it opens, figures load, the table sorts."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from runs import snakemake_in

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"
)

# Runs before anything else in the page; what it finds ends up in a <pre> that the test reads.
WATCH = """<script>
window.problems = [];
addEventListener('error', function (e) { problems.push('error: ' + (e.message || e.target.src)) }, true);
addEventListener('unhandledrejection', function (e) { problems.push('rejection: ' + e.reason) });
(function () { var was = console.error; console.error = function () {
  problems.push('console: ' + Array.from(arguments).join(' ')); was.apply(console, arguments) } })();
</script>"""
TELL = """<script>
async function tell() {
  var seen = { images: [], front: [], menu: document.body.innerText };
  document.querySelectorAll('.prose img').forEach(function (i) { seen.front.push([i.alt, i.naturalWidth]) });
  for (var path of Object.keys(results)) {
    app.showResultInfo(path);
    if (results[path].mime_type.startsWith('image')) {
      var image = new Image(); image.src = results[path].data_uri;
      await image.decode().catch(function (e) { problems.push(path + ': ' + e) });
      seen.images.push([path, image.naturalWidth]);
    }
  }
  app.setView({ content: 'stats' });
  await new Promise(function (done) { setTimeout(done, 500) });
  var out = document.createElement('pre'); out.id = 'told';
  out.textContent = JSON.stringify(Object.assign(seen, { problems: problems }));
  document.body.appendChild(out);
}
addEventListener('load', function () { setTimeout(tell, 500) });
</script>"""
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


def browse(page, head, tail, tmp_path):
    """What the page told after it ran with `head` in front and `tail` behind."""
    text = page.read_text(encoding="utf-8").replace("<head>", "<head>" + head, 1)
    before, end, after = text.rpartition("</html>")
    copy = tmp_path / page.name
    copy.write_text(before + tail + end + after, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-first-run",
             "--virtual-time-budget=20000", "--dump-dom"]  # fmt: skip
    flags.append(f"--user-data-dir={tmp_path / 'profile'}")
    done = subprocess.run([CHROMIUM, *flags, copy.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    plain = found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(plain)


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
    assert len(told["front"]) == 4 and all(width > 100 for _, width in told["front"])
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
    assert len(means) == 4 * n_jobs  # macro F1 of four tasks: the score first shown
