"""What made a result, in a few letters: settings, and the code of this library that decides numbers."""

import functools
import hashlib
import json
from pathlib import Path

LENGTH = 16  # hexadecimal digits of a fingerprint


def fingerprint(settings):
    """LENGTH hexadecimal digits of the SHA-256 of JSON values; the order of a dict's keys does not count.

    >>> fingerprint({"seed": 0, "epochs": 10}) == fingerprint({"epochs": 10, "seed": 0})
    True
    """
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


@functools.cache
def code_of(*parts):
    """Fingerprint of the source of rooms ("labels") and modules ("atlas/writer") of the library."""
    library = Path(__file__).parent
    files = [file for part in parts for file in sorted((library / part).glob("*.py"))]
    files += [library / f"{part}.py" for part in parts if (library / f"{part}.py").is_file()]
    sources = [
        [str(file.relative_to(library)), hashlib.sha256(file.read_bytes()).hexdigest()] for file in files
    ]
    return fingerprint(sources)
