# What a job asks for: memory (MB), time (minutes), disk (MB), threads, GPUs; from the number of cells
# and genes that it reads. Snakemake calls every function with the number of the attempt, from 1: a job
# that failed, was cancelled or ran out of time asks for half as much again each time, at most twice the
# first request. docs/cluster.md says how the constants were measured.
from cellshuffle.packing.format import packed_size

# Plates that are not on this disk yet are assumed to be Tahoe-100M's: cells of the largest one and of
# the average one, genes, classes of the four tasks, bytes a cell (gzip-compressed h5ad) on disk, which
# is also assumed for a plate that cannot be opened.
LARGEST_PLATE, MEAN_PLATE = 10_500_000, 6_830_000
GENES, CLASSES = 62_710, 461
CHUNKED_BYTES = 3_300
NONZEROS_PER_GENE = 2_100 / 62_710  # of a cell

# Measured rates, cells a second; of training at 62,710 genes and a batch of 64.
PACK_RATE = 5_000
TRAIN_RATE_CPU, TRAIN_RATE_GPU = 1_000, 50_000
READ_RATE = 50_000  # labels and weights: obs columns only
# Measured peaks: MB of Python with the libraries of the rule; bytes a training cell of order and labels.
BASE_MB, TRAIN_BASE_MB, PACK_MB = 500, 450, 1_000
# Not measured: what the libraries of CUDA and the process that prepares batches take in addition.
GPU_MB = 2_500
ORDER_BYTES, WEIGHTED_ORDER_BYTES = 32, 64
HELD_OUT_BYTES = 20  # numbers, rows and labels of the train cells that are left; computed, not measured
# Of a weight: itself, its gradient, Adam's two moments, and half as much while a checkpoint is written and batches
# are at hand. Measured: peaks of 266 MiB at 2,000 genes and 123 classes, 383 at 20,000 and 200, 924 at 62,710 and
# 461, for which 455, 546 and 1,144 MB are asked.
WEIGHT_BYTES = 24

# Hidden layers are counted by their weights, to which a step's time is in proportion.

# A simulated plate: megabytes of work arrays, cells a second.
SIMULATED_BLOCK_MB, SIMULATED_CELLS_PER_SECOND = 500, 2_000

# `cuda` asks for a GPU; `auto` only where `--resources gpu=...` gives their number, since what other nodes
# have is not known here.
on_gpu = config["training"]["device"] == "cuda" or (
    config["training"]["device"] == "auto" and "gpu" in workflow.resource_settings.resources
)


@functools.cache
def shape_of(path, unknown):
    """(cells, genes) of a published plate: read, or estimated from its size; without a file, `unknown` cells."""
    if not os.path.exists(path):
        return unknown, GENES
    try:
        from cellshuffle.planning.survey import matrix_shape

        return matrix_shape(path, ATLAS["layer"])
    except Exception:  # no h5py beside Snakemake, or a file of which a job will say what is wrong
        return os.path.getsize(path) // CHUNKED_BYTES, GENES


def n_genes():
    """Genes of a cell."""
    if ATLAS["simulate"]:
        return ATLAS["simulate"]["genes"]
    if aligned_genes():
        return len(aligned_genes().names)
    return shape_of(this_run.source_path(this_run.plates["train"][0]), MEAN_PLATE)[1]


@functools.cache
def n_classes():
    """Classes of all tasks together; Tahoe-100M's where counting them would need the cells."""
    paths = {this_run.source_path(plate) for plates in this_run.plates.values() for plate in plates}
    if ATLAS["simulate"] or not all(map(os.path.exists, paths)):
        return CLASSES
    try:
        from cellshuffle.planning.survey import count_classes

        return count_classes(paths, config["tasks"])
    except Exception:  # columns of text, or a file of which a job will say what is wrong
        return CLASSES


def n_weights(hidden):
    """Weights of a model over all its layers; hidden: units of each hidden layer."""
    sizes = [n_genes(), *hidden, n_classes()]
    return sum(inputs * outputs for inputs, outputs in zip(sizes, sizes[1:]))


def most_weights():
    """Weights of the larger of the models that the run trains."""
    return max(n_weights(HIDDEN), n_weights([]) * bool(LINEAR))


def cells_of(plates, unknown=MEAN_PLATE):
    """Cells of the files of these plates together, as simulated or as they are."""
    if ATLAS["simulate"]:
        return this_run.n_plates(plates) * ATLAS["simulate"]["cells_per_plate"]
    files = {this_run.source_path(plate) for plate in plates}
    return sum(shape_of(path, unknown)[0] for path in files)


def all_cells():
    """Train and test cells of the run together."""
    if ATLAS["split"]:  # both halves come from the same files
        return cells_of(this_run.plates["train"])
    return sum(
        min(cells_of(plates), this_run.max_cells[split] or float("inf"))
        for split, plates in this_run.plates.items()
    )


def for_attempt(amount, attempt):
    """The amount of the first attempt, half of it more for each later one, at most twice as much."""
    return int(amount * min(1 + (attempt - 1) / 2, 2)) + 1


