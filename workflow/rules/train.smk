# One training per strategy and seed.


# Train on the cells in the order of one strategy and test after every epoch; resumes where it was stopped.
rule train:
    input:
        unpack(weights_of),
        unpack(order_of),
        train=plate_paths("train"),
        test=plate_paths("test"),
        classes="<run>/labels/classes.json",
        train_labels="<run>/labels/train.npy",
        test_labels="<run>/labels/test.npy",
    output:
        metrics="<run>/train/{strategy}/seed{seed}/metrics.json",
        history="<run>/train/{strategy}/seed{seed}/history.csv",
        predictions="<run>/train/{strategy}/seed{seed}/predictions.npz",
        model="<run>/train/{strategy}/seed{seed}/model.pt",
    log:
        "<run>/logs/train/{strategy}/seed{seed}.log",
    benchmark:
        "<run>/benchmarks/train/{strategy}/seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: train_threads()
    resources:
        **train_nodes(),
        mem_mb=train_mem_mb,
        runtime=train_runtime,
        disk_mb=train_disk_mb,
        gpu=train_gpu,
    params:
        fingerprint=lambda wildcards: fingerprint_of("train", wildcards.items()),
        recipe=training_recipe,
        plates=cells_in_order,
        execution=training_execution,
    script:
        "../scripts/train.py"


# The same of the linear model, where the run's has hidden layers: is the ranking of strategies the same?
if LINEAR:

    use rule train as train_linear with:
        output:
            metrics="<run>/train_linear/{strategy}/seed{seed}/metrics.json",
            history="<run>/train_linear/{strategy}/seed{seed}/history.csv",
            predictions="<run>/train_linear/{strategy}/seed{seed}/predictions.npz",
            model="<run>/train_linear/{strategy}/seed{seed}/model.pt",
        log:
            "<run>/logs/train_linear/{strategy}/seed{seed}.log",
        benchmark:
            "<run>/benchmarks/train_linear/{strategy}/seed{seed}.tsv"
        params:
            fingerprint=lambda wildcards: fingerprint_of("train_linear", wildcards.items()),
            recipe=linear_recipe,
            plates=cells_in_order,
            execution=training_execution,
