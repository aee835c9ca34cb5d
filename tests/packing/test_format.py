"""The format of packed plates has a number: a plate of another one is packed again, never silently read."""

import shutil

import h5py
import numpy as np
import pytest
from atlases import counts_of, obs_of, write_atlas
from cellshuffle.errors import InputError
from cellshuffle.packing.format import FORMAT, FORMAT_ATTRIBUTE, as_counts, packed_size
from cellshuffle.packing.origin import NAME, by_other_code, check_origin, origin, outdated, packed_format
from cellshuffle.packing.pack import pack_plate
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from runs import SOUND, merged, snakemake

TARGET = "results/bad/labels/classes.json"
TYPES = st.sampled_from(["uint8", "int8", "uint16", "int64", "float32", "float64", "bool"])


def arrays_of(path):
    """{name: array} of the matrix of a packed plate."""
    with h5py.File(path) as file:
        return {name: file["X"][name][:] for name in file["X"]}


def give_format(path, number):
    """Make a packed plate say that it is in format `number`; 0: no number, as before there were any."""
    with h5py.File(path, "r+") as file:
        del file.attrs[FORMAT_ATTRIBUTE]
        if number:
            file.attrs[FORMAT_ATTRIBUTE] = number


def test_a_packed_plate_says_its_format(tmp_path):
    source, target = tmp_path / "source.h5ad", tmp_path / "packed.h5ad"
    write_atlas(source, counts_of(30, 20), obs_of(30, line=(["A", "B"], "categorical")))
    pack_plate(source, target)
    with h5py.File(target) as file:
        assert file.attrs[FORMAT_ATTRIBUTE] == FORMAT
    check_origin(target, origin(None, {}, None))  # noted without being asked
    made_of = origin(None, {}, [1, 2])
    pack_plate(source, target, note=made_of)
    assert packed_format(target) == FORMAT
    check_origin(target, made_of)
    for number in (0, FORMAT + 1):
        give_format(target, number)
        assert packed_format(target) == number
        with pytest.raises(InputError, match=rf"packed\.h5ad: .* in format {number}, .* delete it"):
            check_origin(target, made_of)
        pack_plate(source, target, note=made_of)
    assert packed_format(source) is None and packed_format(tmp_path / "nothing") is None


@pytest.mark.parametrize("note", ["{", "[]", "3", '{"code": 3}'])
def test_a_plate_whose_note_is_damaged_is_packed_again(tmp_path, note):
    target, made_of = tmp_path / "packed.h5ad", origin(None, {}, None)
    write_atlas(tmp_path / "plate.h5ad", counts_of(9, 20), obs_of(9, line=(["A"], "string")))
    pack_plate(tmp_path / "plate.h5ad", target)
    assert list(outdated([(target, made_of)])) == []
    with h5py.File(target, "r+") as file:
        file.attrs[NAME] = note
    assert list(outdated([(target, made_of)])) == [(target, None)]
    assert list(by_other_code([target])) == []
    with pytest.raises(InputError, match="delete it"):
        check_origin(target, made_of)


@pytest.mark.parametrize(("shift", "value_bytes"), [(0, 2), (-1, 4)])
@pytest.mark.parametrize("n_genes", [20, 70_000])
def test_the_size_is_that_of_the_arrays(tmp_path, shift, value_bytes, n_genes):
    source, target = tmp_path / "source.h5ad", tmp_path / "packed.h5ad"
    write_atlas(source, counts_of(9, n_genes) + shift, obs_of(9, line=(["A"], "string")))
    pack_plate(source, target)
    found = arrays_of(target)
    expected = packed_size(9, len(found["data"]), n_genes, value_bytes)
    assert sum(part.nbytes for part in found.values()) == expected + 8  # pointers: one more than cells


@given(TYPES.flatmap(lambda dtype: arrays(dtype, st.integers(0, 5))))
def test_values_are_counts_where_none_changes(values):
    counts = as_counts(values)
    fits = all(0 <= float(v) < 2**16 and float(v).is_integer() for v in values.tolist())
    assert (counts is not None) == fits
    if fits:
        assert counts.dtype == np.uint16 and np.array_equal(counts, values)


def test_plates_of_another_format_are_packed_again(sound):
    """Both by the run that packed them and by another that shares them, which Snakemake knows nothing of."""
    packed = sound / "packed"
    config = merged(SOUND, {"atlas": {"packed_dir": str(packed)}})
    snakemake(sound, config, TARGET)
    plates = {number: packed / f"plate{number}.h5ad" for number in (1, 2, 3)}
    before = {number: arrays_of(path) for number, path in plates.items()}
    other = sound / "other"
    shutil.copytree(sound / "atlas", other / "atlas", copy_function=shutil.copy2)
    for folder, formats in ((sound, {2: 0, 3: 7}), (other, {2: 0}), (sound, {2: 0})):
        unchanged = plates[1].stat().st_mtime_ns
        for number, wrong in formats.items():
            give_format(plates[number], wrong)
        done = snakemake(folder, config, TARGET)
        for number, path in plates.items():
            line = f"plate{number}.h5ad: packed in format {formats.get(number)} by another version; packing"
            assert done.stdout.count(line) == (number in formats), done.stdout
            assert packed_format(path) == FORMAT
            for name, part in arrays_of(path).items():
                assert part.dtype == before[number][name].dtype
                assert np.array_equal(part, before[number][name])
        assert plates[1].stat().st_mtime_ns == unchanged
    assert "packing it again" not in snakemake(other, config, TARGET).stdout
