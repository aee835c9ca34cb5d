"""Names of any kind are no mark-up: in pages, in Markdown, in the report as a browser runs it."""

import html as standard
import json
import shutil

import pytest
import synthetic_run
import yaml
from browser import TELL, WATCH, browse, in_a_browser
from cellshuffle.phrasing import one_line
from cellshuffle.report import html, markdown
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from runs import copy_repository, snakemake_in

SCRIPT = "</script><script>document.title='owned'</script>"
NAMES = [
    SCRIPT, "<img src=x onerror=\"document.title='owned'\">", "T cell_", "a|b `c` {{ 7*7 }} {x}", "$x_{",
    "-->]]><!--", "line\nbreak", "rtl \u202e abc \u200f", "\u7d30\u80de \ud55c\uad6d", "'\"&amp;", "_x",
    "*bold* _it_ [l](u) ![i](u)", "%s %(x)s \\u0041 \x01", "|target|_ `x`_ :math:`x` .. raw:: html",
]  # fmt: skip
texts = st.text() | st.text(st.sampled_from("_*`|<>[]()&#$~\\\"'{}!- \nab1")) | st.sampled_from(NAMES)


@given(texts)
def test_pages_show_names_as_they_are(name):
    text = html.text(name)
    assert not set(text) & set("<>\"'")
    assert standard.unescape(text) == one_line(name)


@given(texts)
@example("a__b_c__ _d_ __e__ snake_case_ _f")
@example("1. x # y &lt; a*b*c")
def test_markdown_shows_names_as_they_are(name):
    """In a table, in a list after the name in bold, in a heading."""
    name = one_line(name)
    escaped = markdown.escape(name)
    lines = [f"### x {escaped} x", "", *markdown.markdown_table(["x"], [[f"x {escaped} x"]])]
    lines += ["", f"- **x {escaped}.** x"]
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse("\n".join(lines))
    parts = [token.children for token in parsed if token.type == "inline"]
    inline = ["".join(child.content for child in children) for children in parts]
    assert inline == [f"x {name} x", "x", f"x {name} x", f"x {name}. x"]
    kinds = {child.type for children in parts for child in children}
    assert kinds <= {"text", "strong_open", "strong_close", "text_special"}


@given(st.dictionaries(texts, texts | st.floats(allow_nan=False) | st.lists(texts)))
def test_settings_are_no_mark_up_in_a_script(settings):
    text = html.json_in_script(settings)
    assert "<" not in text and json.loads(text) == settings


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A clone with cached results in which everything that a person may name has names of the worst kind."""
    folder = tmp_path_factory.mktemp("evil")
    copy_repository(folder)
    config = synthetic_run.make_config(2, 1, ("task_", "other"), run="evil", suffix="_")
    own = pytest.MonkeyPatch()
    own.setattr(synthetic_run, "class_names", lambda task, n: [NAMES[k] for k in range(n)])
    run = synthetic_run.write_run(folder, config, (len(NAMES), 9), n_test=600)
    own.undo()
    config["atlas"] |= {"dir": SCRIPT, "plate_file": "{plate}.h5ad"}
    lookup = {"table": "x.csv", "key": SCRIPT, "value": "`|$_", "extra": {SCRIPT: "*a*"}}
    config["tasks"] = {"task_": {"column": SCRIPT, "lookup": lookup}, "other": {"column": "`x`_"}}
    cached = {key: value for key, value in config.items() if key not in ("figures", "compare", "reading")}
    (run / "config.yaml").write_text(yaml.safe_dump(cached, allow_unicode=True), encoding="utf-8")
    shutil.rmtree(folder / "results/reference")
    targets = [f"results/evil/summary/{page}.html" for page in ("answers", "table", "classes", "settings")]
    targets += ["results/evil/figures/confusion_task_.svg"]
    snakemake_in(folder, *targets, "--config", "run=evil")
    snakemake_in(folder, *targets, "--config", "run=evil", "--report", "results/evil/report.html")
    return run


@in_a_browser
def test_the_report_runs_no_script_of_the_data(evil, tmp_path):
    told = browse(evil / "report.html", WATCH, TELL, tmp_path)
    assert told["problems"] == []
    assert "owned" not in told["title"]
    assert "Which strategy should I use?" in told["menu"] and "streaming_" in told["menu"]
    assert told["images"] and all(width > 100 for _, width in told["images"])


@in_a_browser
@pytest.mark.parametrize("page", ["table", "classes", "settings"])
def test_pages_run_no_script_of_the_data(page, evil, tmp_path):
    told = browse(evil / f"summary/{page}.html", WATCH, SEEN, tmp_path)
    assert told["problems"] == [] and told["title"].lower() == page.replace("table", "comparison")
    if page == "classes":
        assert {one_line(name) for name in NAMES} <= {" ".join(name.split()) for name in told["first"]}


SEEN = """<script>
addEventListener('load', function () {
  var out = document.createElement('pre'); out.id = 'told';
  var rows = Array.from(document.querySelectorAll('tbody tr'));
  var first = rows.map(function (row) { return row.cells[0].textContent });
  out.textContent = JSON.stringify({ problems: problems, title: document.title, first: first });
  document.body.appendChild(out);
});
</script>"""
