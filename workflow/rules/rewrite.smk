# What a store costs that is shuffled once, when it is written, as strategies with such an order suppose.


# Write train cells once more in the order of the store, and remove the file: seconds are measured, cells kept nowhere.
rule rewrite:
    input:
        train=plate_paths("train"),
    output:
        "<run>/rewrite.csv",
    log:
        "<run>/logs/rewrite.log",
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        **{key: this_run.reading()[key] for key in ("max_cells", "layer", "where")},
        fingerprint=fingerprint_of("rewrite"),
        strategy=REWRITTEN_ORDER,
    script:
        "../scripts/rewrite.py"
