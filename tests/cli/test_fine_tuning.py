"""`kerasseg train --from` and `--freeze`."""

import json

import keras
import numpy as np
import pytest

from kerasseg import cli, models
from kerasseg.cli import train as command
from kerasseg_command.main import parse
from tests.datasets.folders import ids, make_folder


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "street.keras"
    model = models.segnet((None, None, 3), 7, width=0.05)
    models.with_classes(model, [f"thing {i}" for i in range(7)]).save(path)
    return path


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--model", "segnet"], "--model"),
        (["--width", "0.5", "--encoder", "vgg16"], "--width, --encoder"),
        (["--mixed-precision"], "--mixed-precision"),
    ],
)
def test_what_the_file_says_is_not_said_again(tmp_path, capsys, given, named):
    make_folder(tmp_path / "set", [ids(i) for i in range(5)])
    words = ["train", tmp_path / "set", "--output", tmp_path / "run", "--from", "best.keras"]
    assert cli.main([*map(str, words), *given]) == 2
    error = capsys.readouterr().err
    assert error.endswith(f"the model is that of best.keras, so leave out {named}.\n")
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_removed_that_holds_the_model_to_start_from(start, tmp_path, capsys):
    make_folder(tmp_path / "set", [ids(i) for i in range(5)])
    words = ["train", tmp_path / "set", "--output", start.parent, "--from", start, "--force"]
    (start.parent / "run.json").write_text(
        '{"epoch": 0, "best": null, "history": [], "settings": {}}'
    )
    assert cli.main([*map(str, words)]) == 2
    assert "whose run --force would remove. Choose another --output." in capsys.readouterr().err
    (start.parent / "run.json").unlink()
    assert start.exists()


def test_steps_are_smaller_from_a_file_and_the_encoder_is_frozen_for_a_fifth_of_the_epochs():
    options = parse(["train", "d", "--output", "o", "--from", "a.keras", "--freeze", "encoder"])
    settings = command.settings_of(options)
    assert settings["learning_rate"] == 5e-4
    assert [command.frozen_epochs(settings, n) for n in (1, 5, 9, 50)] == [1, 1, 1, 10]
    assert command.frozen_epochs({"freeze": None}, 50) == 0


@pytest.mark.slow
def test_the_encoder_stays_for_an_epoch_and_a_run_that_is_cut_there_gives_the_same(
    start, tmp_path, capsys
):
    make_folder(tmp_path / "set", [ids(i, 3, (32, 32)) for i in range(10)])
    words = ["train", tmp_path / "set", "--image-size", 32, 32, "--from", start, "--freeze"]
    words = [*map(str, words), "encoder", "--epochs", "3"]

    def train(name):
        return cli.main([*words, "--output", str(tmp_path / name)])

    def encoder(path):
        model = keras.saving.load_model(path)
        return [w for layer in model.layers if "encoder1_conv" in layer.name for w in layer.weights]

    assert train("whole") == 0
    said = capsys.readouterr().out
    assert "the head (" in said
    assert "From epoch 2 on, the encoder learns too." in said
    cut = {"epochs": 0}
    fit = keras.Model.fit

    def fit_and_stop(self, *args, **kwargs):
        cut["epochs"] += 1
        if cut["epochs"] == 2:
            raise KeyboardInterrupt
        return fit(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "fit", fit_and_stop)
        assert train("cut") == 130
    state = json.loads((tmp_path / "cut/run.json").read_text())
    assert state["epoch"] == 1
    for ours, theirs in zip(encoder(tmp_path / "cut/last.keras"), encoder(start), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert train("cut") == 0
    whole, again = (encoder(tmp_path / name / "last.keras") for name in ("whole", "cut"))
    assert any(not np.array_equal(a, b) for a, b in zip(whole, encoder(start)))
    for ours, theirs in zip(whole, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
