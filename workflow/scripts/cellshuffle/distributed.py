"""Several processes that train one model: rank, world size and sums; one process by default."""

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
            rank, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
            if rank >= there:
                raise InputError(
                    f"training: world_size: {rank + 1} processes on this machine need a GPU each, "
                    f"PyTorch finds {there}"
                )
            torch.cuda.set_device(rank)
        dist.init_process_group("nccl" if on_gpu else "gloo")


def rank():
    return dist.get_rank() if dist.is_initialized() else 0


def world_size():
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_ranks(tensor):
    """Add up `tensor` over all processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


def sums(*numbers, device):
    """Whole numbers added up over all processes; at once where there is one."""
    if not dist.is_initialized():
        return numbers
    return sum_over_ranks(torch.tensor(numbers, device=device)).tolist()


def wait_for_all():
    """Return once every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def check_agreement(numbers, what, device):
    """Raise InputError unless all processes have the same whole numbers."""
    mine = torch.tensor(numbers, device=device)
    if not torch.equal(sum_over_ranks(mine.clone()), mine * world_size()):
        raise InputError(
            f"the processes do not see the same of {what}: is every file on a shared disk?"
        )


def gather_digests(digest):
    """The (n_bytes,) digest of every process, by rank."""
    if not dist.is_initialized():
        return [digest]
    mine = torch.tensor(list(digest), dtype=torch.uint8)
    if dist.get_backend() == "nccl":
        mine = mine.cuda()
    everyones = [torch.empty_like(mine) for _ in range(world_size())]
    dist.all_gather(everyones, mine)
    return [bytes(one.tolist()) for one in everyones]


def leave():
    if dist.is_initialized():
        dist.destroy_process_group()
