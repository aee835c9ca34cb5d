"""What tells whether a plate has changed: sizes and times of its files. Works without h5py and NumPy."""

import os


def stamp(path):
    """[bytes, newest modification time in ns, files] of a folder, [bytes, time] of a file.

    Another plate in the place of one that was packed, or labelled, has another stamp. Raises OSError.
    """
    if not os.path.isdir(path):
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns]
    found = [
        os.stat(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
        if name[0] != "."
    ]
    return [sum(s.st_size for s in found), max((s.st_mtime_ns for s in found), default=0), len(found)]
