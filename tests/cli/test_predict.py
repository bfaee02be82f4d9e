"""`kerasseg predict`: label maps whose score is the model's, at every size."""

import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from kerasseg import predict_image
from kerasseg.cli import predict
from kerasseg.cli.predict import file_names, written
from kerasseg.datasets.files import read_image, read_mask
from kerasseg.datasets.png import PngWriter
from kerasseg.layers import NamedClasses
from kerasseg.models import classes_of, unet, with_classes
from tests.conftest import environment
from tests.datasets.annotations.test_coco_writer import near_borders


def nearest(mask, size):
    """A mask at another size: the pixel in which the new pixel's centre lies."""
    rows, columns = (
        np.floor((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size, mask.shape)
    )
    return mask[rows][:, columns]


def mean_iou(pairs, num_classes, void=255):
    """The score from its definition, one class after another."""
    ious = []
    for i in range(num_classes):
        both = sum(((t == i) & (p == i) & (t != void)).sum() for t, p in pairs)
        either = sum((((t == i) | (p == i)) & (t != void)).sum() for t, p in pairs)
        if either:
            ious.append(both / either)
    return np.mean(ious)


def test_label_maps_at_the_evaluated_size_score_what_evaluate_says(
    kerasseg, pictures, model_file, tmp_path, capsys
):
    size = ("--image-size", 32, 48)
    assert kerasseg("evaluate", model_file, pictures, "--json", *size) == 0
    said = json.loads(capsys.readouterr().out)
    folder = pictures / "val"
    assert kerasseg("predict", model_file, folder, "--output", tmp_path / "maps", *size) == 0
    assert capsys.readouterr().out == f"4 label maps in {tmp_path}/maps\n"
    pairs = [
        (
            nearest(np.asarray(Image.open(pictures / "valannot" / path.name)), (32, 48)),
            np.asarray(Image.open(tmp_path / "maps" / path.name)),
        )
        for path in sorted(folder.iterdir())
    ]
    pairs = [(np.where(truth == 11, 255, truth), map_) for truth, map_ in pairs]
    assert len(np.unique(pairs[0][1])) > 3
    assert abs(mean_iou(pairs, 11) - said["mean_iou"]) < 1e-6


def test_label_maps_have_the_pictures_size_the_classes_colours_and_ids_as_values(
    kerasseg, pictures, model, model_file, tmp_path
):
    picture = pictures / "val" / "val_00.png"
    words = ("--overlays", "--probabilities", "--output", tmp_path)
    assert kerasseg("predict", model_file, picture, *words) == 0
    saved = Image.open(tmp_path / "val_00.png")
    ids = np.asarray(saved)
    assert (saved.mode, ids.shape) == ("P", (45, 60))
    colours = np.array(classes_of(model).colours)
    np.testing.assert_array_equal(np.asarray(saved.convert("RGB")), colours[ids])
    np.testing.assert_array_equal(read_mask(tmp_path / "val_00.png"), ids)

    probabilities = np.load(tmp_path / "probabilities" / "val_00.npy").astype("float32")
    assert probabilities.shape == (45, 60, 11)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=5e-3)
    chosen = np.take_along_axis(probabilities, ids[..., None].astype(int), axis=-1)[..., 0]
    assert (chosen >= probabilities.max(-1) - 1e-3).all()

    overlay = np.asarray(Image.open(tmp_path / "overlays" / "val_00.png"), "float64")
    np.testing.assert_allclose(
        overlay, 0.4 * read_image(picture) + 0.6 * colours[ids], atol=0.5 + 1e-4
    )


