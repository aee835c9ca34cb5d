"""The command `cellshuffle`: what can be done without the workflow."""

import argparse
import sys
from pathlib import Path

from cellshuffle import __version__
from cellshuffle.atlas.h5ad import member, open_h5ad
from cellshuffle.atlas.selection import select_cells
from cellshuffle.atlas.tables import n_rows
from cellshuffle.console import progress, say
from cellshuffle.errors import InputError
from cellshuffle.packing.origin import origin, packed_format
from cellshuffle.packing.pack import pack


def main(arguments: list[str] | None = None) -> None:
    """Run the command; wrong input ends with one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="cellshuffle", description=__doc__)
    parser.add_argument("--version", action="version", version=f"cellshuffle {__version__}")
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack", help="rewrite h5ad plates once, so that they read fast")
    packing.add_argument("plates", nargs="+", type=Path, help="h5ad files")
    packing.add_argument("--out", required=True, type=Path, help="folder for the packed plates")
    packing.add_argument("--layer", help="raw, or a layer; X without it")
    packing.add_argument("--genes", type=Path, help="text file of the genes to keep, one a line")
    packing.add_argument("--threads", type=int, default=1, help="threads that decode chunks")
    packing.set_defaults(command=pack_plates)
    options = vars(parser.parse_args(arguments))
    try:
        options.pop("command")(**options)
    except OSError as error:
        sys.exit(f"error: {error.filename or 'the disk'}: {error.strerror or error}")
    except InputError as error:
        sys.exit("\n".join(f"error: {line}" for line in str(error).splitlines()))


def pack_plates(plates, out, layer, genes, threads):
    """Pack plates one after the other, under their own names, into the folder `out`."""
    names = [path.name for path in plates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{out}: several plates would be packed as {twice[0]}; rename one")
    for source in plates:
        target = out / source.name
        if target.exists() and packed_format(target) is None:
            raise InputError(f"{target}: is there, and was not packed by cellshuffle; move it away")
        select = select_cells(source, layer, genes=genes)
        with open_h5ad(source) as file:
            n_cells = n_rows(member(file, "obs"))
        bar = progress(n_cells, "cells", f"packing {source.name}")
        status = source.stat()
        made_from = origin(layer, {"genes": genes and str(genes)}, [status.st_size, status.st_mtime_ns])
        pack(source, target, layer, select, threads, bar.update, made_from)
        bar.close()
        say(f"{target}: {n_cells:,} cells packed")
