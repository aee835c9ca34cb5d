# From published plates to plates that can be memory-mapped.
from cellshuffle.packing.format import FORMAT

if ATLAS["pack"] and workflow.is_main_process:
    try:
        from cellshuffle.packing.origin import pack_outdated_again
    except ImportError:  # Snakemake may run where only the rules' environments have h5py
        pass
    else:
        for line in pack_outdated_again(PACKED, PLATES["train"] + PLATES["test"]):
            print(line, file=sys.stderr)


# The atlas was checked. Packing waits for this file in the folder of the packed plates, which runs may share: were it
# a file of the run, every run would pack for itself. Once it stands there is no such rule: of all jobs behind one that
# runs, Snakemake sees no other reason to run than an input that is being made too, and would overlook that, say, the
# training's settings have changed. Labels, which training needs, wait for every check.
if not os.path.exists(f"{PACKED}/checked"):

    localrules:
        pass_check,

    rule pass_check:
        input:
            ancient(CHECKED),
        output:
            touch(f"{PACKED}/checked"),


localrules:
    note_plate,


# A plate, or what is kept of it, has changed: that one is packed again. The check of the input is `ancient` to
# packing, so that one plate's change does not pack all of them again; what decides that it is made again is noted in
# this file, which is not behind the check.
rule note_plate:
    input:
        plate=lambda wildcards: given(source_path(wildcards.plate)),
        genes=lambda wildcards: given(GENES_FILE),
    output:
        touch(f"{PACKED}/plate{{plate}}.noted"),
    params:
        layer=ATLAS["layer"],
        select=lambda wildcards: plate_selection(wildcards.plate),
        stamp=lambda wildcards: stamp(source_path(wildcards.plate)),
        genes=lambda wildcards: [stamp(path) for path in GENES_FILE],


# Rewrite a plate, uncompressed and contiguous, with the cells and genes that the config keeps.
rule pack_plate:
    input:
        ancient(f"{PACKED}/checked"),
        f"{PACKED}/plate{{plate}}.noted",
        plate=lambda wildcards: given(source_path(wildcards.plate)),
        genes=lambda wildcards: given(GENES_FILE),
    output:
        f"{PACKED}/plate{{plate}}.h5ad",
    log:
        f"{RUN}/logs/pack_plate/{{plate}}.log",
    benchmark:
        f"{RUN}/benchmarks/pack_plate/{{plate}}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=pack_mem_mb,
        runtime=pack_runtime,
        disk_mb=pack_disk_mb,
    params:
        format=FORMAT,
        layer=ATLAS["layer"],
        select=lambda wildcards: plate_selection(wildcards.plate),
        stamp=lambda wildcards: stamp(source_path(wildcards.plate)),
        genes=lambda wildcards: [stamp(path) for path in GENES_FILE],
    script:
        "../scripts/pack_plate.py"
