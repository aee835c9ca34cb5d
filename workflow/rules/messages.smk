# What a run says when it starts, ends and fails. `--quiet` and `--quiet all` silence all but failures, except
# under `make run`, which silences Snakemake, speaks itself at the end, and wants the rest in these words.
from cellshuffle.jobs import messages
from cellshuffle.jobs.preemption import requeue_preempted

UNDER_MAKE = "CELLSHUFFLE_SPEAKS" in os.environ


def say(lines):
    """Print to the terminal; jobs of a cluster, which run Snakemake too, say nothing of the kind."""
    if workflow.is_main_process:
        print("", *lines, "", sep="\n", file=sys.stderr, flush=True)


def is_quiet():
    """Whether only failures are to be told."""
    if UNDER_MAKE:
        return False
    kinds = {str(kind) for kind in workflow.output_settings.quiet or ()}
    return "all" in kinds or {"progress", "rules"} <= kinds


def rules_to_run():
    """Rule of every job that will run."""
    return [job.rule.name for job in workflow.dag.needrun_jobs()]


def cells_there():
    """Cells of the plates of both splits, None while they are not known."""
    if ATLAS["simulate"]:
        return sum(map(len, PLATES.values())) * ATLAS["simulate"]["cells_per_plate"]
    try:
        from cellshuffle.planning.survey import matrix_shape

        files = {published_path(plate) for plate in SOURCES}
        return sum(matrix_shape(path, ATLAS["layer"])[0] for path in files)
    except Exception:  # a job will say what is wrong with the file
        return None


def failed_jobs():
    """(rule, wildcards, log) of every job that failed for good."""
    failed = [part for job in workflow.scheduler.failed for part in getattr(job, "jobs", [job])]
    return [
        (job.rule.name, dict(job.wildcards.items()), next(iter(job.log), None)) for job in failed
    ]


onstart:
    if workflow.is_main_process:  # under this name the SLURM plugin submits all jobs of a run
        requeue_preempted(getattr(workflow.scheduler._executor, "run_uuid", None))
    todo = rules_to_run()
    if not is_quiet() and set(todo) != {"plan"}:
        say(
            messages.start_lines(
                RUN, config, sum(map(len, PLATES.values())), cells_there(), todo
            )
        )


onsuccess:
    if not is_quiet() and not UNDER_MAKE and os.path.exists(f"{RUN}/comparison.md"):
        say(messages.end_lines(RUN))


onerror:
    say(messages.failure_lines(failed_jobs()))