def packed_mb(cells):
    """Size of packed plates of this many cells."""
    return packed_size(cells, cells * n_genes() * NONZEROS_PER_GENE, n_genes()) / 1e6 + 1


def simulated_mem_mb(wildcards, attempt):
    """One block of cells and the expression profiles (32 bytes a gene each), not the plate."""
    sizes = ATLAS["simulate"]
    profiles = sizes["cell_lines"] + sizes["drugs"] // 4 + 30
    return attempt * (SIMULATED_BLOCK_MB + sizes["genes"] * profiles * 32 // 10**6)


def simulated_runtime(wildcards, attempt):
    """Minutes."""
    n_plates = this_run.n_plates(sum(this_run.plates.values(), [])) if this_run.simulates_parquet else 1
    return attempt * (5 + n_plates * ATLAS["simulate"]["cells_per_plate"] // SIMULATED_CELLS_PER_SECOND // 60)


def tiny_mem_mb(wildcards, attempt):
    """Rules that read results, not cells."""
    return for_attempt(BASE_MB, attempt)


def tiny_runtime(wildcards, attempt):
    return for_attempt(10, attempt)


def pack_mem_mb(wildcards, attempt):
    """A window of one plate, however large the plate."""
    return for_attempt(PACK_MB, attempt)


def pack_runtime(wildcards, attempt):
    return for_attempt(
        10 + cells_of([this_run.plate_of(wildcards.plate)], LARGEST_PLATE) / PACK_RATE / 60, attempt
    )


def pack_disk_mb(wildcards, attempt):
    return for_attempt(packed_mb(cells_of([this_run.plate_of(wildcards.plate)], LARGEST_PLATE)), 1)


def cells_mem_mb(wildcards, attempt):
    """Rules that hold a few numbers of every cell: labels, weights, diversity."""
    return for_attempt(BASE_MB + all_cells() * WEIGHTED_ORDER_BYTES / 1e6, attempt)


def cells_runtime(wildcards, attempt):
    return for_attempt(10 + all_cells() / READ_RATE / 60, attempt)


def diversity_runtime(wildcards, attempt):
    """The order of an epoch of every strategy, one after the other."""
    return for_attempt(10 + len(STRATEGIES) * all_cells() / READ_RATE / 60, attempt)


def cells_disk_mb(wildcards, attempt):
    return for_attempt(all_cells() * WEIGHTED_ORDER_BYTES / 1e6, 1)


# What most rules ask for.
TINY = {"mem_mb": tiny_mem_mb, "runtime": tiny_runtime, "disk_mb": 100}
CELLS = {"mem_mb": cells_mem_mb, "runtime": cells_runtime, "disk_mb": cells_disk_mb}


def train_mem_mb(wildcards, attempt):
    """Libraries, order and labels of every cell; weights, gradients and Adam's two moments."""
    entry = this_run.entries[wildcards.strategy]
    weighted = samplers.is_weighted(entry) or samplers.is_labelled(entry)
    order = all_cells() * (WEIGHTED_ORDER_BYTES if weighted else ORDER_BYTES)
    order += all_cells() * HELD_OUT_BYTES * bool(this_run.held_out)
    process = TRAIN_BASE_MB + on_gpu * GPU_MB + (order + most_weights() * WEIGHT_BYTES) / 1e6
    return for_attempt(process * config["training"]["world_size"], attempt)


def train_runtime(wildcards, attempt):
    """Every epoch sees the train cells, then the test cells; a job that is cut short resumes."""
    rate = TRAIN_RATE_GPU if on_gpu else TRAIN_RATE_CPU * max(GENES / n_genes(), 1)
    rate /= max(most_weights() / n_weights([]), 1)
    epochs = samplers.training_of(this_run.entries[wildcards.strategy], config["training"])["epochs"]
    seconds = all_cells() * epochs / rate
    return for_attempt(15 + 1.5 * seconds / 60, attempt)


def train_disk_mb(wildcards, attempt):
    """Model and checkpoints; on a node with `atlas.scratch`, the plates as well."""
    staged = packed_mb(all_cells()) if ATLAS["scratch"] else 0
    return for_attempt(staged + 5 * most_weights() * 4 / 1e6, 1)


def train_gpu(wildcards):
    """GPUs of a training job: one a process where the configuration trains on GPUs."""
    return int(on_gpu) * config["training"]["world_size"]


def train_threads():
    """Threads of a training job on each of its nodes."""
    world_size, packed = config["training"]["world_size"], ATLAS["pack"]
    # None on a cluster, unless the profile limits them, and for commands that start no jobs.
    cores = None if on_gpu else workflow.resource_settings.cores
    trainings = (len(this_run.entries) + len(STRATEGIES) * len(LINEAR)) * len(SEEDS)
    execution = Execution.from_config(config).decided(trainings, cores, world_size, packed)
    return execution.threads_per_node(world_size, packed)


def train_nodes():
    """Nodes of a training job, where it has more than one; SLURM counts tasks where no GPU is asked for."""
    nodes = config["training"]["nodes"]
    if nodes == 1:
        return {}
    return {"nodes": nodes} if on_gpu else {"nodes": nodes, "tasks": nodes}
