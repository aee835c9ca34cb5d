# Whether this machine takes what the run will write and hold, asked by messages.smk before the first job.
from cellshuffle.jobs import gpus, places


def largest_file():
    """Bytes of the largest file that the run will write: a packed plate, or a checkpoint."""
    if cached_config:
        return 0
    plates = sum(this_run.plates.values(), []) if ATLAS["pack"] else []
    sizes = [packed_mb(cells_of([plate])) * 1e6 for plate in plates]
    return max(sizes + [3 * 4 * most_weights()])


def machine_problems():
    """Lines on what this machine is too small for."""
    memory, training = places.machine_memory(), config["training"]
    if ATLAS["simulate"]:
        missing = [path for path in this_run.published if not os.path.exists(path)]
        yield from places.simulation_problems(ATLAS["simulate"], len(missing), ATLAS["dir"], memory)
    yield from places.draw_problems(config["strategies"], memory)
    if training["device"] == "cpu" or training["device"] == "auto" and not gpus.visible_gpus():
        yield from places.process_problems(
            training["world_size"] // training["nodes"], len(os.sched_getaffinity(0))
        )


def stop_on_places():
    """Stop with a line for everything that this machine does not take."""
    written_to = [".snakemake", RUN] + ([] if cached_config else [this_run.packed_folder])
    if ATLAS["simulate"] and not cached_config:
        written_to.append(ATLAS["dir"])
    found = list(places.place_problems(written_to, largest_file()))
    if not found and workflow.local_exec and not cached_config:
        found = list(machine_problems())
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    if found:
        sys.exit(1)
