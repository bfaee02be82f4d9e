"""Wrong labels are found, with their place, and nothing else where the labels are right."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from kerasseg import datasets
from kerasseg.training.label_errors import find_label_errors, save_label_errors

COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], "uint8")
CLASSES = ["ground 0 0 0", "cat 255 0 0", "dog 0 255 0"]


def reader(sharpness=20.0):
    """A model that reads the class off the colour: it is right wherever the image is clear."""
    image = keras.Input((None, None, 3))
    scores = keras.layers.Conv2D(3, 1, name="scores")
    model = keras.Model(image, scores(image))
    kernel = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], "float32") * sharpness
    scores.set_weights([kernel[None, None], np.array([sharpness / 2, 0, 0], "float32")])
    return model


def make_folder(path, change=lambda i, mask: mask, count=10, size=(40, 60)):
    """Squares of two classes; `change` says which mask each image gets instead of its own."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (path / kind).mkdir(parents=True)
    (path / "classes.txt").write_text("\n".join(name.split()[0] for name in CLASSES))
    for i in range(count):
        mask = np.zeros(size, "uint8")
        mask[5:25, 8:28], mask[10:30, 36:52] = 1, 2
        image = COLOURS[mask] // 2 + rng.integers(100, 128, (*size, 3)).astype("uint8")
        Image.fromarray(image).save(path / f"images/{i:02}.png")
        Image.fromarray(change(i, mask)).save(path / f"masks/{i:02}.png")
    return datasets.load("folder", data_dir=path, batch_size=4)


def swapped(i, mask):
    """Image 3 has cats for dogs."""
    return np.array([0, 2, 1], "uint8")[mask] if i == 3 else mask


def test_right_labels_are_no_suspects(tmp_path):
    assert find_label_errors(reader(), make_folder(tmp_path)) == ([], 10)


def test_swapped_classes_are_found_with_their_place_and_their_names(tmp_path):
    regions, images = find_label_errors(reader(), make_folder(tmp_path, swapped))
    assert images == 10
    assert [region.file for region in regions] == [str(tmp_path / "images/03.png")] * 2
    first, second = regions
    assert (first.labelled, first.predicted) == ("dog", "cat")
    assert first.box == (5, 8, 25, 28)
    assert first.share == pytest.approx(400 / 2400)
    assert 0.99 < first.confidence <= 1
    assert (second.labelled, second.predicted, second.box) == ("cat", "dog", (10, 36, 30, 52))
    assert second.score < first.score / 2


def test_a_shifted_mask_is_found_and_a_contour_that_is_one_pixel_off_is_not(tmp_path):
    def shifted(i, mask):
        return np.roll(mask, {2: 8, 5: 1}.get(i, 0), axis=1)

    regions, _ = find_label_errors(reader(), make_folder(tmp_path, shifted))
    assert {region.file[-6:] for region in regions} == {"02.png"}


def test_what_the_model_confuses_everywhere_ranks_below_what_is_rare(tmp_path):
    def change(i, mask):
        mask = np.where(mask == 2, 0, mask).astype("uint8")  # no dog is ever labelled
        if i == 4:
            mask[5:25, 8:20] = 2  # and a part of one cat is called a dog
        return mask

    regions, _ = find_label_errors(reader(), make_folder(tmp_path, change))
    assert len(regions) == 11
    assert (regions[0].labelled, regions[0].predicted) == ("dog", "cat")
    assert {(r.labelled, r.predicted) for r in regions[1:]} == {("ground", "dog")}
    assert regions[0].share < regions[1].share


def test_void_is_no_error(tmp_path):
    def void(i, mask):
        return np.where(mask == 1, 255, mask).astype("uint8")

    assert find_label_errors(reader(), make_folder(tmp_path, void))[0] == []


def test_the_box_is_in_pixels_of_the_file_whatever_the_size_of_the_model(tmp_path):
    make_folder(tmp_path, swapped)
    data = datasets.load("folder", data_dir=tmp_path, image_size=(20, 30), batch_size=4)
    regions, _ = find_label_errors(reader(), data)
    assert len(regions) == 2
    np.testing.assert_allclose(regions[0].box, (5, 8, 25, 28), atol=2)
    assert regions[0].image.shape[0] <= 20


def test_the_list_ends_at_its_limit_with_the_strongest(tmp_path):
    def all_swapped(i, mask):
        return np.where(mask[:, ::-1] == 2, 1, 0).astype("uint8")

    data = make_folder(tmp_path, all_swapped)
    everything, _ = find_label_errors(reader(), data)
    few, _ = find_label_errors(reader(), data, limit=3)
    assert len(everything) > 3
    assert [r.score for r in few] == pytest.approx([r.score for r in everything[:3]])


@pytest.mark.parametrize("channels", [1, 2])
def test_one_channel_and_labels_have_suspects_too(tmp_path, channels):
    names = ["cat"] if channels == 1 else ["cat", "dog"]
    (tmp_path / "images").mkdir()
    folders = ["masks"] if channels == 1 else [f"masks/{name}" for name in names]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    for i in range(10):
        mask = np.zeros((40, 60), "uint8")
        mask[5:25, 8:28] = 255
        image = np.stack([mask, 255 - mask, np.full_like(mask, 9 * i)], -1)
        Image.fromarray(image).save(tmp_path / f"images/{i:02}.png")
        for folder in folders:
            last = folder == folders[-1]
            right = mask if folder == folders[0] else 255 - mask
            wrong = np.where(np.arange(60) < 30, 0, right).astype("uint8")
            Image.fromarray(wrong if i == 7 and last else right).save(
                tmp_path / folder / f"{i:02}.png"
            )
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Rescaling(20.0, -10.0)(image[..., :channels]))
    data = datasets.load("folder", data_dir=tmp_path, batch_size=4)
    regions, _ = find_label_errors(model, data)
    expected = ("background", "foreground") if channels == 1 else ("no dog", "dog")
    assert [(r.file[-6:], r.labelled, r.predicted) for r in regions] == [("07.png", *expected)]


def test_what_is_saved_is_json_with_paths_of_images_that_are_there(tmp_path):
    data = make_folder(tmp_path / "set", swapped)
    folder = tmp_path / "page"
    found = save_label_errors(folder, *find_label_errors(reader(), data), data, tmp_path / "set")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    first = found["regions"][0]
    assert first["file"] == "images/03.png"
    assert first["box"] == [5, 8, 25, 28]
    image = np.asarray(Image.open(folder / first["image"]))
    truth = np.asarray(Image.open(folder / first["truth"]))
    assert image.shape == truth.shape
    assert (image == (255, 0, 255)).all(-1).sum() == 4 * 20 + 4  # the frame around the region
    assert found["class_names"] == ["ground", "cat", "dog"]


def test_a_model_of_other_classes_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(5, 1)])
    with pytest.raises(ValueError, match="one score a class, 3 of them.*Received: .*=5"):
        find_label_errors(model, make_folder(tmp_path))


def test_the_box_in_a_photo_that_its_exif_tag_turns_is_that_of_the_turned_one(tmp_path):
    data = make_folder(tmp_path, swapped)
    plain, _ = find_label_errors(reader(), data)
    for path in (tmp_path / "images").iterdir():
        image = Image.open(path).transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6  # turn it clockwise to see it
        image.save(path, exif=exif)
    turned, _ = find_label_errors(reader(), datasets.load("folder", data_dir=tmp_path))
    assert [region.box for region in turned] == [region.box for region in plain]
