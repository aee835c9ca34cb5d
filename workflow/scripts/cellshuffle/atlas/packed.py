"""The number of the format of packed plates, which are read only where it is this one."""

from cellshuffle.errors import InputError

# One more whenever other bytes are written or expected: plates of another number are packed again.
FORMAT = 1
FORMAT_ATTRIBUTE = "cellshuffle_format"


def check_format(path, file):
    """Raise InputError for a plate, open, that was packed in another format."""
    number = file.attrs.get(FORMAT_ATTRIBUTE, FORMAT)
    if number != FORMAT:
        raise InputError(
            f"{path}: another version packed it in format {number}, this one reads format {FORMAT}; pack it "
            "again"
        )
