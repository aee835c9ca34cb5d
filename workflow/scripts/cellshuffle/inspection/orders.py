"""Order files, looked at before a run: what is wrong with them, and which cells they leave out."""

from cellshuffle.errors import InputError
from cellshuffle.loading.coverage import coverage


def inspect_orders(orders, n_cells):
    """(lines on what is wrong, {strategy: Coverage}) of order files over so many train cells.

    orders: None, or {"files": {strategy: path}, "epochs": of the training}.
    """
    problems, found = [], {}
    for strategy, path in orders["files"].items() if orders else ():
        try:
            found[strategy] = coverage(path, n_cells, orders["epochs"])
        except InputError as error:
            problems.append(f"strategies: {strategy}: path: {error}")
    return problems, found


def order_notes(orders):
    """Lines on the order files that leave cells out or repeat them; orders: {strategy: Coverage}."""
    for strategy, coverage_ in orders.items():
        if coverage_.seen < coverage_.n_cells or coverage_.repeated:
            yield f"strategies: {strategy}: its order file has {coverage_.words()}"
