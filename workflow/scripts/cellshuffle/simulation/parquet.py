"""The simulated atlas as Parquet files, as Hugging Face has Tahoe-100M: the cells of its h5ad files."""

import os
from pathlib import Path

import numpy as np

from cellshuffle.atlas.checksum import seal_files
from cellshuffle.atlas.parquet import BARCODE, ENSEMBL, GENE_TABLE, SYMBOL, TOKEN
from cellshuffle.atlas.parquet_file import COUNTS, GENES, MARKER, arrow
from cellshuffle.atlas.writer import SIMULATED
from cellshuffle.simulation import design
from cellshuffle.simulation.counts import gene_names, plate_parts

FIRST_TOKEN = 3  # of a gene: the first ones stand for other things, 1 for the marker
ROW_GROUP, FILE_ROWS = 1_000, 30_000  # about those of the published files; an atlas has at least two files
NAMES = {"cell_line": "cell_line_id"}  # obs columns of the h5ad that have another name
COLUMNS = ["drug", "sample", BARCODE, "cell_line_id", "moa-fine", "canonical_smiles", "pubchem_cid", "plate"]


def simulate_parquet(folder, metadata, plates, cells_per_plate, genes, cell_lines, drugs, seed):
    """Write all cells of `plates` (numbers) into `folder`; tables of genes, drugs, samples into `metadata`.

    The other arguments are the config's `simulate`. Cells of a plate follow one another, and files go on from
    one plate to the next.
    """
    parquet = arrow(folder).parquet
    n_cells = len(plates) * cells_per_plate
    size = min(FILE_ROWS, -(-n_cells // 2))
    n_files = -(-n_cells // size)
    Path(folder).mkdir(parents=True)
    table, samples, written = None, {}, 0
    for plate in plates:
        for part in _tables(plate, cells_per_plate, genes, cell_lines, drugs, seed):
            samples |= dict(zip(part["sample"].to_pylist(), part["drug"].to_pylist(), strict=True))
            table = part if table is None else arrow(folder).concat_tables([table, part])
            while len(table) >= size or 0 < len(table) == n_cells - written * size:
                path = Path(folder) / f"train-{written:05d}-of-{n_files:05d}.parquet"
                parquet.write_table(table.slice(0, size), path, row_group_size=ROW_GROUP)
                table, written = table.slice(size), written + 1
    Path(metadata).mkdir(parents=True, exist_ok=True)
    tables = _metadata(genes, drugs, seed, samples)
    for name, columns in tables.items():
        parquet.write_table(arrow(folder).table(columns), Path(metadata) / name)
    sizes = {"cells_per_plate": cells_per_plate, "genes": genes, "cell_lines": cell_lines, "drugs": drugs}
    made_from = design.made_from(sizes | {"seed": seed}, list(plates))
    seal_files(folder, Path(folder).glob("*.parquet"), made_from)
    seal_files(metadata, [Path(metadata) / name for name in tables], made_from)


def _tables(plate, cells_per_plate, genes, cell_lines, drugs, seed):
    """Yield tables of the cells of a plate, block by block."""
    pyarrow = arrow(os.devnull)
    columns, blocks = plate_parts(plate, cells_per_plate, genes, cell_lines, drugs, seed)
    fine = {row["drug"]: row["moa-fine"] for row in design.drug_metadata(drugs, seed)}
    start = 0
    for block in blocks:
        lengths = block["lengths"]
        cells = slice(start, start + len(lengths))
        start += len(lengths)
        obs = {NAMES.get(name, name): names[codes[cells]] for name, (codes, names) in columns.items()}
        obs |= {
            BARCODE: block[f"obs/{BARCODE}"],
            "moa-fine": [fine.get(drug, "unclear") for drug in obs["drug"]],
        }
        obs |= {"canonical_smiles": [""] * len(lengths), "pubchem_cid": [""] * len(lengths)}
        edges = np.concatenate([[0], np.cumsum(lengths)])
        tokens = np.insert(block["X/indices"].astype(np.int64) + FIRST_TOKEN, edges[:-1], MARKER[0])
        counts = np.insert(block["X/data"], edges[:-1], MARKER[1])
        offsets = (edges + np.arange(len(edges))).astype(np.int32)
        lists = {
            GENES: pyarrow.ListArray.from_arrays(offsets, tokens),
            COUNTS: pyarrow.ListArray.from_arrays(offsets, counts),
        }
        yield pyarrow.table(
            lists | {name: pyarrow.array(obs[name]) for name in COLUMNS}
        ).replace_schema_metadata({SIMULATED: str(seed)})


def _metadata(genes, drugs, seed, samples):
    """{file name: columns} of the tables that are published beside the cells."""
    rows = design.drug_metadata(drugs, seed)
    names = gene_names(genes)
    return {
        GENE_TABLE: {
            SYMBOL: names,
            ENSEMBL: [f"ENSG{k:011d}" for k in range(1, genes + 1)],
            TOKEN: np.arange(genes) + FIRST_TOKEN,
        },
        "drug_metadata.parquet": {name: [row[name] for row in rows] for name in rows[0]},
        "sample_metadata.parquet": {"sample": list(samples), "drug": list(samples.values())},
    }