def test_without_probabilities_the_label_maps_are_the_same(
    kerasseg, pictures, model_file, tmp_path
):
    for name, words in (("a", ()), ("b", ("--probabilities",))):
        folder = tmp_path / name
        assert kerasseg("predict", model_file, pictures / "val", "--output", folder, *words) == 0
    for path in (tmp_path / "a").glob("*.png"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_native_tiles_are_those_of_predict_image(kerasseg, model, model_file, tmp_path, rng):
    image = rng.integers(0, 256, (70, 130, 3), "uint8")
    Image.fromarray(image).save(tmp_path / "wide.bmp")
    words = ("--image-size", "native", "--tile", 64, "--overlap", 0.5, "--flip")
    assert kerasseg("predict", model_file, tmp_path / "wide.bmp", "--output", tmp_path, *words) == 0
    expected = predict_image(model, image, tile=64, overlap=0.5, flip=True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "wide.png")), expected)


@pytest.mark.parametrize("words", [(), ("--image-size", "native")])
def test_a_picture_of_one_pixel_has_a_label_map_of_one(kerasseg, model_file, tmp_path, words):
    Image.new("RGB", (1, 1), (9, 99, 199)).save(tmp_path / "dot.jpg")
    assert kerasseg("predict", model_file, tmp_path / "dot.jpg", "--output", tmp_path, *words) == 0
    assert Image.open(tmp_path / "dot.png").size == (1, 1)


def test_folders_in_a_folder_come_back_as_folders(kerasseg, model_file, tmp_path):
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        Image.new("RGB", (5, 4)).save(tmp_path / "in" / name)
    assert kerasseg("predict", model_file, tmp_path / "in", "--output", tmp_path / "out") == 0
    assert {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png")} == {
        "a/x.png",
        "b/x.png",
    }


def test_grey_pictures_fit_a_model_of_colour_and_one_of_grey(kerasseg, model_file, tmp_path):
    Image.new("L", (7, 6), 99).save(tmp_path / "grey.png")
    image = keras.Input((None, None, 1))
    grey = with_classes(keras.Model(image, keras.layers.Conv2D(2, 1)(image)), ["a", "b"])
    grey.save(tmp_path / "grey.keras")
    for i, path in enumerate((model_file, tmp_path / "grey.keras")):
        output = tmp_path / str(i)
        assert kerasseg("predict", path, tmp_path / "grey.png", "--output", output) == 0
        assert Image.open(output / "grey.png").size == (7, 6)


def test_a_model_without_names_gets_colours_that_differ(kerasseg, tmp_path):
    image = keras.Input((None, None, 3))
    plain = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    assert not any(isinstance(layer, NamedClasses) for layer in plain.layers)
    plain.save(tmp_path / "plain.keras")
    Image.new("RGB", (7, 6)).save(tmp_path / "x.jpg")
    words = (tmp_path / "plain.keras", tmp_path / "x.jpg", "--output", tmp_path)
    assert kerasseg("predict", *words) == 0
    palette = Image.open(tmp_path / "x.png").getpalette()[:9]
    assert len({tuple(palette[i : i + 3]) for i in (0, 3, 6)}) == 3


def small(channels, activation, names):
    model = unet((None, None, 3), channels, width=1 / 32, activation=activation)
    return with_classes(model, names, image_size=(16, 24), multi_label=None)


@pytest.mark.parametrize("options", [(), ("--image-size", "native"), ("--probabilities",)])
def test_a_model_of_one_channel_gives_ids_0_and_1(kerasseg, tmp_path, rng, options):
    model = small(1, "sigmoid", ["cell"])
    model.save(tmp_path / "model.keras")
    image = rng.integers(0, 256, (32, 48, 3), "uint8")
    Image.fromarray(image).save(tmp_path / "x.png")
    words = ("--output", tmp_path / "maps", "--overlays", *options)
    assert kerasseg("predict", tmp_path / "model.keras", tmp_path / "x.png", *words) == 0
    saved = Image.open(tmp_path / "maps" / "x.png")
    assert 0 < np.asarray(saved).mean() < 1
    assert set(np.unique(np.asarray(saved))) == {0, 1}
    if "native" in options:
        np.testing.assert_array_equal(np.asarray(saved), predict_image(model, image))
    if "--probabilities" in options:
        probabilities = np.load(tmp_path / "maps" / "probabilities" / "x.npy")
        assert probabilities.shape == (32, 48, 1)
        near = np.abs(probabilities[..., 0] - 0.5) < 1e-3  # float16 rounds
        assert (near | ((probabilities[..., 0] > 0.5) == np.asarray(saved))).all()
    assert Image.open(tmp_path / "maps" / "overlays" / "x.png").size == (48, 32)


