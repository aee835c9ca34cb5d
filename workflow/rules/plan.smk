# What a run will cost, before it is started.
from types import SimpleNamespace


# Count cells and classes, time the real code for some seconds, and print the plan: `make plan CONFIG=...`.
rule plan:
    log:
        "<run>/logs/plan.log",
    localrule: True
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=cells_mem_mb,
        runtime=tiny_runtime,
    params:
        config=config,
        request=this_run.check_request(),
        packed=this_run.packed_folder,
        linear=bool(LINEAR),
        writes=[f"{RUN}/loading.csv"],  # which is no output: each plan measures anew
        memory_mb={name: train_mem_mb(SimpleNamespace(strategy=name), 1) for name in STRATEGIES},
        threads=train_threads(),
        cores=lambda wildcards: workflow.cores or os.cpu_count(),
    script:
        "../scripts/plan.py"
