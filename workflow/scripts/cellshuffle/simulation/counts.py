"""Simulated plates: what is expressed. Time and memory follow the counts, not cells x genes.

A cell draws a Poisson number of bursts from each of three expression profiles (its line's, its drug's
mechanism's and its drug's own; the last two grow with the dose). Every burst falls on one gene of the
profile and has a logarithmic size, so given the size of its cell a gene's count is negative binomial,
and only the genes that a cell expresses are ever touched.
"""

import json

import numpy as np

from cellshuffle.atlas.checksum import seal
from cellshuffle.atlas.writer import write_h5ad
from cellshuffle.simulation import design

GENE_SPREAD = 2.9  # sd of log mean expression: few genes hold most transcripts
LINE_SPREAD, EFFECT_SPREAD, PLATE_SPREAD = 0.6, 0.9, 0.05  # sd of a profile's log departures
MECHANISM_SHARE, DRUG_SHARE = 0.1, 0.25  # of the bursts of a cell, at a saturating dose
BURST = 0.3  # of the logarithmic distribution: a gene's variance over its mean is 1 / (1 - BURST)
DEPTH_SHAPE = 3.0  # of the gamma distribution of cell sizes
EXPRESSED_GENES = 40_000  # of a whole transcriptome; the others are silent in every line
BURSTS_PER_BLOCK = 1_000_000  # some 50 MB of work arrays
OBS_INDEX, VAR_INDEX = "BARCODE_SUB_LIB_ID", "gene_name"
OBS_COLUMNS = ["sample", "gene_count", "tscp_count", "drugname_drugconc", "drug", "cell_line"]
OBS_COLUMNS += ["sublibrary", "plate", "pass_filter"]
SUBLIBRARIES, BEADS = 8, 192  # at least, a plate; barcodes of the second and third round


def simulate_plate(path, plate, cells_per_plate, genes, cell_lines, drugs, seed):
    """Write plate `plate` (1, 2, ...) as h5ad; the other arguments are the config's `simulate`."""
    sizes = {"cells_per_plate": cells_per_plate, "genes": genes, "cell_lines": cell_lines, "drugs": drugs}
    sizes["seed"] = seed
    columns, blocks = plate_parts(plate, **sizes)
    write_h5ad(
        path,
        genes,
        (OBS_INDEX, []),
        (VAR_INDEX, gene_names(genes)),
        columns,
        OBS_COLUMNS,
        blocks,
        json.dumps(sizes | {"plate": plate, "made_from": design.made_from(sizes)}),
    )
    seal(path)


def gene_names(n_genes):
    """Names of no real gene."""
    return [f"GENE{k:05d}" for k in range(1, n_genes + 1)]


def plate_parts(plate, cells_per_plate, genes, cell_lines, drugs, seed):
    """(categorical obs columns, blocks of counts and other columns) of a plate: see write_h5ad."""
    wells, dose, effects = design.plate_wells(plate, drugs, seed)
    well, line = design.plate_cells(plate, wells, effects, cells_per_plate, cell_lines, seed)
    barcodes, library, libraries = _barcodes(plate, well)
    lines = [f"CVCL_{23 + 37 * k:04d}" for k in range(cell_lines)]  # as Cellosaurus writes them
    names = design.drug_names(drugs)
    treatments = [str([(names[drug], dose if drug else 0.0, "uM")]) for drug in wells]
    minimal = design.rng(seed, design.QUALITY, plate).random(len(well)) < 0.1
    columns = {
        "sample": (well, [f"smp_{1000 + 100 * plate + k}" for k in range(len(wells))]),
        "drugname_drugconc": (well, treatments),
        "drug": (well, [names[drug] for drug in wells]),
        "cell_line": (line, lines),
        "sublibrary": (library, libraries),
        "plate": (np.zeros(len(well), np.int64), [f"plate{plate}"]),
        "pass_filter": (minimal.astype(np.int64), ["full", "minimal"]),
    }
    blocks = count_blocks(plate, wells[well], effects[well], line, genes, drugs, seed)
    return {name: _used(*column) for name, column in columns.items()}, _with_obs(blocks, barcodes)


def _used(codes, names):
    """(codes, categories): categories sorted and only those in use, as anndata writes them."""
    names, order = np.unique(np.array(names), return_inverse=True)
    used, codes = np.unique(order[codes], return_inverse=True)
    return codes, names[used]


