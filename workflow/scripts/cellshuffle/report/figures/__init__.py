"""One module per figure; its draw(results) returns a Matplotlib figure. style and point_labels are shared."""

import contextlib
import os
import tempfile
from pathlib import Path

# A notebook's backend, which need not be installed here; settings of the library that draws letters.
OF_THE_USER = ("MPLBACKEND", "MATPLOTLIBRC", "FREETYPE_PROPERTIES")


def import_matplotlib():
    """Import Matplotlib without anything of the user's, for a process that only draws figures.

    When it is imported, Matplotlib reads the matplotlibrc of the working folder, of $MATPLOTLIBRC or of the
    user, and one that cannot be read ends in a traceback. So it is imported beside one without a word.
    """
    for name in OF_THE_USER:
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("matplotlibrc").touch()
        import matplotlib  # noqa: F401
