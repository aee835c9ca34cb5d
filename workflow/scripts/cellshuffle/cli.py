"""The command `cellshuffle`: what can be done without the workflow."""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from cellshuffle import __version__
from cellshuffle.atlas.genes import gene_list
from cellshuffle.commands.check import check_plates
from cellshuffle.commands.pack import pack
from cellshuffle.console import say
from cellshuffle.errors import InputError


def main(arguments: list[str] | None = None) -> None:
    """Run the command; wrong input ends with one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="cellshuffle", description=__doc__)
    parser.add_argument("--version", action="version", version=f"cellshuffle {__version__}")
    commands = parser.add_subparsers(required=True)
    _add_pack(commands)
    checking = commands.add_parser(
        "check", help="compare packed plates with the checksums they were packed with"
    )
    checking.add_argument("plates", nargs="+", type=Path, help="packed plates")
    checking.set_defaults(command=check_plates)
    auditing = commands.add_parser("audit", help="what a recorded order of cells is like, without training")
    auditing.add_argument("order", type=Path, help=".npy of cell numbers: one row an epoch, or one for all")
    auditing.add_argument("--atlas", required=True, type=Path, help="configuration of the atlas, a YAML file")
    auditing.add_argument("--figure", type=Path, help="draw it into this file: .svg, .pdf or .png")
    auditing.set_defaults(command=audit_order)
    options = vars(parser.parse_args(arguments))
    try:
        options.pop("command")(**options)
    except OSError as error:
        sys.exit(f"error: {error.filename or 'the disk'}: {error.strerror or error}")
    except InputError as error:
        sys.exit("\n".join(f"error: {line}" for line in str(error).splitlines()))
    except KeyboardInterrupt:
        say("stopped; the same command goes on with what is missing")
        sys.exit(130)


def _add_pack(commands):
    packing = commands.add_parser("pack", help="rewrite plates once, so that they read fast")
    packing.add_argument(
        "plates", nargs="+", type=Path, help="h5ad files, zarr stores, folders of Parquet files"
    )
    packing.add_argument("--out", required=True, type=Path, help="folder for the packed plates")
    packing.add_argument("--layer", help="raw, a layer, or obsm/<name>; X without it")
    packing.add_argument(
        "--genes", help="the genes to keep: a text file with one a line, or names with commas between them"
    )
    packing.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="keep the cells that have this value in an obs column; several values of a column: any of them; "
        "several columns: all of them",
    )
    packing.add_argument(
        "--align",
        default="none",
        help="bring plates whose genes differ to one list, by name: intersection, union, or a text file with "
        "one gene a line; genes that a plate lacks become zeros",
    )
    packing.add_argument(
        "--gene-column", help="the column of var that has the names of the genes; its index without it"
    )
    packing.add_argument("--jobs", type=int, help="processes at a time; as many as there are cores")
    packing.set_defaults(command=pack_plates)


def pack_plates(genes, where, **options):
    """`cellshuffle.pack`, of what was typed."""
    pack(genes=genes and genes_of(genes), where=where_of(where), **options)


def audit_order(order, atlas, figure):
    """Print what `cellshuffle.commands.audit.audit` finds."""
    if figure is not None and figure.suffix not in (".svg", ".pdf", ".png"):
        raise InputError(f"--figure: {figure}: is not the name of an .svg, .pdf or .png")
    print(import_module("cellshuffle.commands.audit").audit(order, atlas, figure))


def genes_of(text):
    """Names of genes: the lines of a file, or what stands between commas."""
    if os.path.exists(text):
        return gene_list(text)
    if Path(text).suffix in (".txt", ".csv", ".tsv", ".gz") or os.sep in text:
        raise InputError(f"--genes: {text}: there is no such file")
    return [name.strip() for name in text.split(",") if name.strip()]


def where_of(conditions):
    """{obs column: [values]} of texts such as `pass_filter=full`."""
    where = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not (column and equals):
            raise InputError(f"--where: '{condition}' is not column=value, such as pass_filter=full")
        where.setdefault(column, []).append(value)
    return where
