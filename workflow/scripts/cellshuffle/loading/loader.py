"""The loader for one's own training: an IterableDataset of PyTorch over plates."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from scdataset import Streaming
from scdataset.strategy import SamplingStrategy
from torch.utils.data import IterableDataset, get_worker_info

from cellshuffle.atlas.plates import Plates
from cellshuffle.atlas.rows import Cells, no_rows
from cellshuffle.errors import InputError
from cellshuffle.loading.arguments import (
    check_ranks,
    check_sizes,
    described_sampler,
    device_of,
    is_gpu,
    own_codes,
    with_weights,
)
from cellshuffle.loading.forms import TRANSFORMS, form_of, on_device
from cellshuffle.loading.minibatches import check_sampler, fetch_order, read_batches
from cellshuffle.loading.passes import Passes, Position
from cellshuffle.loading.prefetch import by_process, by_thread, tensors_of

PREPARED_BYTES = 2**28  # of dense minibatches that are ready before their use


class Loader(IterableDataset):
    """Minibatches of the cells of plates, in the order of a sampler, in another order every epoch.

    Parameters
    ----------
    plates
        a `Plates`, or paths of h5ad files
    sampler
        an scDataset strategy, such as `sampler("BlockShuffling", block_size=1)`
    batch_size, fetch_factor
        cells of a minibatch; minibatches that are read at once
    seed
        decides, with the number of the epoch, the order
    form
        of `X`: "dense" (a float32 tensor), "csr" (`Rows` of NumPy arrays, values as they are stored) or
        "torch_csr" (a sparse CSR tensor, float32)
    transform
        None, "log1p", "cp10k_log1p" (counts per 10,000 of the genes read, then log1p), or a function
        that gets `X` in its form and returns what the minibatch shall have
    obs
        names of obs columns, or {name: (n_cells,) or (n_cells, k) array of your own codes}
    weights
        of a weighted sampler: (n_cells,) array, or {"balance": [obs columns], "min_count_baseline":
        1000} for the damped balance of their combinations
    where
        {obs column: value or values}: only cells that have them
    genes
        names of the genes to read, in the order wanted
    prefetch
        minibatches prepared ahead by a thread (dense ones no more than 256 MiB); 0 prepares none
    device
        where X and obs shall be. For a GPU a process prepares the minibatches, which get dense there
    drop_last
        leave out, at the end of an epoch, the minibatches that not all processes have whole
    rank, world_size
        of this process among those that share every epoch; by default those of
        `torch.distributed` where it is initialised

    Notes
    -----
    A minibatch is a `Cells`: `.X` of (batch, n_genes), `.obs["drug"]` ((batch,) int64 tensor, codes into
    `loader.classes["drug"]`) and `.cells` ((batch,) int64 array, numbers among the cells that are read). With
    `where` and `genes`, order and counts are those of an atlas of these cells and genes alone.

    Every cell comes once an epoch (weighted samplers draw), also with several processes, which take
    `len(loader)` steps each: those with fewer end with minibatches of no cells. So sum losses over cells and
    divide by the cells of all processes, or leave these minibatches out with `drop_last`.
    `DataLoader(loader, batch_size=None, num_workers=n)` yields the same minibatches in the same order for
    every n.

    `state_dict` and `load_state_dict` go on inside an epoch with the same minibatches, alone or through
    torchdata's `StatefulDataLoader`. Raises InputError for every argument that cannot be used.

    Examples
    --------
    >>> random = sampler("BlockShuffling", block_size=1)
    >>> loader = Loader([plate], random, batch_size=32, obs=["drug"])
    >>> len(loader), loader.classes["drug"]
    (2, ['d0', 'd1', 'd2', 'd3'])
    >>> for batch in loader:
    ...     print(batch.X.shape, batch.obs["drug"].shape)
    torch.Size([32, 20]) torch.Size([32])
    torch.Size([28, 20]) torch.Size([28])
    """

    def __init__(
        self,
        plates: Plates | Sequence[str | Path],
        sampler: object,
        *,
        batch_size: int = 64,
        fetch_factor: int = 16,
        seed: int = 0,
        form: str = "dense",
        transform: str | Callable | None = None,
        obs: Sequence[str] | dict | None = None,
        weights: np.ndarray | Sequence[float] | dict | None = None,
        where: dict | None = None,
        genes: Sequence[str] | None = None,
        prefetch: int = 32,
        device: str | torch.device | None = None,
        drop_last: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ):
        self.device = device_of(device)
        self.apart = is_gpu(self.device)  # a process prepares the minibatches
        check_sizes(batch_size=batch_size, fetch_factor=fetch_factor, seed=seed, prefetch=prefetch)
        if not isinstance(sampler, SamplingStrategy):
            raise InputError(
                f"sampler: {sampler!r} is no strategy of scDataset; cellshuffle.sampler makes one, such as "
                'sampler("BlockShuffling", block_size=1)'
            )
        if not isinstance(plates, Plates):
            plates = Plates(plates, random=not isinstance(sampler, Streaming))
        if not (obs is None or isinstance(obs, Iterable)):
            raise InputError(f"obs: {obs!r} is neither names of obs columns nor {{name: codes}}")
        columns = None if isinstance(obs, dict) else obs
        named = transform in TRANSFORMS if isinstance(transform, str) else False
        self.plates = plates.select(columns, where, genes, unique_genes=named)
        self.form = form_of(form, transform, self.plates.n_genes, self.device, self.apart)
        self.codes = own_codes(obs, self.plates) if isinstance(obs, dict) else self.plates.obs or {}
        self.classes = {} if isinstance(obs, dict) else self.plates.classes
        self.strategy = with_weights(sampler, weights, self.plates)
        check_sampler(self.strategy, self.plates)
        self.batch_size, self.fetch_factor, self.seed = batch_size, fetch_factor, seed
        self.prefetch, self.drop_last = prefetch, drop_last
        if form == "dense":
            room = PREPARED_BYTES // (4 * batch_size * self.plates.n_genes)
            self.prefetch = min(prefetch, max(1, room))
        self.ranks = rank, world_size
        check_ranks(*self.ranks_now())
        len(self)  # tells where drop_last leaves nothing
        self.passes, self.position = Passes(), None

    def __len__(self) -> int:
        """Steps an epoch, the same of every process."""
        if not self.drop_last:
            return self._steps(0)
        world_size = self.ranks_now()[1]
        steps = min(self._steps(rank, whole=True) for rank in range(world_size))
        if steps == 0:
            raise InputError(
                f"drop_last: {self.n_cells} cells are not a whole minibatch of {self.batch_size} for each of "
                f"{world_size} processes, which take turns at {self.batch_size * self.fetch_factor} cells: "
                "make batch_size or fetch_factor smaller"
            )
        return steps

    @property
    def n_cells(self) -> int:
        """Cells an epoch, of all processes together, with those that `drop_last` leaves out."""
        return self.strategy.get_len(self.plates)

    def __iter__(self) -> Iterator[Cells]:
        """The next epoch, or what is left of it after `load_state_dict`."""
        if self.apart and get_worker_info() is not None:
            raise InputError(
                f"device '{self.device}' has a process of its own that prepares minibatches: leave out "
                "DataLoader's num_workers, or leave out device and take batch.to(device)"
            )
        self.position, worker = self.passes.begin()
        first, step = self.position.next_of(worker), self.position.workers
        prefetch = self.prefetch if get_worker_info() is None else 0  # workers are ahead themselves
        with closing(self._batches(self.position.epoch, first, step, prefetch)) as batches:
            for batch in batches:
                if batch.X is not None:
                    self.position = self.position._replace(taken=self.position.taken + 1)
                    yield batch
        self.position = Position(self.position.epoch + 1)

    def epoch(self, number: int, first_batch: int = 0) -> Iterator[Cells]:
        """The minibatches of any epoch; those before `first_batch` with nothing but `cells`, and not read.

        This is for who keeps count himself: `set_epoch` and `state_dict` know nothing of it.
        """
        check_sizes(epoch=number, first_batch=first_batch)
        return self._batches(number, first_batch, 1, self.prefetch)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be this epoch, counted from 0; without it, each pass is the next epoch.

        A place inside this epoch that was loaded stays. Say it where PyTorch's seed is set anew, to the same
        number, before every pass of a DataLoader: its workers could not tell the passes apart.
        """
        check_sizes(epoch=epoch)
        self.passes.set_epoch(epoch)

    @property
    def sampler(self) -> "Loader":
        """The loader itself: Lightning calls `set_epoch` of the sampler of what it trains on."""
        return self

    batch_sampler = None  # as in a DataLoader without one, which Lightning asks where there is a sampler

    def state_dict(self) -> dict:
        """Where the loader stands, plain numbers and names: what was yielded so far is not yielded again."""
        if get_worker_info() is None and self.passes.by_workers():
            raise InputError(
                "state_dict: the workers of a DataLoader read the cells, and do not tell how far they are; "
                "those of torchdata's StatefulDataLoader do"
            )
        position = self.passes.next() if self.position is None else self.position
        return {"position": position._asdict(), "loader": self._described()}

    def load_state_dict(self, state: dict) -> None:
        """Let the next pass go on where another loader of the same arguments stood."""
        try:
            position, described = Position(**state["position"]), dict(state["loader"])
            check_sizes(**position._asdict())
        except (KeyError, TypeError, InputError):
            raise InputError(f"load_state_dict: {state!r} is not what state_dict gives") from None
        for name, value in self._described().items():
            if described.get(name) != value:
                raise InputError(
                    f"load_state_dict: the state is of a loader with {name} {described.get(name)}, this one "
                    f"has {value}"
                )
        self.position = None
        self.passes.resume(position)

    def ranks_now(self):
        """(rank, world size): those given, else those of torch.distributed."""
        known = dist.is_available() and dist.is_initialized()
        found = (dist.get_rank(), dist.get_world_size()) if known else (0, 1)
        return tuple(own if given is None else given for given, own in zip(self.ranks, found, strict=True))

    def __getstate__(self):
        """Workers are told the rank: torch.distributed is not initialised in all of them."""
        return self.__dict__ | {"ranks": self.ranks_now()}

    def _described(self):
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "fetch_factor": self.fetch_factor,
            "drop_last": self.drop_last,
            "world_size": self.ranks_now()[1],
            "number of cells": len(self.plates),
            **self._order,
        }

    @cached_property
    def _order(self):
        """What decides the order, for `_described`: once, since the checksums read all cells and weights."""
        return {
            "checksum of cells": self.plates.checksum(),
            "sampler": type(self.strategy).__name__,
            **described_sampler(self.strategy),
        }

    def _steps(self, rank, whole=False):
        """Minibatches that hold the cells of this rank's fetches; whole: that have `batch_size` cells."""
        n_cells, fetch = self.n_cells, self.batch_size * self.fetch_factor
        world_size = self.ranks_now()[1]
        last = (n_cells - 1) // fetch  # the only fetch that may not be full
        steps = len(range(rank, last + 1, world_size)) * self.fetch_factor
        if last % world_size == rank:
            rest = n_cells - last * fetch
            steps += (rest if whole else rest + self.batch_size - 1) // self.batch_size - self.fetch_factor
        return steps

    def _read(self, epoch, first, step):
        """(cells, Rows, {name: codes}) of the minibatches, empty ones at the end of shorter ranks."""
        rank, world_size = self.ranks_now()
        order = fetch_order(
            self.strategy,
            self.plates,
            self.batch_size,
            self.fetch_factor,
            self.seed,
            epoch,
            rank,
            world_size,
        )
        steps = len(self)
        wanted = min(first, steps) + len(range(first, steps, step))
        yield from islice(read_batches(self.plates, self.codes, order, first, step), wanted)
        filled = self._steps(rank)
        none = np.zeros(0, np.int64)
        for number in range(filled, steps):
            if number < first:
                yield none, None, None
            elif (number - first) % step == 0:
                rows = no_rows(self.plates.n_genes)
                yield none, rows, {name: array[:0].astype(np.int64) for name, array in self.codes.items()}

    def _batches(self, epoch, first, step, prefetch):
        """Cells of the minibatches, on the device, while up to `prefetch` more are prepared."""
        form, read = self.form, self._read(epoch, first, step)
        if self.apart and prefetch:
            yield from self._by_process(read, prefetch)
            return

        def finished(cells, ahead, codes):
            ahead = [on_device(part, self.device) for part in ahead] if self.apart else ahead
            obs = {name: on_device(array, self.device) for name, array in codes.items()}
            return Cells(form.finish(ahead), obs, cells)

        def prepared():
            for cells, rows, codes in read:
                if rows is None:
                    yield Cells(None, {}, cells)
                    continue
                ahead = cells, form.prepare(rows), codes
                yield ahead if self.apart else finished(*ahead)

        with closing(by_thread(prepared(), prefetch)) as batches:
            for batch in batches:
                yield batch if isinstance(batch, Cells) else finished(*batch)

    def _by_process(self, read, prefetch):
        """`_batches` of a GPU: what a process prepares is copied at once, and made into X there."""
        arrays = (
            [cells] if rows is None else [cells, *codes.values(), *self.form.prepare(rows)]
            for cells, rows, codes in read
        )
        with closing(by_process(arrays, prefetch)) as batches:
            for content, layout in batches:
                cells = tensors_of(content, layout[:1])[0].numpy()
                if len(layout) == 1:
                    yield Cells(None, {}, cells)
                    continue
                _, *tensors = tensors_of(content.to(self.device, non_blocking=True), layout)
                obs = dict(zip(self.codes, tensors, strict=False))
                yield Cells(self.form.finish(tensors[len(obs) :]), obs, cells)
