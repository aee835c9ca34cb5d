# From published plates to packed ones, which can be memory-mapped.
from cellshuffle.console import about_first
from cellshuffle.packing.format import FORMAT

if ATLAS["pack"] and workflow.is_main_process and has_h5py:
    from cellshuffle.packing.origin import by_other_code, outdated

    for path, line in outdated(packed_plates()):
        OUTDATED.add(path)
        if line:
            print(line, file=sys.stderr)
    packed = [
        path for path in map(this_run.packed_path, sum(this_run.plates.values(), [])) if path not in OUTDATED
    ]
    advice = "was packed before the code in cellshuffle/packing was edited, and is used as it is; delete it to pack it again"
    for line in about_first(list(by_other_code(packed)), advice):
        print(f"warning: {line}", file=sys.stderr)


# Packing waits for the check of the input, but a check that is made again must not pack every plate again, nor may a
# run that finds the packed plates of another one. So packing depends on an empty file beside the packed plates, made
# when the first check has passed. Once the file exists, the rule that makes it is left out: of jobs behind one that
# runs, Snakemake does not look at settings that have changed. Labels depend on the check itself.
if not os.path.exists(f"{this_run.packed_folder}/checked"):

    rule pass_check:
        input:
            "<run>/checked.json",
        output:
            touch("<packed>/checked"),
        localrule: True


# Rewrite a plate, uncompressed and contiguous, with the cells and genes that the configuration keeps.
rule pack_plate:
    input:
        ancient("<packed>/checked"),
        plate=lambda wildcards: make_outdated_again()
        or existing([this_run.source_path(this_run.plate_of(wildcards.plate))]),
        genes=lambda wildcards: existing(this_run.gene_list),
        tables=lambda wildcards: existing(this_run.selecting_tables),
    output:
        "<packed>/plate{plate}.h5ad",
    log:
        "<run>/logs/pack_plate/{plate}.log",
    benchmark:
        "<run>/benchmarks/pack_plate/{plate}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=pack_mem_mb,
        runtime=pack_runtime,
        disk_mb=pack_disk_mb,
    params:
        format=FORMAT,
        # Of plates brought to one list of genes the list counts, not which plates it comes from.
        compared=lambda wildcards: this_run.packed_from(this_run.plate_of(wildcards.plate), beside=[]),
        aligned=lambda wildcards: aligned_genes() and aligned_genes().digest(),
        # Since they take `threads`, Snakemake does not compare these.
        made_from=lambda wildcards, threads: this_run.packed_from(this_run.plate_of(wildcards.plate)),
        plate=lambda wildcards, threads: this_run.plate_of(wildcards.plate),
        genes=[this_run.stamp(path) for path in this_run.gene_list + this_run.selecting_tables],
    script:
        "../scripts/pack_plate.py"
