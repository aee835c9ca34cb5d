"""Self-contained HTML pages and their parts."""

import html
import json
from base64 import b64encode
from pathlib import Path

from cellshuffle.phrasing import one_line

CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:70rem;margin:1.5rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
.sortable :is(td,th):is(:nth-child(2),:nth-child(3),:last-child){text-align:left}
thead th{border-bottom:2px solid #888;position:sticky;top:0;background:#fff}
button.sort{font:inherit;font-weight:bold;background:none;border:0;padding:0;cursor:pointer;color:inherit}
th[aria-sort=ascending] .sort:after{content:" \\2191"}th[aria-sort=descending] .sort:after{content:" \\2193"}
pre{background:#f6f6f6;padding:.8rem;overflow:auto}select{font:inherit;margin:0 1rem .5rem .3rem}
"""
SORT = """
document.querySelectorAll('table.sortable').forEach(function(table){
  var heads=Array.from(table.tHead.rows[0].cells), body=table.tBodies[0];
  heads.forEach(function(head,column){head.querySelector('button').addEventListener('click',function(){
    var up=head.getAttribute('aria-sort')!=='ascending';
    heads.forEach(function(h){h.removeAttribute('aria-sort')});
    head.setAttribute('aria-sort',up?'ascending':'descending');
    function key(row){var v=row.cells[column].dataset.value;return v===''?NaN:isNaN(v)?v:Number(v)}
    Array.from(body.rows).sort(function(a,b){var x=key(a),y=key(b);
      if(x!==x)return 1; if(y!==y)return -1;
      return (x<y?-1:x>y?1:0)*(up?1:-1)}).forEach(function(row){body.appendChild(row)});
  })});
  document.querySelectorAll('select[data-column]').forEach(function(s){s.addEventListener('change',filter)});
  function filter(){Array.from(body.rows).forEach(function(row){
    row.hidden=Array.from(document.querySelectorAll('select[data-column]')).some(function(s){
      return s.value!==''&&row.cells[+s.dataset.column].dataset.value!==s.value})})}
  filter();
});
"""


def text(value):
    """A value as text of a page or value of an attribute, none of which is mark-up."""
    return html.escape(one_line(value))


def json_in_script(value):
    """A value of a configuration as JSON text that may stand inside a <script>.

    Snakemake writes the parameters of jobs into the script of its report as they are.
    """
    return json.dumps(value).replace("<", "\\u003c")


def page(title, *parts, script=""):
    """A complete HTML document that loads no other file."""
    script = f"<script>{script}</script>" if script else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f"<style>{CSS}</style></head><body><h1>{text(title)}</h1>{''.join(parts)}{script}</body></html>\n"
    )


def heading(words):
    return f"<h2>{text(words)}</h2>"


def paragraph(*sentences):
    return f"<p>{text(' '.join(sentences))}</p>"


def strong(sentence):
    return f"<p><strong>{text(sentence)}</strong></p>"


def preformatted(lines):
    """Text whose lines and indentation stay as they are."""
    shown = [" " * (len(line) - len(line.lstrip(" "))) + text(line) for line in lines.split("\n")]
    return "<pre>{}</pre>".format("\n".join(shown))


def bullets(items):
    return "<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>"


def picture(svg_path, alt):
    """An SVG file as an image embedded in the page."""
    data = b64encode(Path(svg_path).read_bytes()).decode()
    return f'<img alt="{text(alt)}" src="data:image/svg+xml;base64,{data}">'


def plain_table(header, rows):
    cells = [[f"<td>{text(cell)}</td>" for cell in row] for row in rows]
    return _table("<table>", map(text, header), cells)


def sortable_table(header, rows):
    """rows: lists of (what is shown, value to sort by); '' sorts last."""
    button = '<button class="sort" type="button">{}</button>'.format
    cells = [[f'<td data-value="{text(value)}">{text(shown)}</td>' for shown, value in row] for row in rows]
    return _table('<table class="sortable">', (button(text(name)) for name in header), cells)


def _table(opening, header, rows):
    """header: content of its cells; rows: lists of cells; both as HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"{opening}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def chooser(label, column, options, chosen=""):
    """A menu that keeps only the table's rows with the chosen value in `column` (a number)."""
    items = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen else ""}>{text(shown)}</option>'
        for value, shown in [("", "all"), *options]
    )
    return f'<label>{text(label)}<select data-column="{column}">{items}</select></label>'
