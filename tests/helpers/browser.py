"""Pages in a real browser."""

import json
import re
import shutil
import subprocess

import pytest

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
  var seen = { images: [], front: [], menu: document.body.innerText, title: document.title };
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
