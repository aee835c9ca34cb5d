"""The loader of a training: minibatches as the model takes them."""

from cellshuffle.loading.loader import Loader
from cellshuffle.training.counts import DenseCounts, SparseCounts, counts_type

LABELS = "labels"  # of a minibatch: (batch, n_tasks) codes


class CountsForm:
    """The form in which the model takes counts: SparseCounts on the CPU, DenseCounts on a GPU."""

    def __init__(self, transform, n_genes, device, gradient=True):
        """gradient: whether one of the counts will be asked for."""
        self.kind, self.arguments, self.gradient = counts_type(device), (transform, n_genes), gradient

    def prepare(self, rows):
        counts = self.kind(rows, *self.arguments, self.gradient)
        return counts if self.kind is SparseCounts else counts.arrays

    def finish(self, prepared):
        return prepared if self.kind is SparseCounts else DenseCounts.from_tensors(prepared, *self.arguments)


def training_loader(plates, labels, sampler, transform, device, gradient=True, **loading):
    """A Loader of counts and, as `obs[LABELS]`, of labels; loading: its other arguments."""
    form = CountsForm(transform, plates.n_genes, device, gradient)
    return Loader(plates, sampler, form=form, obs={LABELS: labels}, device=device, **loading)
