"""A small atlas, once for the tests of a file."""

import pytest
from loaders import make_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """What `make_atlas` returns."""
    return make_atlas(tmp_path_factory.mktemp("atlas"))
