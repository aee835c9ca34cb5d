"""What a training is asked to do."""

from dataclasses import dataclass


def granted_settings(ways, world_size):
    """({"threads", "prefetch", "checkpoint_minutes"}, workers) of each of a training's processes.

    ways: the rule's `ways`, `granted` threads for all processes of a node among them. `--cores 1`
    grants one thread where more were asked for; then batches are made between the steps.
    """
    granted = max(1, ways["granted"] * ways["nodes"] // world_size)
    threads = min(ways["threads"], granted)
    spare = granted - threads
    settings = {
        "threads": threads,
        "prefetch": ways["prefetch"] if spare else 0,
        "checkpoint_minutes": ways["checkpoint_minutes"],
    }
    return settings, min(ways["workers"], spare or granted)


@dataclass
class Settings:
    """What a training is asked to do; the names are those of the config."""

    strategy: str
    seed: int
    epochs: int
    batch_size: int
    fetch_factor: int
    learning_rate: float
    transform: str = "none"
    device: str = "auto"
    threads: int = 1
    prefetch: int = 32  # batches prepared ahead of the model
    checkpoint_minutes: float = 10
    world_size: int = 1  # processes that train the model together
