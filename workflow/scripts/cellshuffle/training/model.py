"""Classifiers of all tasks as one model, with the gradient of its first layer written out.

The weight of the first layer is one matrix: of genes by classes, a slice of columns a task, or of genes by
hidden units. Its gradient is not left to autograd, because only the genes expressed in a batch have one: on
the CPU the product and its gradient touch the rows of those genes alone. Every sum runs over one output row,
in order, so results do not depend on the number of threads. On a GPU the batch is made dense on the device.

The layers after it are small and dense. Autograd has their gradients, and one thread computes them, since a
product of dense matrices may differ in its last bits with the number of threads.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.nn.functional import log_softmax

# torch sums up to so many numbers by one thread, so that the sum does not depend on their number.
ONE_THREAD = 32_767


@dataclass
class Head:
    """Where a task's classes lie among the columns of the weight."""

    task: str
    columns: slice

    @property
    def n_classes(self):
        return self.columns.stop - self.columns.start


def heads_of(classes):
    """A Head per task of {task: class names}."""
    stops = np.cumsum([len(names) for names in classes.values()]).tolist()
    starts = [0, *stops[:-1]]
    return [Head(task, slice(a, b)) for task, a, b in zip(classes, starts, stops, strict=True)]


def initial_parameters(n_genes, heads, seed, hidden=()):
    """[(weight (inputs, outputs), bias (outputs,)) of every layer]; float32, on the CPU.

    hidden: units of each hidden layer, from the genes to the heads, which are the last layer. Weights are
    Xavier-uniform, of the last layer per head, drawn in this order; biases are zero.
    """
    generator = torch.Generator().manual_seed(seed)
    outputs = [[units] for units in hidden] + [[head.n_classes for head in heads]]
    layers = []
    for n_inputs, blocks in zip([n_genes, *hidden], outputs, strict=True):
        weight = torch.empty(n_inputs, sum(blocks))
        for columns in weight.split(blocks, dim=1):
            block = torch.empty(columns.shape)
            torch.nn.init.xavier_uniform_(block, generator=generator)
            columns.copy_(block)
        layers.append((weight, torch.zeros(sum(blocks))))
    return layers


def padded(parameter):
    """A parameter with columns of 0 added, up to a multiple of 4: a processor reads four numbers at once.

    The gradient of these columns is 0, so they stay 0.
    """
    return torch.nn.functional.pad(parameter, (0, -parameter.shape[-1] % 4))


def criterion_of(heads, bias):
    """The function (logits, labels, n_cells) -> (losses, gradient) for parameters like `bias`."""
    if bias.device.type == "cpu":
        return partial(losses_and_gradient, heads=heads)
    return FusedLosses(heads, len(bias), bias.device)


def logits_of(first, layers):
    """(batch, n_columns) logits from the outputs (batch, columns) of the first layer.

    layers: (weight, bias) of those after it, each behind a ReLU; none for a linear model. Columns that
    `padded` has added to the first layer are left out.
    """
    with _one_thread_beyond(first, layers):
        for weight, bias in layers:
            first = torch.addmm(bias, first[:, : len(weight)].relu(), weight)
    return first


def losses_and_gradients(first, layers, criterion):
    """(losses, gradient of the outputs `first` of the first layer); sets .grad of the parameters in `layers`.

    criterion: a function of the logits, which it may overwrite, that returns losses and gradient of these.
    """
    if not layers:
        return criterion(first)
    parameters = [parameter for layer in layers for parameter in layer]
    with torch.enable_grad(), _one_thread_beyond(first, layers):
        logits = logits_of(first.requires_grad_(), layers)
        losses, gradient = criterion(logits.detach())
        gradients = torch.autograd.grad(logits, [first, *parameters], gradient)
    for parameter, own in zip(parameters, gradients[1:], strict=True):
        parameter.grad = own
    return losses, gradients[0]


@contextmanager
def _one_thread_beyond(first, layers):
    """One thread within the block, where there are layers beyond the first and the CPU has them."""
    threads = torch.get_num_threads()
    if not layers or threads == 1 or first.device.type != "cpu":
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class FusedLosses:
    """`losses_and_gradient` for a GPU: one operation for all tasks instead of one a task.

    Logits are spread to (batch, n_tasks, widest task + 1); places that no class has hold -inf, whose
    softmax and gradient are 0.
    """

    def __init__(self, heads, n_columns, device):
        widest = 1 + max(head.n_classes for head in heads)
        spread = torch.zeros(len(heads), widest, dtype=torch.int64)
        self.empty = torch.ones(len(heads), widest, dtype=torch.bool, device=device)
        back = torch.full((n_columns,), widest - 1)  # columns of no task take from an empty place
        for number, head in enumerate(heads):
            columns = torch.arange(head.columns.start, head.columns.stop)
            spread[number, : head.n_classes] = columns
            self.empty[number, : head.n_classes] = False
            back[head.columns] = number * widest + torch.arange(head.n_classes)
        self.spread, self.back = spread.view(-1).to(device), back.to(device)

    def __call__(self, logits, labels, n_cells):
        """As the function below; the gradient comes as a new tensor."""
        places = logits.index_select(1, self.spread).view(len(logits), *self.empty.shape)
        logs = log_softmax(places.masked_fill_(self.empty, -torch.inf), dim=2)
        label = labels[:, :, None]
        losses = -logs.gather(2, label).sum(dim=(0, 2))
        gradient = logs.exp_()
        gradient.scatter_add_(2, label, gradient.new_full((1, 1, 1), -1.0).expand(label.shape))
        return losses, gradient.view(len(logits), -1).index_select(1, self.back).div_(n_cells)


def losses_and_gradient(logits, labels, n_cells, heads):
    """Summed cross-entropy of each task, and the gradient of the sum of their means.

    logits: (batch, n_columns), overwritten with the gradient; columns of no task are and stay 0;
    labels: (batch, n_tasks) int64; n_cells: what the means divide by (the batch, or the global batch of
    several processes); heads: see `heads_of`.
    Returns ((n_tasks,) losses summed over the batch, (batch, n_columns) gradient).
    """
    sums, minus_one = [], logits.new_full((1, 1), -1.0).expand(len(labels), 1)
    for position, head in enumerate(heads):
        columns = logits[:, head.columns]
        block = log_softmax(columns, dim=1)
        label = labels[:, position, None]
        sums.append(_one_thread_sum(block.gather(1, label)))
        torch.div(block.exp_().scatter_add_(1, label, minus_one), n_cells, out=columns)
    return -torch.stack(sums), logits


def _one_thread_sum(numbers):
    """The sum, to the same bit for any number of threads."""
    if len(numbers) <= ONE_THREAD:
        return numbers.sum()
    return torch.stack([part.sum() for part in numbers.split(ONE_THREAD)]).sum()
