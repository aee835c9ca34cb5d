"""Plates and lookup tables in; what every plate holds out, or all that is wrong with them."""

from cellshuffle.console import say
from cellshuffle.errors import InputError
from cellshuffle.files import write_json
from cellshuffle.inspection.atlas import check_atlas
from cellshuffle.jobs.run import run_rule


def main(snakemake):
    errors, warnings, plates = check_atlas(snakemake.params.request)
    if errors:
        raise InputError("\n".join(errors))
    for warning in warnings:
        say(f"warning: {warning}")
    # With the stamps, so that the file differs where other plates or tables were looked at.
    checked = {"plates": plates, "warnings": warnings, "stamps": snakemake.params.stamps}
    write_json(snakemake.output[0], checked)
    n_cells = sum(plate["n_cells"] for plate in plates)
    say(f"{n_cells:,} cells on {len(plates)} plates: nothing wrong")


run_rule(main, snakemake)  # noqa: F821
