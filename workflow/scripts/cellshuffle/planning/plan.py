"""What a run will cost on this machine: disk, memory and time, and what can go wrong first."""

import shutil
from pathlib import Path

import numpy as np

from cellshuffle.atlas.direct import memory_limit
from cellshuffle.atlas.obs import where_words
from cellshuffle.configuration.tuning import tuned_trainings
from cellshuffle.loading.samplers import cells_per_epoch, is_labelled, is_weighted, training_of
from cellshuffle.packing.format import packed_size
from cellshuffle.phrasing import duration, join_words
from cellshuffle.planning.proportions import proportion_risks

DAY = 86_400
# An epoch's order is made before its first batch: seconds a training cell, measured at 95 million.
ORDER_SECONDS, WEIGHTED_ORDER_SECONDS = 1e-7, 2e-7
# Seconds on top of the work itself: a job starts Python and its libraries; tables and figures are drawn.
JOB_SECONDS, DRAWING_SECONDS = 3, 30


def plan(survey, rates, config, memory_mb, folder, cores, threads):
    """Costs of a run as a dict of numbers; bytes and seconds.

    survey: a Survey; rates: see calibration.calibrate, and under "disk" see disk.disk_limits; config: the
    whole configuration, `prefetch` decided; memory_mb: {strategy: what a training job asks for}; folder:
    where packed plates go; cores: given to the run; threads: of one training. Trainings run side by side on
    the CPU, where they share the disk, one after the other on a GPU.
    """
    training, strategies = config["training"], config["strategies"]
    seeds, tuned = len(training["seeds"]), tuned_trainings(config)
    trainings = {name: len({name, *tuned.get(name, {}).values()}) for name in strategies}  # of each seed
    on_cpu, with_linear = rates["device"] == "cpu", "train_linear" in rates
    n_trainings = seeds * (sum(trainings.values()) + len(strategies) * with_linear)
    jobs = max(1, min(cores // threads, n_trainings)) if on_cpu else 1
    costs, linear = {}, 0
    for name, entry in strategies.items():
        disk = _disk_rate(rates, name)
        rate, epoch = _epoch(survey, rates, name, entry, training, jobs)
        epochs = training_of(entry, training)["epochs"]
        one_training = epochs * epoch
        if with_linear:
            linear += seeds * epochs * _epoch(survey, _of_linear(rates), name, entry, training, jobs)[1]
        costs[name] = {
            "cells_per_second": rate,
            "loading": min(rates["load"][name], disk),
            "paced_by": _pacer(rates["train"], rates["load"][name], disk / jobs),
            "epoch": epoch,
            "training": one_training,
            "seeds": trainings[name] * seeds * one_training,
            "memory": 1e6 * memory_mb[name],
        }
    n_jobs = n_trainings + len(strategies) + len(survey.files)
    pack = survey.to_pack / rates["pack"] / cores if config["atlas"]["pack"] else 0
    train = (sum(cost["seeds"] for cost in costs.values()) + linear) / jobs
    existing = next(part for part in (Path(folder), *Path(folder).parents) if part.exists())
    return {
        "strategies": costs,
        "jobs_at_once": jobs,
        "trainings": n_trainings,
        "pack": pack,
        "linear": linear / jobs,
        "total": pack + train,
        "overhead": DRAWING_SECONDS + JOB_SECONDS * n_jobs / cores,
        "disk": packed_bytes(survey) if config["atlas"]["pack"] else 0,
        "disk_free": shutil.disk_usage(existing).free,
        "memory": max(cost["memory"] for cost in costs.values()),
        "machine_memory": memory_limit(),
    }


def _epoch(survey, rates, name, entry, training, jobs):
    """(cells a second of training, seconds of an epoch with its test) of a strategy; jobs: at once."""
    draws = cells_per_epoch(entry, survey.cells["train"])
    pace = _pace(rates, name, training["prefetch"]) * training["world_size"]
    rate = min(pace, _disk_rate(rates, name) / jobs)
    order = WEIGHTED_ORDER_SECONDS if is_weighted(entry) or is_labelled(entry) else ORDER_SECONDS
    train_seconds = draws / rate + order * survey.cells["train"]
    tested = min(rates["train"], _disk_rate(rates) / jobs)
    return rate, train_seconds + survey.cells["test"] / max(tested, 1)


def _of_linear(rates):
    """The rates of the linear model that is trained beside one with hidden layers."""
    return rates | {"train": rates["train_linear"]}


def _disk_rate(rates, name=None):
    """Cells a second that the disk gives in a strategy's order, or one after the other; inf from memory."""
    disk = rates.get("disk")
    if not disk or not disk["source"]:
        return np.inf
    return disk["in_order"] if name is None else disk["load"][name]


def _pacer(train, load, disk):
    """What sets the pace of a training: the slowest of the three."""
    if train <= min(load, disk):
        return "model"
    return "disk" if disk < load else "loading"


def _pace(rates, name, prefetch):
    """Cells a second of a training; prefetch: batches that are prepared ahead of the model."""
    train, load = rates["train"], rates["load"][name]
    if prefetch:  # the slower of the two sets the pace
        return min(train, load)
    # One after the other; the rate of training has been measured with loading in order.
    return 1 / (1 / train + max(0, 1 / load - 1 / rates["in_order"]))


def packed_bytes(survey):
    """Disk that the plates not packed yet will take."""
    return packed_size(survey.to_pack, survey.to_pack * survey.nonzeros, survey.n_genes)


def risks(survey, costs, config, device):
    """Sentences about what can go wrong, the worst first."""
    texts = [f"The run will be refused: {problem}" for problem in survey.problems]
    if costs["disk"] > costs["disk_free"]:
        otherwise = ", or pack: false (slower)" if survey.can_be_unpacked else ""
        texts.append(
            f"The disk is too small: packing needs {size(costs['disk'])}, {size(costs['disk_free'])} "
            f"are free. Set atlas: packed_dir to another disk{otherwise}."
        )
    if costs["jobs_at_once"] * costs["memory"] > costs["machine_memory"]:
        texts.append(
            f"{costs['jobs_at_once']} training(s) at once ask for {size(costs['memory'])} of memory each, "
            f"this machine has {size(costs['machine_memory'])}. Give fewer --cores, or --resources mem_mb=..."
        )
    texts += survey.notes
    slow = {n: c["training"] for n, c in costs["strategies"].items() if c["training"] > DAY}
    if slow:
        worst = max(slow, key=slow.get)
        texts.append(
            f"{len(slow)} of {len(costs['strategies'])} strategies take more than a day a training "
            f"here, {worst} {long_duration(slow[worst])}. Use a GPU or a cluster, or a pilot: "
            "atlas: max_train_cells."
        )
    for task, classes in survey.unseen.items():
        if classes:
            names = join_words(classes[:3]) + (" ..." if len(classes) > 3 else "")
            texts.append(
                f"{len(classes)} of {survey.n_classes[task]} classes of {task} are in the test split "
                f"alone ({names}): no strategy can learn them."
            )
    if survey.cells["train"]:
        texts += proportion_risks(survey.cells["train"], config["strategies"], config["training"])
    if config["training"]["device"] == "cuda" and device == "cpu":
        texts.append(
            "The configuration asks for a GPU and this machine has none: the times are those of its CPU."
        )
    counts, baseline = survey.combinations, config["weights"]["min_count_baseline"]
    if counts is not None and len(counts) > 1 and baseline > 2 * counts.max():
        texts.append(
            f"weights: min_count_baseline {baseline:g} is far above the commonest combination "
            f"({counts.max():,} cells), so the weighted strategies hardly balance anything; "
            f"try {max(1, int(np.median(counts))):,}."
        )
    return texts


def size(n_bytes):
    """`845 GB`, `70 MB`: three figures."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{n_bytes / 1e6:.3g} MB"


def long_duration(seconds):
    """As phrasing.duration, in days where hours are too many."""
    return f"{seconds / DAY:.3g} days" if seconds >= 2 * DAY else duration(seconds)


def many(number):
    """`95.6 million`, `26,000`."""
    return f"{number / 1e6:.1f} million" if number >= 1e7 else f"{number:,}"


def lines(survey, costs, config, rates):
    """The plan as lines of text for a terminal."""
    packed, seeds = config["atlas"]["pack"], len(config["training"]["seeds"])
    sizes = ", ".join(f"{task} {n:,} classes" for task, n in survey.n_classes.items())
    yield f"Plan of run {config['run']}, nothing has been started"
    for problem in survey.problems:
        yield f"THE RUN WILL BE REFUSED: {problem}"
    yield ""
    chosen = f", with {where_words(config['atlas']['where'])}" if config["atlas"].get("where") else ""
    cells = [many(survey.cells[split]) for split in ("train", "test")]
    yield f"cells         {cells[0]} to train on, {cells[1]} to test on{chosen}"
    yield f"genes         {survey.n_genes:,}, about {survey.nonzeros:,.0f} values a cell ({survey.source})"
    yield f"tasks         {sizes}"
    yield f"combinations  {_combinations(survey)}"
    if packed:
        need = f"{size(costs['disk'])} for packed plates" if survey.to_pack else "plates are packed"
        yield f"disk          {need}, {size(costs['disk_free'])} free"
    yield f"memory        {_memory(costs)}"
    yield ""
    if config.get("tune"):
        tried = len(config["tune"]["learning_rate"])
        yield f"tuning        {costs['trainings']:,} trainings: every strategy at {tried} learning rates"
    yield from _table(costs["strategies"], "all rates" if config.get("tune") else _seeds(seeds), rates)
    yield ""
    if rates.get("disk"):
        yield f"reading       {reading(rates['disk'])}"
    if packed and survey.to_pack:
        yield f"packing       {long_duration(costs['pack'])}"
    if costs["linear"]:
        linear = long_duration(costs["linear"])
        yield f"linear model  {linear} of the total; compare: linear: false leaves it out"
    yield (
        f"total         {long_duration(costs['total'])} on this machine's "
        f"{'CPU' if rates['device'] == 'cpu' else 'GPU'}, plates read from "
        f"{_source(rates)}; a slow{'er' if _source(rates) == 'the disk' else ''} disk makes it longer"
    )
    yield f"beside it     {long_duration(costs['overhead'])} to start the jobs and draw the figures"
    largest, *others = risks(survey, costs, config, rates["device"]) or ["none seen"]
    yield f"largest risk  {largest}"
    for risk in others:
        yield f"also          {risk}"


def _memory(costs):
    """What trainings ask for, and how many of them run at a time."""
    jobs = costs["jobs_at_once"]
    at_once = f"{jobs} trainings run at a time" if jobs > 1 else "one training runs at a time"
    machine = size(costs["machine_memory"])
    return f"{size(costs['memory'])} a training, {at_once}; this machine has {machine}"


def _seeds(number):
    return f"{number} seed{'s' * (number > 1)}"


def _table(strategies, all_trainings, rates):
    """Lines on what every strategy costs, and what sets the pace: the slower of model and loading."""
    heads = ("loading/s", "cells/s", "paced by", "an epoch", "a training", all_trainings)
    yield f"{'strategy':<24}" + "".join(f"{head:>12}" for head in heads)
    for name, cost in strategies.items():
        times = "".join(f"{long_duration(cost[k]):>12}" for k in ("epoch", "training", "seeds"))
        speeds = f"{cost['loading']:>12,.0f}{cost['cells_per_second']:>12,.0f}"
        yield f"{name:<24}{speeds}{cost['paced_by']:>12}{times}"
    yield (
        f"loading/s: cells that are read alone in that order, from {_source(rates)}; cells/s: trained on; an "
        "epoch: all train cells, then all test cells."
    )
    if all(cost["paced_by"] == "model" for cost in strategies.values()):
        load = [cost["loading"] for cost in strategies.values()]
        yield (
            "The model, not loading, sets the pace of all strategies; loading alone would reach "
            f"{min(load):,.0f} to {max(load):,.0f} cells/s."
        )


def _source(rates):
    return "memory" if _disk_rate(rates) == np.inf else "the disk"


def reading(disk):
    """A sentence on where the cells are read from, of disk.disk_limits."""
    larger = f"{size(disk['packed'])} of packed train cells are more than the memory, {size(disk['memory'])}"
    if not disk["source"]:
        return (
            f"{larger}, but the file system of the packed plates has no reads past the page cache, so its "
            "disk could not be measured: reading takes longer than this plan says"
        )
    return (
        f"{larger}, so they are read from the disk at every epoch: {disk['reads']:,.0f} random reads of a "
        f"cell's {disk['read_bytes'] / 1000:.2g} kB a second and {disk['bytes'] / 1e9:.2g} GB/s in order, "
        f"measured by direct reads {disk['source']}. On a cluster, or with atlas: scratch, the jobs may read "
        "from another disk"
    )


def _combinations(survey):
    counts = survey.combinations
    if counts is None:
        return f"at most {survey.possible_combinations:,}; counted once the plates are there"
    if not len(counts):
        return "none"
    return (
        f"{len(counts):,} in the train cells, of {counts.min():,} (the rarest) to "
        f"{counts.max():,} cells (the commonest)"
    )
