"""Figures are drawn in their style, as the workflow draws them."""

import pytest
from cellshuffle.report.figures.style import figure_style


@pytest.fixture(scope="module", autouse=True)
def style_of_figures():
    with figure_style():
        yield