def test_a_multi_label_model_gives_a_mask_a_label_and_one_overlay(kerasseg, tmp_path, rng):
    model = with_classes(
        small(3, "sigmoid", ["a", "b/b", "c"]),
        ["a", "b/b", "c"],
        colours=[(255, 0, 0), (0, 255, 0), (0, 0, 255)],
    )
    model.save(tmp_path / "model.keras")
    image = rng.integers(0, 256, (32, 48, 3), "uint8")
    Image.fromarray(image).save(tmp_path / "x.png")
    words = ("--output", tmp_path / "maps", "--overlays", "--image-size", "native")
    assert kerasseg("predict", tmp_path / "model.keras", tmp_path / "x.png", *words) == 0
    expected = predict_image(model, image)
    assert {path.name for path in (tmp_path / "maps" / "x").iterdir()} == {
        "a.png",
        "b_b.png",
        "c.png",
    }
    for i, name in enumerate(("a", "b_b", "c")):
        path = tmp_path / "maps" / "x" / f"{name}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(path)), expected[..., i])
    count = expected.sum(-1, keepdims=True)
    tint = np.where(count, 255 * expected / np.maximum(count, 1), image)
    overlay = np.asarray(Image.open(tmp_path / "maps" / "overlays" / "x.png"), "float64")
    np.testing.assert_allclose(overlay, 0.4 * image + 0.6 * tint, atol=0.5 + 1e-3)
    assert kerasseg("predict", tmp_path / "model.keras", tmp_path / "x.png", *words) == 2


def test_a_softmax_inside_a_nested_model_is_not_applied_twice(kerasseg, tmp_path, rng):
    image = keras.Input((None, None, 3))
    inner = unet((None, None, 3), 3, width=1 / 32, activation="softmax")
    model = keras.Model(image, inner(image))
    model.save(tmp_path / "model.keras")
    picture = rng.integers(0, 256, (16, 32, 3), "uint8")
    Image.fromarray(picture).save(tmp_path / "x.png")
    words = ("--output", tmp_path / "maps", "--probabilities", "--image-size", "native")
    assert kerasseg("predict", tmp_path / "model.keras", tmp_path / "x.png", *words) == 0
    own = keras.ops.convert_to_numpy(model(picture[None] / 255))[0]
    found = np.load(tmp_path / "maps" / "probabilities" / "x.npy")
    np.testing.assert_allclose(found, own, atol=1e-3)


def test_polygons_are_read_back_by_convert_as_the_label_maps_within_a_pixel(
    kerasseg, pictures, model_file, tmp_path, capsys
):
    words = (pictures / "val", "--output", tmp_path / "maps", "--polygons")
    assert kerasseg("predict", model_file, *words) == 0
    again = ("--images", pictures / "val", "--to", tmp_path / "again", "--unlabelled", "void")
    assert kerasseg("convert", tmp_path / "maps" / "annotations.json", *again) == 0
    for path in sorted((pictures / "val").iterdir()):
        map_, back = (
            np.asarray(Image.open(folder / path.name))
            for folder in (tmp_path / "maps", tmp_path / "again" / "masks")
        )
        assert not ((map_ != back) & ~near_borders(map_)).any()
        assert (map_ == back).mean() > 0.6  # the untrained model's objects are specks
    capsys.readouterr()
    assert kerasseg("predict", model_file, pictures / "val", *words[1:]) == 2
    assert "exists. Remove it, or choose another --output" in capsys.readouterr().err


