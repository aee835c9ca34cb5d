# A simulated atlas with the plate design of Tahoe-100M, where no real one is at hand.
SIMULATED_FROM = TABLE_FROM = SIMULATED_PLATES = None
if this_run.simulates_parquet:
    SIMULATED_PLATES = sorted({int(name.removeprefix("plate")) for name in this_run.published_names.values()})
if has_h5py:
    from cellshuffle.inspection.ownership import simulated_from
    from cellshuffle.simulation.design import made_from

    SIMULATED_FROM = made_from(this_run.sizes, SIMULATED_PLATES)
    TABLE_FROM = made_from(this_run.sizes)
    if workflow.is_main_process:
        wanted = dict.fromkeys(this_run.published, SIMULATED_FROM) | {this_run.drug_table: TABLE_FROM}
        there = filter(os.path.exists, wanted)
        OUTDATED.update(path for path in there if simulated_from(path) != wanted[path])


if this_run.simulates_parquet:

    # All plates, as Hugging Face has Tahoe-100M.
    rule simulate_parquet:
        input:
            lambda wildcards: make_outdated_again(),
        output:
            cells=directory(str(Path(ATLAS["dir"], ATLAS["plate_file"]))),
            tables=this_run.simulated_tables,
        log:
            "<run>/logs/simulate_parquet.log",
        benchmark:
            "<run>/benchmarks/simulate_parquet.tsv"
        conda:
            "../../envs/data.yaml"
        threads: 1
        resources:
            mem_mb=simulated_mem_mb,
            runtime=simulated_runtime,
        params:
            fingerprint=SIMULATED_FROM,
            sizes=this_run.sizes,
            plates=SIMULATED_PLATES,
        script:
            "../scripts/simulate_parquet.py"

else:

    # One plate, as published plates are written: CSR counts in gzip-compressed chunks.
    rule simulate_plate:
        input:
            lambda wildcards: make_outdated_again(),
        output:
            str(Path(ATLAS["dir"], ATLAS["plate_file"])),
        log:
            "<run>/logs/simulate_plate/{plate}.log",
        benchmark:
            "<run>/benchmarks/simulate_plate/{plate}.tsv"
        conda:
            "../../envs/data.yaml"
        threads: 1
        resources:
            mem_mb=simulated_mem_mb,
            runtime=simulated_runtime,
        params:
            fingerprint=SIMULATED_FROM,
            sizes=this_run.sizes,
        script:
            "../scripts/simulate_plate.py"


# The drug table, with the columns of the dataset's authors.
rule simulate_drug_metadata:
    output:
        this_run.drug_table,
    log:
        "<run>/logs/simulate_drug_metadata.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        fingerprint=TABLE_FROM,
        sizes=this_run.sizes,
    script:
        "../scripts/simulate_drug_metadata.py"
