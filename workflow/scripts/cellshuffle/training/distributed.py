"""Several processes that train one model: rank, world size and sums; one process by default."""

import hashlib
import os

import torch
import torch.distributed as dist

from cellshuffle.errors import InputError


def join(device):
    """Enter the process group that torchrun describes in the environment, if it does.

    Raises InputError where there are more processes than GPUs.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and not dist.is_initialized():
        on_gpu = device == "cuda"
        if on_gpu:
            rank, n_gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
            if rank >= n_gpus:
                raise InputError(
                    f"training: world_size: {rank + 1} processes on this machine need a GPU each, "
                    f"PyTorch finds {n_gpus}"
                )
            torch.cuda.set_device(rank)
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")


def rank():
    return dist.get_rank() if dist.is_initialized() else 0


def world_size():
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_ranks(tensor):
    """Add up `tensor` over all processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


def sums(*numbers):
    """Whole numbers added up over all processes, at once where there is one; no GPU is waited for."""
    if not dist.is_initialized():
        return numbers
    return sum_over_ranks(torch.tensor(numbers)).tolist()


def wait_for_all():
    """Return once every process has come here."""
    sums(0)


def check_agreement(numbers, what):
    """Raise InputError unless all processes have the same whole numbers."""
    local = torch.tensor(numbers)
    if not torch.equal(sum_over_ranks(local.clone()), local * world_size()):
        raise InputError(f"the processes do not see the same of {what}: is every file on a shared disk?")


def combined_digest(order):
    """Hexadecimal SHA-256 of the order of cells; of several processes, that of theirs joined by rank."""
    if world_size() == 1:
        return order.hexdigest()
    local = torch.tensor(list(order.digest()), dtype=torch.uint8)
    gathered = [torch.empty_like(local) for _ in range(world_size())]
    dist.all_gather(gathered, local)
    joined = "".join(bytes(one.tolist()).hex() for one in gathered)
    return hashlib.sha256(joined.encode()).hexdigest()


def leave():
    if dist.is_initialized():
        dist.destroy_process_group()