def _barcodes(plate, well):
    """(names of a slice of cells, a function; sublibrary code of every cell; sublibrary names).

    A barcode says the well of the first round of splitting and a bead of the next two.
    """
    n_cells = len(well)
    n_libraries = max(SUBLIBRARIES, -(-n_cells // BEADS**2))
    library = np.arange(n_cells) * n_libraries // n_cells
    names = [f"lib_{841 + n_libraries * (plate - 1) + k}" for k in range(n_libraries)]

    def barcodes(cells):
        bead = np.arange(n_cells)[cells] % BEADS**2
        parts = (well[cells] + 1, bead // BEADS + 1, bead % BEADS + 1, library[cells])
        rows = zip(*(part.tolist() for part in parts), strict=True)
        return [f"{a:02d}_{b:03d}_{c:03d}-{names[k]}" for a, b, c, k in rows]

    return barcodes, library, names


def _with_obs(blocks, barcodes):
    """Blocks for `write_h5ad`: the counts and what follows from them in obs."""
    start = 0
    for lengths, genes, counts in blocks:
        row = np.repeat(np.arange(len(lengths)), lengths)
        yield {
            "lengths": lengths,
            "X/data": counts,
            "X/indices": genes,
            "obs/gene_count": lengths,
            "obs/tscp_count": np.bincount(row, counts, len(lengths)).astype(np.int64),
            f"obs/{OBS_INDEX}": barcodes(slice(start, start + len(lengths))),
        }
        start += len(lengths)


def count_blocks(plate, drug, effect, line, genes, n_drugs, seed):
    """Yield (row lengths, gene indices int32, counts float32) of consecutive blocks of cells.

    drug, effect, line: what each cell of the plate is, (n_cells,).
    """
    mechanism = design.drug_mechanisms(n_drugs, seed)[drug]
    decks, deck = _decks(plate, line, mechanism, drug, genes, seed)
    share = np.outer(effect, [0.0, MECHANISM_SHARE, DRUG_SHARE])
    share[:, 0] = 1 - share.sum(axis=1)
    generator = design.rng(seed, design.COUNTS, plate)
    # Bursts of an average cell: it expresses about 270 genes of 2,000, and 2,100 of 62,710.
    mean_bursts = 2500 * (genes / 2000) ** 0.33
    depth = mean_bursts * generator.lognormal(0, 0.1) / DEPTH_SHAPE
    rows = max(1, int(BURSTS_PER_BLOCK / mean_bursts))
    for start in range(0, len(drug), rows):
        block = slice(start, start + rows)
        size = depth * generator.gamma(DEPTH_SHAPE, size=(len(deck[block]), 1))
        bursts = generator.poisson(size * share[block])
        yield _place(decks, deck[block], bursts, genes, generator)


def _decks(plate, line, mechanism, drug, genes, seed):
    """Expression profiles: decks (n_decks, n_cards) and the three of every cell, (n_cells, 3) int."""
    generator = design.rng(seed, design.BASE_GENES)
    base = generator.lognormal(0, GENE_SPREAD, genes)
    base *= generator.permutation(genes) < EXPRESSED_GENES
    base *= design.rng(seed, design.PLATE_GENES, plate).lognormal(0, PLATE_SPREAD, genes)
    n_cards = 1 << max(10, (4 * genes).bit_length())
    decks, columns = [], []
    for stream, codes, spread in (
        (design.LINE_GENES, line, LINE_SPREAD),
        (design.MECHANISM_GENES, mechanism, EFFECT_SPREAD),
        (design.DRUG_GENES, drug, EFFECT_SPREAD),
    ):
        used, column = np.unique(np.maximum(codes, 0), return_inverse=True)
        columns.append(len(decks) + column)
        for code in used:
            profile = base * design.rng(seed, stream, code).lognormal(0, spread, genes)
            decks.append(_deck(profile, n_cards))
    return np.stack(decks), np.stack(columns, axis=1)


def _deck(weights, n_cards):
    """A deck of item numbers, each as often as its weight says: a draw is then one look-up.

    An item rarer than one card is not in it.
    """
    edges = np.cumsum(weights)
    edges = np.rint(edges * (n_cards / edges[-1])).astype(np.int64)
    items = np.arange(len(weights), dtype=np.min_scalar_type(len(weights)))
    return np.repeat(items, np.diff(edges, prepend=0))


def _place(decks, deck, bursts, genes, generator):
    """Draw the genes and sizes of `bursts` (n_cells, 3) from each cell's decks and add up by gene."""
    n_cards, total = decks.shape[1], int(bursts.sum())
    card = generator.integers(n_cards, size=total, dtype=np.uint32)
    card += np.repeat(np.uint32(n_cards) * deck.astype(np.uint32).ravel(), bursts.ravel())
    value = np.repeat(np.arange(len(deck), dtype=np.uint32) * np.uint32(genes), bursts.sum(axis=1))
    value += decks.ravel()[card]  # row * genes + gene
    value.sort()
    first = np.flatnonzero(np.diff(value, prepend=np.uint32(2**32 - 1)))
    sizes = _burst_sizes(total, generator)
    counts = np.add.reduceat(sizes, first) if total else sizes
    row, gene = np.divmod(value[first], np.uint32(genes))
    return np.bincount(row, minlength=len(deck)), gene.astype(np.int32), counts.astype(np.float32)


def _burst_sizes(n, generator):
    """(n,) uint16 from the logarithmic distribution, by a deck as well: ten times faster."""
    size = np.arange(1, 40)
    deck = 1 + _deck(BURST**size / size, 2**16).astype(np.uint16)
    return deck[generator.integers(len(deck), size=n, dtype=np.uint16)]
