"""The forms in which a loader hands over the counts of a minibatch."""

import warnings

import numpy as np
import torch

from cellshuffle.errors import InputError

TRANSFORMS = ("log1p", "cp10k_log1p")


def transformed(rows, transform):
    """(nnz,) float32 values of CSR rows: as they are, log1p, or counts per 10,000 then log1p."""
    values = rows.data.astype(np.float32)
    if transform in (None, "none"):
        return values
    if transform == "cp10k_log1p":
        count = np.diff(rows.indptr)
        total = np.zeros(len(count))
        cell = np.repeat(np.arange(len(count)), count)
        total += np.bincount(cell, weights=values, minlength=len(count))
        values *= np.repeat(1e4 / np.maximum(total, 1e-12), count).astype(np.float32)
    return np.log1p(values, out=values)


def form_of(name, transform, n_genes, device, apart):
    """The form of this name. A form has two methods.

    `prepare(rows)` does what can be done ahead of the batch's use, in a thread or, for a GPU, in a process,
    for which it returns arrays. `finish(prepared)` makes of this, or of these arrays as tensors on the
    device, what the batch has. Raises InputError for what there is not.
    """
    if hasattr(name, "prepare"):
        return name
    if name not in list(FORMS):
        raise InputError(f"form: there is no {name!r}; there are {', '.join(FORMS)}")
    if not (transform in (None, "none", *TRANSFORMS) or callable(transform)):
        raise InputError(
            f"transform: there is no {transform!r}; there are {', '.join(TRANSFORMS)}, or a function"
        )
    if name == "csr" and apart:
        raise InputError(
            f"form 'csr' is of NumPy arrays, which are not on {device}; take 'dense' or 'torch_csr'"
        )
    own, named = (transform, None) if callable(transform) else (None, transform)
    form = DeviceDense if name == "dense" and apart else FORMS[name]
    return Then(form(named, n_genes), own) if own else form(named, n_genes)


class Csr:
    """Rows of NumPy arrays; values as they are stored, or float32 where they are transformed."""

    def __init__(self, transform, n_genes):
        self.transform, self.n_genes = transform, n_genes

    def prepare(self, rows):
        if self.transform not in (None, "none"):
            rows.data = transformed(rows, self.transform)
        return rows

    def finish(self, prepared):
        return prepared


class Dense(Csr):
    """A (batch, n_genes) float32 tensor, filled on the CPU."""

    def prepare(self, rows):
        return torch.from_numpy(super().prepare(rows).dense())


class TorchCsr(Csr):
    """A (batch, n_genes) sparse CSR tensor of float32."""

    def __init__(self, transform, n_genes):
        super().__init__(transform, n_genes)
        with warnings.catch_warnings():  # torch says once in a process that these tensors are new
            warnings.simplefilter("ignore")
            self.finish(
                [torch.zeros(1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32), torch.zeros(0)]
            )

    def prepare(self, rows):
        arrays = (
            rows.indptr.astype(np.int32),
            rows.indices.astype(np.int32),
            transformed(rows, self.transform),
        )
        return list(arrays)

    def finish(self, prepared):
        indptr, indices, values = map(torch.as_tensor, prepared)
        shape = len(indptr) - 1, self.n_genes
        return torch.sparse_csr_tensor(indptr, indices, values, shape, check_invariants=False)


class DeviceDense(Csr):
    """A (batch, n_genes) float32 tensor: CSR travels to the device as it is stored and gets dense there."""

    def prepare(self, rows):
        return csr_arrays(rows)

    def finish(self, prepared):
        return dense_on_device(prepared, self.transform, self.n_genes)


class Then:
    """Another form, and a function of a user after it."""

    def __init__(self, form, function):
        self.form, self.function, self.prepare = form, function, form.prepare

    def finish(self, prepared):
        X = self.function(self.form.finish(prepared))
        if X is None:
            raise InputError("transform: the function returned None for a minibatch; it must return its X")
        return X


FORMS = {"dense": Dense, "csr": Csr, "torch_csr": TorchCsr}


def csr_arrays(rows):
    """[values, gene indices, values a row] of types that torch has, for `dense_on_device`."""
    genes = rows.indices if rows.indices.dtype == np.uint16 else rows.indices.astype(np.int32)
    return [_copyable(rows.data), _copyable(genes), np.diff(rows.indptr)]


def dense_on_device(tensors, transform, n_genes):
    """(batch, n_genes) float32 of the tensors of `csr_arrays`; sizes are known, so the host never waits."""
    data, genes, lengths = map(_widened, tensors)
    cells = torch.repeat_interleave(lengths, output_size=len(genes))
    width = n_genes + -n_genes % 4  # as the weight's `padded`: rows of the matrix begin aligned
    dense = torch.zeros(len(lengths), width, device=data.device)
    dense.view(-1).scatter_add_(0, cells.mul_(width).add_(genes), data.float())
    dense = dense[:, :n_genes]
    if transform == "cp10k_log1p":
        dense *= 1e4 / dense.sum(dim=1, keepdim=True).clamp_min(1e-12)
    return dense if transform in (None, "none") else dense.log1p_()


def _copyable(array):
    """The array as one of a type that torch has: unsigned 16 bits as int16 of the same bits."""
    if array.dtype == np.uint16:
        return array.view(np.int16)
    known = array.dtype in (np.float32, np.int32, np.int64)
    return array if known else array.astype(np.float32)


def _widened(tensor):
    """The numbers of what `_copyable` has made: int16 holds the bits of unsigned ones."""
    return tensor.long().bitwise_and_(0xFFFF) if tensor.dtype == torch.int16 else tensor


def on_device(part, device):
    """An array or tensor as a tensor on the device; one in pinned memory is copied while the host goes on."""
    part = torch.from_numpy(part) if isinstance(part, np.ndarray) else part
    return part.to(device, non_blocking=True)
