"""Training settings in proportion to the number of train cells: what to propose, what to warn of."""

import math

import numpy as np

from cellshuffle.loading.samplers import cells_per_epoch, loading_of, shuffles_fetches, training_of

SMALL_ATLAS = 5_000  # train cells below which minibatches are small too
FETCHES = 20  # an epoch should have at least so many
MAX_FETCH_SHARE = 0.1  # of the train cells in one fetch, beyond which it is a risk
STEPS = 4_000  # of the optimiser that a training should take, as the demo's does
MAX_EPOCHS = 100
# Adam moves a weight by about the learning rate a step, and initial weights are about 0.05.
MIN_DISTANCE = 0.05


def proposed(n_train):
    """{"batch_size", "fetch_factor", "epochs"} that make sense for so many train cells."""
    batch_size = 64 if n_train >= SMALL_ATLAS else 16
    fetch_factor = int(np.clip(n_train // (FETCHES * batch_size), 2, 16))
    epochs = min(MAX_EPOCHS, math.ceil(STEPS / math.ceil(max(n_train, 1) / batch_size)))
    return {"batch_size": batch_size, "fetch_factor": fetch_factor, "epochs": epochs}


def proportion_risks(n_train, strategies, training):
    """Sentences about fetches that are too large for so many train cells, and trainings too short.

    strategies, training: sections of the config.
    """
    texts = []
    large = {
        name: cells
        for name, entry in strategies.items()
        if (cells := math.prod(loading_of(entry, training).values())) > MAX_FETCH_SHARE * n_train
        and shuffles_fetches(entry)
    }
    if large:
        worst = max(large, key=large.get)
        better = proposed(n_train)
        advice = ""
        if better["batch_size"] * better["fetch_factor"] < large[worst]:
            advice = (
                f" For so few cells, try batch_size {better['batch_size']}, fetch_factor "
                f"{better['fetch_factor']}."
            )
        texts.append(
            f"A fetch (batch_size x fetch_factor, {large[worst]:,} cells) holds "
            f"{min(1, large[worst] / max(n_train, 1)):.0%} of the train cells in {worst}"
            f"{f' and {len(large) - 1} more' if len(large) > 1 else ''}: shuffled within it, cells come "
            f"nearly at random whatever the strategy.{advice}"
        )
    steps = {
        name: training_of(entry, training)["epochs"]
        * math.ceil(cells_per_epoch(entry, n_train) / loading_of(entry, training)["batch_size"])
        / training["world_size"]
        for name, entry in strategies.items()
    }
    own = {name: training_of(entry, training) for name, entry in strategies.items()}
    fewest = min(steps, key=lambda name: steps[name] * own[name]["learning_rate"])
    rate, epochs = own[fewest]["learning_rate"], own[fewest]["epochs"]
    distance = steps[fewest] * rate
    if 0 < distance < MIN_DISTANCE:
        epochs = math.ceil(2 * epochs * MIN_DISTANCE / distance)
        texts.append(
            f"A training of {fewest} takes {steps[fewest]:,.0f} steps, each of which moves a weight by "
            f"about the learning rate, {rate:g}: it may learn next to nothing. "
            f"Raise training: epochs to about {epochs:,}, or learning_rate."
        )
    return texts
