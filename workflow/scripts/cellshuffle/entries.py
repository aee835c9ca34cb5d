"""What an entry of `strategies` says, without the samplers themselves: figures need no scDataset."""

LOADING = ("batch_size", "fetch_factor")  # keys of an entry that are not the sampler's


def is_weighted(entry):
    """Whether the sampler draws cells by their weights."""
    return entry["sampler"] == "BlockWeightedSampling"


def is_sequential(entry):
    """Whether the sampler reads the cells of the atlas in order."""
    return entry["sampler"] == "Streaming"


def loading_of(entry, training):
    """{"batch_size", "fetch_factor"}: the entry's own, else those of the config's training section."""
    return {name: entry.get(name, training[name]) for name in LOADING}
