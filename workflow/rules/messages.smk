# What a run prints when it starts, ends and fails. `--quiet` and `--quiet all` silence all but failures, except
# under `make run`, which silences Snakemake, prints the end itself, and wants the rest printed here.
from snakemake.logging import logger

from cellshuffle.console import about_first
from cellshuffle.jobs import messages
from cellshuffle.jobs.preemption import requeue_preempted
from cellshuffle.training.launch import missing_slurm

under_make = "CELLSHUFFLE_SPEAKS" in os.environ

# What Snakemake raises is said once, in our words; its own log file keeps its own.
if workflow.is_main_process and not is_module and not workflow.output_settings.verbose:
    messages.speak_for_snakemake(logger)


def show(lines):
    """Print lines to the terminal; not in jobs of a cluster, which run Snakemake too."""
    if workflow.is_main_process:
        print("", *lines, "", sep="\n", file=sys.stderr, flush=True)


def is_quiet():
    """Whether to print nothing but failures."""
    if under_make:
        return False
    silenced = {str(part) for part in workflow.output_settings.quiet or ()}
    return "all" in silenced or {"progress", "rules"} <= silenced


def n_cells():
    """Cells in the plates of both splits, None while they are not known."""
    if ATLAS["simulate"]:
        return this_run.n_plates(sum(this_run.plates.values(), [])) * ATLAS["simulate"]["cells_per_plate"]
    try:
        from cellshuffle.planning.survey import matrix_shape

        return sum(matrix_shape(path, ATLAS["layer"])[0] for path in this_run.published)
    except Exception:  # a job will say what is wrong with the file
        return None


def named(wildcards):
    """{wildcard: value}, a plate by its own name instead of that of its file."""
    names = {part: plate for plate, part in this_run.file_names.items()}
    return {key: names.get(value, value) if key == "plate" else value for key, value in wildcards.items()}


def failed_jobs():
    """(rule, wildcards, log) of every job that failed for good."""
    failed = [part for job in workflow.scheduler.failed for part in getattr(job, "jobs", [job])]
    return [(job.rule.name, named(job.wildcards), next(iter(job.log), None)) for job in failed]


def is_from_before_records(job):
    """Whether a version without records made a job's files, as Snakemake remembers."""
    there = [path for path in job.output if os.path.exists(path)]
    recorded = os.path.exists(records.record_path(job.log[0])[1] or "")
    return bool(there) and not recorded and all(map(workflow.persistence.rule, there))


def obstacles():
    """Lines about what keeps the jobs that will run from running; looked for before the first of them."""
    jobs = list(workflow.dag.needrun_jobs())
    if {"train", "train_linear"} & {job.rule.name.removeprefix("cellshuffle_") for job in jobs}:
        yield from filter(None, [missing_slurm(config["training"]["nodes"])])
    foreign = []
    for job in jobs:
        # Tables are part of cached results, and may be made again from their scores.
        cached = cached_config and job.rule.name.endswith(("gather", "compare"))
        if job.log and not cached and not is_from_before_records(job):
            foreign += records.not_made_here(job.output or job.params.get("writes", []), job.log[0])
        if has_h5py and "simulate_" in job.rule.name:
            foreign += [path for path in job.output if os.path.exists(path) and ownership.is_edited(path)]
    yield from about_first(
        foreign,
        "no job of this run made this file, or it was changed since, and the run would overwrite it; move it "
        "away, or delete it to make it again",
    )


onstart:
    if workflow.is_main_process:
        # A job that fails does not stop those that do not depend on it.
        workflow.scheduler.keepgoing = True
        stop_on_places()
    if workflow.is_main_process and workflow.executor_plugin.name == "slurm":
        requeue_preempted(workflow.workdir_init)
    rules_to_run = [job.rule.name for job in workflow.dag.needrun_jobs()]
    if workflow.is_main_process:  # the jobs of a cluster have another terminal
        stop_on(obstacles(), advice="nothing was begun")
        messages.announce_trainings(
            RUN,
            sum(rule in ("train", "train_linear") for rule in rules_to_run) if workflow.local_exec else 0,
        )
    if not is_quiet() and set(rules_to_run) != {"plan"}:
        n_plates = sum(map(len, this_run.plates.values()))
        show(messages.start_lines(RUN, config, n_plates, n_cells(), rules_to_run))


onsuccess:
    rules_of_targets = {job.rule.name for job in workflow.dag.jobs}
    if not is_quiet() and not under_make and rules_of_targets != {"plan"}:
        show(messages.end_lines(RUN, rules_of_targets))


onerror:
    show(messages.failure_lines(failed_jobs(), seen=workflow.local_exec))
