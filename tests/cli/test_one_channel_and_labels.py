"""From a folder of images to files, through every command: one channel, and several labels."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from kerasseg import cli
from kerasseg.inference.export import FORMATS, check_format
from kerasseg.models import with_classes
from tests.datasets.folders import save

SIZE = (16, 24)
LABELS = ("blue", "green", "red")  # in the order of the folders, not of the image's channels
COLOURS = ((0, 0, 255), (0, 255, 0), (255, 0, 0))


def by_hand(image):
    """What the sigmoids of `bright` give of an image of bytes: above 0.5 for 128 and more."""
    return 1 / (1 + np.exp(4 - 8 * (image / 255)))


def bright(channels):
    """A model with a sigmoid of each of these channels of the image."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(len(channels), 1, activation="sigmoid")
    model = keras.Model(image, layer(image))
    layer.set_weights([8 * np.eye(3)[None, None, :, channels], np.full(len(channels), -4.0)])
    return model


def make_folder(folder, labels, channels, rng):
    """Eight images, and masks of 0 and 255 in which every fifth pixel is wrong; {stem: truth}."""
    truths = {}
    for i in range(8):
        image = rng.integers(0, 256, (*SIZE, 3), "uint8")
        save(image, folder / "images" / f"{i}.png")
        truths[str(i)] = (image[..., channels] > 127) ^ (rng.random((*SIZE, len(channels))) < 0.2)
        for label, mask in zip(labels, np.moveaxis(truths[str(i)], -1, 0)):
            save(255 * mask.astype("uint8"), folder / "masks" / label / f"{i}.png")
    return truths


def pixels(path):
    return np.asarray(Image.open(path))


def matrices_of(kerasseg, path, folder, capsys):
    """The confusion matrices that `evaluate` prints, of all images together."""
    capsys.readouterr()
    for split in ("train", "validation"):
        assert kerasseg("evaluate", path, folder, "--split", split, "--json") == 0
    scores = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return sum(np.array(each["confusion_matrix"]) for each in scores)


def counted(truth, predicted):
    """[[true no, false yes], [false no, true yes]] of one label."""
    return [[(~truth & ~predicted).sum(), (~truth & predicted).sum()],
            [(truth & ~predicted).sum(), (truth & predicted).sum()]]  # fmt: skip


def assert_export_gives(kerasseg, path, image, expected):
    try:
        check_format("onnx")
    except (ImportError, ValueError) as error:
        pytest.skip(str(error))
    assert kerasseg("export", path, "--format", "onnx") == 0
    found = FORMATS["onnx"].run(path.with_suffix(".onnx"), image[None].astype("float32") / 255)
    np.testing.assert_allclose(found, expected[None], atol=1e-5)


def test_a_model_of_one_channel_goes_through_every_command(kerasseg, tmp_path, capsys, rng):
    truths = make_folder(tmp_path / "cells", [""], [1], rng)
    path, maps = tmp_path / "model.keras", tmp_path / "maps"
    colours = np.array([(9, 9, 9), (0, 99, 200)])
    with_classes(bright([1]), ["background", "foreground"], colours).save(path)

    folder = tmp_path / "cells" / "images"
    assert kerasseg("predict", path, folder, "--output", maps, "--overlays") == 0
    for stem in truths:
        image = pixels(folder / f"{stem}.png")
        ids = (image[..., 1] > 127).astype(int)
        np.testing.assert_array_equal(pixels(maps / f"{stem}.png"), ids)
        overlay = pixels(maps / "overlays" / f"{stem}.png").astype("float64")
        np.testing.assert_allclose(overlay, 0.4 * image + 0.6 * colours[ids], atol=0.501)

    predicted = np.stack([pixels(maps / f"{stem}.png") for stem in truths]) == 1
    expected = counted(np.stack([*truths.values()])[..., 0], predicted)
    np.testing.assert_array_equal(matrices_of(kerasseg, path, tmp_path / "cells", capsys), expected)
    assert_export_gives(kerasseg, path, image, by_hand(image)[..., 1:2])


def test_a_model_of_several_labels_goes_through_every_command(kerasseg, tmp_path, capsys, rng):
    truths = make_folder(tmp_path / "labels", LABELS, [2, 1, 0], rng)
    path, maps = tmp_path / "model.keras", tmp_path / "maps"
    with_classes(bright([2, 1, 0]), LABELS, COLOURS).save(path)

    folder = tmp_path / "labels" / "images"
    assert kerasseg("predict", path, folder, "--output", maps, "--overlays") == 0
    for stem in truths:
        image = pixels(folder / f"{stem}.png")
        masks = image > 127
        for channel, name in enumerate(("red", "green", "blue")):
            np.testing.assert_array_equal(pixels(maps / stem / f"{name}.png"), masks[..., channel])
        count = masks.sum(-1, keepdims=True)
        tint = np.where(count, 255 * masks / np.maximum(count, 1), image)  # the labels' mean
        overlay = pixels(maps / "overlays" / f"{stem}.png").astype("float64")
        np.testing.assert_allclose(overlay, 0.4 * image + 0.6 * tint, atol=0.501)

    expected = []
    for channel, label in enumerate(LABELS):
        predicted = np.stack([pixels(maps / stem / f"{label}.png") for stem in truths]) == 1
        expected.append(counted(np.stack([*truths.values()])[..., channel], predicted))
    np.testing.assert_array_equal(
        matrices_of(kerasseg, path, tmp_path / "labels", capsys), expected
    )
    assert_export_gives(kerasseg, path, image, by_hand(image)[..., ::-1])


@pytest.mark.slow
def test_several_labels_are_trained_and_score_again_what_the_training_said(tmp_path, capsys, rng):
    make_folder(tmp_path / "labels", LABELS, [2, 1, 0], rng)
    words = ["train", tmp_path / "labels", "--output", tmp_path / "run", "--epochs", "1"]
    words += ["--model", "segnet_basic", "--width", "0.05", "--image-size", *map(str, SIZE)]
    assert cli.main([*map(str, words)]) == 0
    said = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert (said["labels"], said["class_names"]) == ("multilabel", list(LABELS))
    capsys.readouterr()
    words = ["evaluate", tmp_path / "run" / "best.keras", tmp_path / "labels", "--json"]
    assert cli.main([*map(str, words)]) == 0
    again = json.loads(capsys.readouterr().out)
    np.testing.assert_array_equal(again["confusion_matrix"], said["confusion_matrix"])
    assert (
        np.sum(again["confusion_matrix"], (1, 2)).tolist() == [2 * SIZE[0] * SIZE[1]] * 3
    )  # of 8 images
