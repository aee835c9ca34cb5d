"""The files of a run: plates, lookup tables, packed plates, and what decides whether they are made again."""

import os
from pathlib import Path

from cellshuffle.atlas.names import file_name
from cellshuffle.atlas.stamps import stamp
from cellshuffle.configuration.schema import balanced_labels
from cellshuffle.configuration.tuning import all_entries, held_out_parts, tuned_trainings


class Run:
    """Paths and plates of a run, from its completed configuration; no file is read.

    A plate has its name everywhere but in paths: file_names has what stands for it in those of packed plates
    and of rules, published_names what stands for it in the configuration and in `plate_file`.

    folder, packed_folder: where results and packed plates go. plates: {split: names of its plates}; with
    `atlas: split` every published plate is packed twice, as <plate>-train and <plate>-test. published: files
    of the plates in the order of the configuration, each once. gene_list: the file of `atlas: genes` or
    `align` in a list, which is empty without one. lookup_tables: files that tasks look their classes up in.
    order_files: {strategy: file that has its order}. labelled: tasks that leave out the cells without a
    label; selecting_tables: their lookup tables, and that of held-out combinations; tables: all of these.
    drug_table: where that of a simulated atlas goes; sizes: of the simulated atlas; simulates_parquet:
    whether it is one of Parquet files, with simulated_tables beside them. max_cells: {split: cells or None}.
    where: {obs column: value or values} of the cells that the run reads, None: all. entries, tuned, held_out:
    see tuning.all_entries, tuned_trainings and held_out_parts.
    """

    def __init__(self, config):
        self.config, atlas = config, config["atlas"]
        self.atlas, self.divided = atlas, bool(atlas["split"])
        self.folder = f"results/{config['run']}"
        self.packed_folder = os.path.normpath(atlas["packed_dir"] or f"{self.folder}/packed")
        self.plates = {split: atlas.get(f"{split}_plates") or [] for split in ("train", "test")}
        published = map(self._published_path, self.plates["train"] + self.plates["test"])
        self.published = list(dict.fromkeys(published))
        names, self.published_names, self.file_names = self.plates, {}, {}
        if self.divided:
            names = dict.fromkeys(self.plates, self.plates["train"])
            self.plates = {split: [f"{name}-{split}" for name in names[split]] for split in self.plates}
        for split, plates in self.plates.items():
            for plate, name in zip(plates, names[split], strict=True):
                self.published_names[str(plate)] = str(name)
                self.file_names[str(plate)] = file_name(name) + (f"-{split}" if self.divided else "")
        listed = atlas["align"] if atlas["align"] not in ("none", "intersection", "union") else None
        self.gene_list = [path for path in (atlas["genes"], listed) if path]
        lookups = [task["lookup"] for task in config["tasks"].values() if task.get("lookup")]
        self.lookup_tables = sorted({lookup["table"] for lookup in lookups})
        self.labelled = {name: t for name, t in config["tasks"].items() if t["missing"] == "drop"}
        lookups = [task["lookup"] for task in self.labelled.values() if task.get("lookup")]
        self.selecting_tables = sorted({lookup["table"] for lookup in lookups})
        held_out = [atlas["split"]["table"]] if self.divided and "table" in atlas["split"] else []
        self.tables, self.selecting_tables = self.lookup_tables + held_out, self.selecting_tables + held_out
        self.order_files = {s: e["path"] for s, e in config["strategies"].items() if "path" in e}
        self.drug_table = str(Path(atlas["dir"], "drug_metadata.csv"))
        self.sizes = {k: v for k, v in (atlas["simulate"] or {}).items() if k != "form"}
        self.simulates_parquet = bool(atlas["simulate"]) and atlas["simulate"]["form"] == "parquet"
        self.simulated_tables = [
            str(Path(atlas["dir"], "metadata", f"{name}_metadata.parquet"))
            for name in ("gene", "drug", "sample")
            if self.simulates_parquet
        ]
        self.where = atlas["where"]
        self.max_cells = {split: atlas[f"max_{split}_cells"] for split in self.plates}
        self.balanced_labels = balanced_labels(config)
        self.entries, self.tuned = all_entries(config), tuned_trainings(config)
        self.held_out = held_out_parts(config)
        tasks = config["tasks"]
        self.balanced_columns = [label for label in self.balanced_labels if label not in tasks]

    def _published_path(self, name):
        return str(Path(self.atlas["dir"], self.atlas["plate_file"].format(plate=name)))

    def n_plates(self, plates):
        """How many published plates these are, of which each may be in both splits."""
        return len({self.published_names[str(plate)] for plate in plates})

    def plate_of(self, part):
        """The plate of a value of file_names, which is the wildcard `plate` of rules."""
        return next(plate for plate, own in self.file_names.items() if own == part)

    def source_path(self, plate):
        """The published file that holds the cells of a plate of a split."""
        return self._published_path(self.published_names[str(plate)])

    def packed_path(self, plate):
        return f"{self.packed_folder}/plate{self.file_names[str(plate)]}.h5ad"

    def plate_paths(self, split):
        """The files that labels and training read, packed or published, in the order of the cells."""
        path_of = self.packed_path if self.atlas["pack"] else self.source_path
        return [path_of(plate) for plate in self.plates[split]]

    def reading(self):
        """How the training reads its cells, for code that does the same in the folder of the results."""
        paths = self.plate_paths("train")
        return {
            "plates": [self._from_folder(path) for path in paths],
            "orders": {name: self._from_folder(path) for name, path in self.order_files.items()},
            "max_cells": self.max_cells["train"],
            "layer": None if self.atlas["pack"] else self.atlas["layer"],
            "where": self.where,
            "transform": self.config["training"]["transform"],
        }

    def _from_folder(self, path):
        return path if os.path.isabs(path) else os.path.relpath(path, self.folder)

    def selection(self, plate, beside=None):
        """The cells and genes of the source file that packing keeps: see labels.lookup.with_tables.

        beside: the files whose genes decide to which list plates are brought, None: all that are published.
        """
        selection = {"genes": self.atlas["genes"]}
        if self.atlas["gene_column"]:
            selection["gene_column"] = self.atlas["gene_column"]
        if self.atlas["align"] != "none":
            selection["align"] = {
                "to": self.atlas["align"],
                "plates": self.published if beside is None else beside,
            }
        if self.divided:
            side = str(plate).rpartition("-")[2]
            split = self.atlas["split"]
            if "columns" in split:
                kept = ("columns", "table") if "table" in split else ("columns", "fraction", "seed")
            else:
                kept = split.keys() - (("train", "ignore") if "fraction" in split else ())
            selection["split"] = {k: v for k, v in split.items() if k in kept} | {"side": side}
        if self.atlas["plate_column"]:
            value = self.published_names[str(plate)]
            selection["plate"] = {"column": self.atlas["plate_column"], "value": value}
        if self.labelled:
            selection["labelled"] = self.labelled
        return selection

    def stamp(self, path):
        """[size, modification time] of a person's file, so that another in its place is noticed.

        None for a file that is not there, or that a simulated atlas does not need.
        """
        if self.atlas["simulate"] or not os.path.exists(path):
            return None
        return stamp(path)

    def packed_from(self, plate, beside=None):
        """What a packed plate is made from, as packing.origin.origin takes it; beside: see `selection`."""
        return {
            "layer": self.atlas["layer"],
            "select": self.selection(plate, beside),
            "stamp": self.stamp(self.source_path(plate)),
        }

    def origins(self):
        """`packed_from` of every packed plate, train plates first; empty where nothing is packed."""
        plates = self.plates["train"] + self.plates["test"] if self.atlas["pack"] else []
        return [self.packed_from(plate) for plate in plates]

    def order_stamps(self, strategies):
        """{strategy: stamp of its order file} of those of the strategies that have one."""
        return {
            s: stamp(path) if os.path.exists(path) else None
            for s, path in self.order_files.items()
            if s in strategies
        }

    def cell_order(self):
        """What decides which cell is which: {split: [[path, stamp of a published plate], ...]}.

        A parameter of rules, since Snakemake compares input files as a set, and by time alone.
        """
        packed = self.atlas["pack"]
        return {
            split: [[path, None if packed else self.stamp(path)] for path in self.plate_paths(split)]
            for split in self.plates
        }

    def check_request(self):
        """What the check of the input looks at: see inspection.atlas.check_atlas."""
        request = {
            "plates": [
                {
                    "plate": str(plate),
                    "split": split,
                    "source": self.source_path(plate),
                    "packed": self.packed_path(plate) if self.atlas["pack"] else None,
                    "select": self.selection(plate),
                }
                for split, plates in self.plates.items()
                for plate in plates
            ],
            "layer": self.atlas["layer"],
            "transform": self.config["training"]["transform"],
            "tasks": self.config["tasks"],
            "balance": self.balanced_labels,
            "columns": self.balanced_columns,
            "max_cells": self.max_cells,
            "where": self.where,
        }
        if (
            self.order_files
        ):  # without, what was checked before such files were known need not be checked again
            request["orders"] = {"files": self.order_files, "epochs": self.config["training"]["epochs"]}
        return request
