"""A compact grid of block sizes and fetch factors -> strategies."""


def expand(sweep, prefixes):
    """{"block_size": [1, 4], "fetch_factor": [1, 16], "samplers": [...]} -> entries of `strategies`.

    prefixes: {sampler: how the names of its strategies begin}. Returns {} for no sweep.
    """
    if not sweep:
        return {}
    return {
        f"{prefixes[sampler]}_b{block}_f{fetch}": {
            "sampler": sampler,
            "block_size": block,
            "fetch_factor": fetch,
        }
        for sampler in sweep["samplers"]
        for block in sweep["block_size"]
        for fetch in sweep["fetch_factor"]
    }


def is_swept(entry):
    """Whether a strategy belongs to the heat maps: it has a block size and a fetch factor of its own."""
    return "block_size" in entry and "fetch_factor" in entry
