"""The documentation as a site: `make docs`. Pages are those of all folders, which link to each other."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
# The library, and what it imports: behind what .venv-docs has, which is of the same Python.
sys.path.insert(0, str(REPOSITORY / "workflow/scripts"))
sys.path += map(str, REPOSITORY.glob(".venv/lib/python3*/site-packages"))

import cellshuffle  # noqa: E402

project, author = "cellshuffle", "the authors of cellshuffle"
version = release = cellshuffle.__version__
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "config/*.md", "benchmarks/*.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
smartquotes = False
myst_heading_anchors = 4  # links name headings as GitHub does
default_role = "code"  # of one backtick in docstrings

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}

html_theme, html_title = "sphinx_book_theme", f"cellshuffle {version}"
html_show_copyright = False
templates_path = ["templates"]
html_additional_pages = {"index": "first_page.html"}
