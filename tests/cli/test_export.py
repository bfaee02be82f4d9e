"""`kerasseg export`: where the file lies, what is said of it, and what is refused first."""

import argparse

import keras
import numpy as np
import pytest

from kerasseg.cli import export
from kerasseg.inference.export import FORMATS, check_format
from kerasseg_command import export as command


def parsed(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([*map(str, words)])


def test_the_arguments_are_a_model_a_format_and_perhaps_a_path(capsys):
    options = parsed("a.keras", "--format", "onnx")
    assert vars(options) == {"model": "a.keras", "format": "onnx", "output": None}
    assert parsed("a.keras", "--format", "litert", "--output", "b").output == "b"
    with pytest.raises(SystemExit):
        parsed("a.keras")
    assert "the following arguments are required: --format" in capsys.readouterr().err


def test_every_format_is_offered_and_explained():
    assert tuple(FORMATS) == command.FORMATS
    assert all(name in command.__doc__ for name in command.FORMATS)


def needs(format):
    try:
        check_format(format)
    except (ImportError, ValueError) as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("output", [None, "elsewhere.onnx"])
def test_the_file_is_written_beside_the_model_or_where_it_is_wanted(
    kerasseg, model, model_file, tmp_path, capsys, output, rng
):
    needs("onnx")
    source = tmp_path / "runs" / "best.keras"
    source.parent.mkdir()
    source.write_bytes(model_file.read_bytes())
    words = () if output is None else ("--output", tmp_path / output)
    target = source.with_name("best.onnx") if output is None else tmp_path / output
    assert kerasseg("export", source, "--format", "onnx", *words) == 0
    page = capsys.readouterr().out
    size = target.stat().st_size / 1e6
    assert page.startswith(f"{target}: {size:.1f} MB. On a random image of 32x48 its output")
    assert "and 100.00% of the pixels have the same class." in page
    image = rng.random((1, 32, 48, 3)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(image))
    atol = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(FORMATS["onnx"].run(target, image), expected, atol=atol)


def test_a_file_that_is_there_is_refused_before_the_model_is_read(kerasseg, tmp_path, capsys):
    (tmp_path / "model.onnx").write_text("mine")
    assert kerasseg("export", tmp_path / "model.keras", "--format", "onnx") == 2
    assert "model.onnx exists. Remove it" in capsys.readouterr().err
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_the_size_of_a_folder_is_that_of_all_its_files(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "x").write_bytes(b"0" * 3_000_000)
    (tmp_path / "a" / "b" / "y").write_bytes(b"0" * 500_000)
    assert export.megabytes(tmp_path / "a") == 3.5
    assert export.megabytes(tmp_path / "a" / "x") == 3
