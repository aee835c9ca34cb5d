# The atlas is checked before hours are spent on it.

# Snakemake deletes the outputs of a job before it runs, so files of a person in their place have to be found now.
plates_to_check = this_run.check_request()["plates"]
stop_on(consistency.overwritten_plates(plates_to_check))
if workflow.is_main_process and has_h5py:
    from cellshuffle.inspection import ownership

    stop_on(ownership.not_packed(plates_to_check))
    if ATLAS["simulate"]:
        stop_on(ownership.not_simulated(plates_to_check, this_run.drug_table, this_run.simulated_tables))


# Check every plate and table by cheap reads, and stop with all findings at once.
rule check_input:
    input:
        plates=lambda wildcards: make_outdated_again() or existing(this_run.published),
        tables=lambda wildcards: existing(this_run.tables),
        genes=lambda wildcards: existing(this_run.gene_list),
        orders=lambda wildcards: order_files(STRATEGIES),
    output:
        "<run>/checked.json",
    log:
        "<run>/logs/check_input.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        **CELLS,
    params:
        # Since it takes `threads`, Snakemake does not compare it: other weights alone need no labels made again.
        request=lambda wildcards, threads: this_run.check_request(),
        fingerprint=fingerprint_of("check_input"),
        stamps=STAMPS,
    script:
        "../scripts/check_input.py"
