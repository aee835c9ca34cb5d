"""What `tune` and `compare: seen_fraction` ask for: more trainings, and train cells that are held out."""

SEEN_SEED = 0  # of the draw of the cells of `seen_fraction`


def tuned_trainings(config):
    """{strategy: {learning rate: name of its trainings}}; empty without `tune`.

    A training is named as its strategy where the rate is the strategy's own, which is trained anyway; else
    `<strategy>@<rate>`.
    """
    own = {
        name: entry.get("learning_rate", config["training"]["learning_rate"])
        for name, entry in config["strategies"].items()
    }
    rates = sorted(map(float, (config.get("tune") or {"learning_rate": []})["learning_rate"]))
    return {
        name: {rate: name if rate == own[name] else f"{name}@{rate}" for rate in rates}
        for name in own
        if rates
    }


def all_entries(config):
    """{name: entry} of all trainings: of the strategies, then of those that `tune` adds."""
    entries = dict(config["strategies"])
    for strategy, names in tuned_trainings(config).items():
        for rate, name in names.items():
            entries.setdefault(name, config["strategies"][strategy] | {"learning_rate": rate})
    return entries


def held_out_parts(config):
    """What is held out of the train cells, as atlas.held_out.held_out_cells takes it; empty for nothing."""
    parts, fraction = {}, config["compare"].get("seen_fraction")
    if config.get("tune"):
        validation = dict(config["tune"]["validation"])
        if "plates" in validation:
            parts["validation"] = {"plates": list(map(str, validation["plates"]))}
        else:
            parts["validation"] = {"fraction": validation["fraction"], "seed": validation.get("seed", 0)}
    if fraction is not None:
        parts["seen"] = {"fraction": fraction, "seed": SEEN_SEED}
    return {"plates": list(map(str, config["atlas"]["train_plates"])), **parts} if parts else {}
