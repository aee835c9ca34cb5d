"""The counts of a minibatch, as the product with the weight and its gradient take them."""

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from cellshuffle.loading.forms import csr_arrays, dense_on_device, on_device, transformed


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
            written = np.zeros(len(gradient), bool)
            written[self.expressed] = True
            gradient[previous.expressed[~written[previous.expressed]]] = 0
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
        self.arrays = csr_arrays(rows)

    @classmethod
    def from_tensors(cls, tensors, transform, n_genes):
        """The counts whose `arrays` are these tensors, on the device already."""
        counts = cls.__new__(cls)
        counts.arrays, counts.transform, counts.n_genes = tensors, transform, n_genes
        return counts

    def times(self, weight):
        arrays = [on_device(part, weight.device) for part in self.arrays]
        self.matrix = dense_on_device(arrays, self.transform, self.n_genes)
        return self.matrix @ weight

    def write_gradient(self, from_above, gradient, previous):
        """Set `gradient` (n_genes, n_columns) to counts^T @ from_above, all of it."""
        torch.mm(self.matrix.T, from_above, out=gradient)


def counts_type(device):
    """How the counts of a batch reach `device`."""
    return SparseCounts if torch.device(device).type == "cpu" else DenseCounts
