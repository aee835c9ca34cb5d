"""What an order of cells is like, without training: its coverage, its measures, a figure."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from cellshuffle.analysis.order_measures import OrderMeasures
from cellshuffle.atlas.obs import class_names, encode
from cellshuffle.configuration.consistency import inconsistencies
from cellshuffle.configuration.reading import read_config
from cellshuffle.configuration.run import Run
from cellshuffle.errors import InputError
from cellshuffle.labels.codes import plate_labels
from cellshuffle.labels.lookup import read_lookups, with_tables
from cellshuffle.loading.coverage import coverage
from cellshuffle.loading.minibatches import cell_order
from cellshuffle.loading.orders import PlateSizes
from cellshuffle.loading.samplers import sampler_of, strategy_schemas, sweep_prefixes
from cellshuffle.packing.origin import check_origin, origin

SCHEMA = Path(__file__).parents[1] / "configuration" / "config.schema.yaml"
OF_GENES = {"genes", "gene_column", "align"}  # keys of Run.selection that choose genes, and no cells
# What the order is compared with.
BESIDE = {
    "file order": {"sampler": "Streaming"},
    "random order": {"sampler": "BlockShuffling", "block_size": 1},
}


def audit(order: str | Path, atlas: str | Path, figure: str | Path | None = None) -> str:
    """Look at a recorded order of the train cells of an atlas; returns what is to be said of it.

    order: a `.npy` of cell numbers, see `OrderFile`; atlas: a configuration, of whose train plates the
    labels are read; figure: where to draw it (.svg, .pdf or .png), nothing is drawn where it is None.
    Raises InputError for an order or a configuration that cannot be used.
    """
    config = whole_config(atlas)
    run, batch_size = Run(config), config["training"]["batch_size"]
    names, codes, sizes = labels_of(run)
    covered = coverage(order, int(sizes.sum()))
    entries = {Path(order).name: {"sampler": "OrderFile", "path": str(order)}} | BESIDE
    plates = SimpleNamespace(names=list(map(str, run.plates["train"])), sizes=sizes)
    found = {name: _looked_at(entry, codes, plates, batch_size) for name, entry in entries.items()}
    if figure is not None:
        _draw(figure, config, entries, found, names, codes)
    lines = [
        f"order   {order}: {covered.words()}",
        f"atlas   {sizes.sum():,} train cells on {len(sizes)} plates; minibatches of {batch_size}",
        "",
        *_table({name: measures for name, (_, measures) in found.items()}),
    ]
    return "\n".join(lines + ([f"\nfigure  {figure}"] if figure is not None else []))


def whole_config(path):
    """A configuration that a run would accept, with its defaults; InputError says what is wrong with it."""
    try:
        from cellshuffle.configuration import schema
    except ModuleNotFoundError as error:
        raise InputError(f"an audit needs {error.name}: pip install 'cellshuffle[audit]'") from None
    config, known = read_config(path), schema.load_schema(SCHEMA, strategy_schemas(), sweep_prefixes())
    problems = list(schema.schema_problems(config, known))
    if not problems:
        schema.fill_defaults(config, known)
        schema.tidy_paths(config)
        problems = list(inconsistencies(config))
    if problems:
        raise InputError("\n".join(f"{path}: {problem}" for problem in problems))
    return config


def labels_of(run):
    """({label: class names}, {label: (n_train,) codes}, (n_plates,) cells) of the balanced labels."""
    tasks = {name: run.config["tasks"].get(name, {"column": name}) for name in run.balanced_labels}
    pairs = plate_labels(plates_of(run), tasks, run.max_cells["train"], run.where)
    names = {task: class_names(parts) for task, parts in pairs.items()}
    codes = {task: np.concatenate(list(encode(pairs[task], names[task]))) for task in tasks}
    return names, codes, np.array([len(part) for part, _ in next(iter(pairs.values()))])


def plates_of(run):
    """The train plates: packed ones, or published ones where they hold the same cells."""
    plates = run.plates["train"]
    packed = [run.packed_path(plate) for plate in plates] if run.atlas["pack"] else []
    if packed and all(Path(path).exists() for path in packed):
        lookups = read_lookups(run.config["tasks"])
        for plate, path in zip(plates, packed, strict=True):
            made_of = run.packed_from(plate)
            check_origin(path, origin(**made_of | {"select": with_tables(made_of["select"], lookups)}))
        return packed
    chosen = {key for plate in plates for key, value in run.selection(plate).items() if value}
    if chosen - OF_GENES:
        raise InputError(
            "the configuration selects cells while packing, and the plates are not packed yet: run it first, "
            "or its rule pack_plate alone (snakemake --until pack_plate)"
        )
    return [run.source_path(plate) for plate in plates]


def _looked_at(entry, codes, plates, batch_size):
    """(tables of `diversity_tables`, table of measures) of an order."""
    import pandas as pd

    from cellshuffle.analysis.diversity import diversity_tables

    sampler, cells = sampler_of(entry), PlateSizes(plates.sizes)
    n_batches = -(-sampler.get_len(cells) // batch_size)
    measures = OrderMeasures(codes, np.cumsum(plates.sizes), n_batches)
    order = measures.watch(cell_order(sampler, cells, batch_size, 16, seed=0, epoch=0))
    matrix = np.stack(list(codes.values()), axis=1)
    n_classes = tuple(int(column.max()) + 1 for column in matrix.T)
    table = pd.DataFrame({"plate": plates.names, "n_cells": plates.sizes})
    return diversity_tables(order, matrix, list(codes), n_classes, table, n_batches), measures.table()


def _table(measures):
    """Lines of the measures, a column an order."""
    from cellshuffle.report.orders import measure_name

    first = next(iter(measures.values()))
    words = [measure_name(row) for row in first.to_dict("records")]
    width, widths = max(map(len, words)), [max(12, len(name) + 2) for name in measures]
    yield " " * width + "".join(f"{name:>{w}}" for name, w in zip(measures, widths, strict=True))
    for k, line in enumerate(words):
        values = (f"{table['value'][k]:>{w}.3f}" for table, w in zip(measures.values(), widths, strict=True))
        yield f"{line:<{width}}" + "".join(values)


def _draw(path, config, entries, found, names, codes):
    """The figure `why` of these orders, without scores."""
    import pandas as pd

    try:
        from cellshuffle.report.figures import style, why
    except ModuleNotFoundError as error:
        raise InputError(f"a figure needs {error.name}: pip install 'cellshuffle[audit]'") from None
    counts = pd.DataFrame({name: np.array(classes)[codes[name]] for name, classes in names.items()})
    results = SimpleNamespace(
        strategies=list(entries),
        config=config | {"strategies": entries, "weights": {"balance": list(codes)}},
        entropy={name: tables[0] for name, (tables, _) in found.items()},
        plates={name: tables[1] for name, (tables, _) in found.items()},
        combinations=counts.groupby(list(names), sort=False).size().rename("count").reset_index(),
        headline_task=None,
    )
    with style.figure_style():
        style.save(why.draw(results), [path])