def test_written_masks_of_labels_are_read_as_channels(tmp_path):
    masks = np.random.default_rng(0).integers(0, 2, (2, 4, 5)).astype("uint8")
    targets = {i: tmp_path / f"{i}.png" for i in range(2)}
    for i, mask in enumerate(masks):
        Image.fromarray(mask).save(targets[i])
    read = written({**targets, "overlays": tmp_path / "no.png"})
    np.testing.assert_array_equal(read, np.moveaxis(masks, 0, -1))


def test_polygons_are_those_of_the_image_itself(kerasseg, pictures, model_file, tmp_path, capsys):
    words = (pictures / "val", "--output", tmp_path, "--polygons", "--image-size", 32, 48)
    assert kerasseg("predict", model_file, *words) == 2
    assert "Leave out --image-size, or pass native" in capsys.readouterr().err


THRESHOLDS = {"one channel": (1, "sigmoid", ["cell"]), "two classes": (2, None, ["rest", "cell"])}


@pytest.mark.parametrize("kind", THRESHOLDS)
def test_a_threshold_decides_what_is_foreground(kind, kerasseg, tmp_path, rng):
    model = small(*THRESHOLDS[kind])
    model.save(tmp_path / "model.keras")
    image = rng.integers(0, 256, (32, 48, 3), "uint8")
    Image.fromarray(image).save(tmp_path / "x.png")
    foreground = predict_image(model, image, output="probabilities")[..., -1]
    for threshold in (0.3, 0.5, 0.52):
        output = tmp_path / str(threshold)
        words = ("--output", output, "--image-size", "native", "--threshold", threshold)
        assert kerasseg("predict", tmp_path / "model.keras", tmp_path / "x.png", *words) == 0
        found = np.asarray(Image.open(output / "x.png"))
        np.testing.assert_array_equal(found, foreground > threshold)


def test_a_threshold_is_for_each_label_and_for_no_other_model(
    kerasseg, model_file, tmp_path, rng, capsys
):
    model = small(3, "sigmoid", ["a", "b", "c"])
    model.save(tmp_path / "model.keras")
    image = rng.integers(0, 256, (32, 48, 3), "uint8")
    Image.fromarray(image).save(tmp_path / "x.png")
    words = ("--output", tmp_path / "maps", "--image-size", "native", "--threshold", "0.4")
    assert kerasseg("predict", tmp_path / "model.keras", tmp_path / "x.png", *words) == 0
    probabilities = predict_image(model, image, output="probabilities")
    for i, name in enumerate("abc"):
        found = np.asarray(Image.open(tmp_path / "maps" / "x" / f"{name}.png"))
        np.testing.assert_array_equal(found, probabilities[..., i] > 0.4)
    capsys.readouterr()
    assert kerasseg("predict", model_file, tmp_path / "x.png", *words) == 2
    assert "--threshold is for two classes, or for labels, but" in capsys.readouterr().err


def test_an_image_written_in_bands_is_the_one_written_whole(
    kerasseg, model_file, tmp_path, rng, monkeypatch
):
    Image.fromarray(rng.integers(0, 256, (45, 60, 3), "uint8")).save(tmp_path / "x.png")
    words = ("predict", model_file, tmp_path / "x.png", "--overlays", "--probabilities")
    assert kerasseg(*words, "--output", tmp_path / "whole") == 0
    monkeypatch.setattr(predict, "BAND", 1)  # a row at a time
    assert kerasseg(*words, "--output", tmp_path / "rows") == 0
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.*")]
    assert len(files) == 3
    for name in files:
        whole, rows = (tmp_path / folder / name for folder in ("whole", "rows"))
        if name.suffix == ".npy":
            assert whole.read_bytes() == rows.read_bytes()
        else:
            np.testing.assert_array_equal(*(np.asarray(Image.open(p)) for p in (whole, rows)))


