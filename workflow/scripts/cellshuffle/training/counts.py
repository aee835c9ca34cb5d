"""The counts of a minibatch, as the product with the weight and its gradient take them."""

import numpy as np
import torch
from torch.nn.functional import embedding_bag


def transformed(rows, transform):
    """(nnz,) float32 values of CSR rows: as they are, log1p, or counts per 10,000 then log1p."""
    values = rows.data.astype(np.float32)
    if transform == "none":
        return values
    if transform == "cp10k_log1p":
        count = np.diff(rows.indptr)
        total = np.zeros(len(count))
        cell = np.repeat(np.arange(len(count)), count)
        total += np.bincount(cell, weights=values, minlength=len(count))
        values *= np.repeat(1e4 / np.maximum(total, 1e-12), count).astype(np.float32)
    return np.log1p(values, out=values)


class SparseCounts:
    """Counts of a batch on the CPU: by cell for the product, by gene for the gradient."""

    def __init__(self, rows, transform, n_genes, gradient=True):
        """rows: a Rows; transform: see `transformed`; gradient: whether one will be asked for."""
        values = transformed(rows, transform)
        self.values = torch.from_numpy(values)
        self.genes = torch.from_numpy(rows.indices.astype(np.int32))
        self.offsets = torch.from_numpy(rows.indptr.astype(np.int32))
        if gradient:
            order = np.argsort(rows.indices, kind="stable")
            gene = rows.indices[order]
            first = np.flatnonzero(np.diff(gene, prepend=gene[:1] + 1))
            cell = np.repeat(np.arange(len(rows.indptr) - 1, dtype=np.int32), np.diff(rows.indptr))
            self.expressed = gene[first].astype(np.int64)
            self.gene_offsets = torch.from_numpy(np.append(first, len(gene)).astype(np.int32))
            self.cells = torch.from_numpy(cell[order])
            self.gene_values = torch.from_numpy(values[order])

    def times(self, weight):
        """(batch, n_columns) product with the weight."""
        return _csr_product(self.values, self.genes, self.offsets, weight)

    def write_gradient(self, from_above, gradient, previous):
        """Set `gradient` (n_genes, n_columns) to counts^T @ from_above.

        Of the rows before only those are cleared that `previous` wrote and this batch does not.
        NumPy moves rows at the speed of memory, several times faster than torch's index_copy_.
        """
        gradient = gradient.numpy()
        if previous is not None:
            stale = np.setdiff1d(previous.expressed, self.expressed, assume_unique=True)
            gradient[stale] = 0
        rows = _csr_product(self.gene_values, self.cells, self.gene_offsets, from_above)
        gradient[self.expressed] = rows.numpy()


def _csr_product(data, indices, indptr, dense):
    """A CSR matrix (data float32, indices and indptr int32) times a dense one, row by row in order."""
    return embedding_bag(
        indices, dense, indptr, mode="sum", per_sample_weights=data, include_last_offset=True
    )


class DenseCounts:
    """Counts of a batch on a GPU: CSR travels as stored and gets dense there."""

    def __init__(self, rows, transform, n_genes, gradient=True):
        """As SparseCounts."""
        self.transform, self.n_genes = transform, n_genes
        genes = rows.indices if rows.indices.dtype == np.uint16 else rows.indices.astype(np.int32)
        self.arrays = [_copyable(rows.data), _copyable(genes), np.diff(rows.indptr)]

    @classmethod
    def from_tensors(cls, tensors, transform, n_genes):
        """The counts whose `arrays` are these tensors, on the device already."""
        counts = cls.__new__(cls)
        counts.arrays, counts.transform, counts.n_genes = tensors, transform, n_genes
        return counts

    def _matrix(self, device):
        """(batch, n_genes) float32 on the device; every size is known, so the host never waits."""
        data, genes, lengths = (_widened(on_device(part, device)) for part in self.arrays)
        cells = torch.repeat_interleave(lengths, output_size=len(genes))
        width = self.n_genes + -self.n_genes % 4  # as `padded`: rows of the matrix begin aligned
        dense = torch.zeros(len(lengths), width, device=device)
        dense.view(-1).scatter_add_(0, cells.mul_(width).add_(genes), data.float())
        dense = dense[:, : self.n_genes]
        if self.transform == "cp10k_log1p":
            dense *= 1e4 / dense.sum(dim=1, keepdim=True).clamp_min(1e-12)
        return dense if self.transform == "none" else dense.log1p_()

    def times(self, weight):
        self.matrix = self._matrix(weight.device)
        return self.matrix @ weight

    def write_gradient(self, from_above, gradient, previous):
        """Set `gradient` (n_genes, n_columns) to counts^T @ from_above, all of it."""
        torch.mm(self.matrix.T, from_above, out=gradient)


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


def counts_type(device):
    """How the counts of a batch reach `device`."""
    return SparseCounts if torch.device(device).type == "cpu" else DenseCounts
