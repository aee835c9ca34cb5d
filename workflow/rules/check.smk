# The atlas is looked at before hours are spent on it.


CHECKED = f"{RUN}/checked.json"
# What is checked: see cellshuffle.inspection.atlas.check_atlas.
CHECK_REQUEST = {
    "plates": [
        {
            "plate": str(plate),
            "split": split,
            "source": source_path(plate),
            "packed": f"{PACKED}/plate{plate}.h5ad" if ATLAS["pack"] else None,
            "select": plate_selection(plate),
        }
        for split in ("train", "test")
        for plate in PLATES[split]
    ],
    "layer": ATLAS["layer"],
    "transform": config["training"]["transform"],
    "tasks": config["tasks"],
    "balance": balanced_labels(),
    "columns": [label for label in balanced_labels() if label not in TASKS],
    "max_cells": MAX_CELLS,
}

# Snakemake deletes the outputs of a job before it runs, so what a person put there has to be seen now.
checked(consistency.overwritten_plates(CHECK_REQUEST["plates"]))
if workflow.is_main_process:
    try:
        from cellshuffle.inspection import ownership
    except ImportError:  # Snakemake may run where only the rules' environments have h5py
        pass
    else:
        checked(ownership.not_packed(CHECK_REQUEST["plates"]))
        if ATLAS["simulate"]:
            checked(ownership.not_simulated(CHECK_REQUEST["plates"], DRUG_TABLE))


# Look at every plate and table, cheaply, and stop with all findings at once; the rest is for later rules.
rule check_input:
    input:
        plates=lambda wildcards: given(sorted({published_path(plate) for plate in SOURCES})),
        tables=lambda wildcards: given(lookup_tables()),
        genes=lambda wildcards: given(GENES_FILE),
    output:
        CHECKED,
    log:
        f"{RUN}/logs/check_input.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        # Since it takes `threads`, Snakemake does not compare it: other weights alone need no labels made again.
        request=lambda wildcards, threads: CHECK_REQUEST,
        deciding={
            key: CHECK_REQUEST[key] for key in CHECK_REQUEST if key not in ("balance", "columns")
        },
        stamps=[stamp(p) for p in [*map(published_path, SOURCES), *lookup_tables(), *GENES_FILE]],
    script:
        "../scripts/check_input.py"