def test_a_large_image_is_predicted_in_tiles(
    kerasseg, model, model_file, tmp_path, rng, monkeypatch
):
    image = rng.integers(0, 256, (70, 130, 3), "uint8")
    Image.fromarray(image).save(tmp_path / "wide.png")
    monkeypatch.setattr(predict, "WHOLE", 70 * 130 - 1)
    monkeypatch.setattr(predict, "TILE", 64)
    words = ("--image-size", "native", "--output", tmp_path / "maps")
    assert kerasseg("predict", model_file, tmp_path / "wide.png", *words) == 0
    found = np.asarray(Image.open(tmp_path / "maps" / "wide.png"))
    np.testing.assert_array_equal(found, predict_image(model, image, tile=64))


def test_names_of_labels_are_those_that_a_file_system_takes():
    assert file_names(["a", "b/c", "d\x1b[2J"]) == ["a", "b_c", "d_[2J"]
    assert file_names(["a" * 200, "b"]) == ["label 0", "label 1"]
    assert file_names(["보행자" * 20, "b"]) == ["label 0", "label 1"]
    assert file_names(["a", "A"]) == ["label 0", "label 1"]


@pytest.mark.parametrize(
    ("names", "words", "message"),
    [
        (("x.png/y.png", "x.jpg"), (), "would be the label map of .*x.jpg and the folder of that"),
        (("overlays/x.png", "x.png"), ("--overlays",), "would both become .*overlays/x.png"),
    ],
)
def test_label_maps_that_would_lie_upon_each_other_are_refused(
    names, words, message, kerasseg, model_file, tmp_path, capsys
):
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4)).save(tmp_path / "in" / name)
    output = tmp_path / "out"
    assert kerasseg("predict", model_file, tmp_path / "in", "--output", output, *words) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not output.exists()


def test_a_size_that_needs_too_much_memory_is_refused_in_advance(
    kerasseg, model_file, tmp_path, capsys, monkeypatch
):
    Image.new("RGB", (500, 400)).save(tmp_path / "x.png")
    words = ("predict", model_file, tmp_path / "x.png", "--output", tmp_path / "new")
    assert kerasseg(*words, "--image-size", 100000, 100000) == 2
    expected = "--image-size: expected 1,073,741,824 pixels at most. Received: 100000 100000"
    assert expected in capsys.readouterr().err
    monkeypatch.setattr("kerasseg.datasets.memory.available_memory", lambda: 10**6)
    assert kerasseg(*words, "--image-size", 1000, 1000) == 2
    assert "An image of 1000x1000 pixels needs" in capsys.readouterr().err
    assert kerasseg(*words) == 2
    assert "x.png, of 500x400 pixels, needs" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


MEMORY = """
import resource, sys
from kerasseg import cli
def predict(image, output, *words):
    assert cli.main(["predict", sys.argv[1], image, "--output", output, *words]) == 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
base = predict(sys.argv[2], sys.argv[4] + "/small")
print(predict(sys.argv[3], sys.argv[4] + "/large", *sys.argv[5:]) - base)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--probabilities", "--overlays"),
        ("--image-size", "native", "--probabilities", "--overlays"),
        ("--image-size", "native", "--tile", "256"),
    ],
    ids=" ".join,
)
def test_108_million_pixels_take_two_gibibytes_in_every_mode(words, tmp_path, rng):
    model = unet((None, None, 3), 4, width=1 / 32)
    model = with_classes(model, ["a", "b", "c", "d"], image_size=(64, 64))
    model.save(tmp_path / "model.keras")
    rows = rng.integers(0, 256, (100, 12_000, 3), "uint8")
    for name, height in (("small", 100), ("large", 9_000)):
        with (
            open(tmp_path / f"{name}.png", "wb") as file,
            PngWriter(file, (height, 12_000)) as image,
        ):
            for _ in range(height // 100):
                image.write(rows)
    paths = (tmp_path / name for name in ("model.keras", "small.png", "large.png", "maps"))
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, paths), *words],
        env=environment(keras.backend.backend()),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert int(result.stdout.splitlines()[-1]) < 2 * 2**30
