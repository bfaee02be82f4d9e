"""Nuclei in both layouts: the same images, label maps, numbers and splits."""

import numpy as np
import pytest
from PIL import Image

from kerasseg import datasets
from kerasseg.datasets import nuclei
from tests.conftest import SHARED, real

SIZE = (11, 14)


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


def drawn(i, size=SIZE):
    """Image number i, in which each nucleus has a red of its own, and its instances."""
    rng = np.random.default_rng(i)
    instances = np.zeros(size, "uint16")
    for number in range(1, 3 + i % 3):
        instances[3 * number - 2 : 3 * number, rng.integers(0, 5) : rng.integers(6, 14)] = number
    image = np.stack([10 * instances, np.full(size, i), np.zeros(size)], -1).astype("uint8")
    return image, instances


def save_merged(folder, count=12, size=SIZE):
    for kind in ("images", "instances"):
        (folder / kind).mkdir(parents=True)
    for i in range(count):
        image, instances = drawn(i, size)
        Image.fromarray(image).save(folder / "images" / f"cell{i:02}.png")
        Image.fromarray(instances).save(folder / "instances" / f"cell{i:02}.png")
    return folder


def save_published(folder, count=12):
    """With an alpha channel, as the published images have one."""
    for i in range(count):
        image, instances = drawn(i)
        masks = {f"mask{n}": instances == n for n in range(1, instances.max() + 1)}
        save_image_folder(folder / f"cell{i:02}", image, masks)
    return folder


def save_image_folder(path, image, masks):
    for kind in ("images", "masks"):
        (path / kind).mkdir(parents=True)
    opaque = np.concatenate([image, np.full((*image.shape[:2], 1), 255, "uint8")], -1)
    Image.fromarray(opaque).save(path / "images" / f"{path.name}.png")
    for name, mask in masks.items():
        Image.fromarray(255 * mask.astype("uint8")).save(path / "masks" / f"{name}.png")


def load(folder, **arguments):
    return datasets.load("nuclei", data_dir=folder, augment=False, **arguments)


@pytest.fixture(params=["published", "its parent", "merged"])
def folder(request, tmp_path):
    if request.param == "merged":
        return save_merged(tmp_path)
    holder = save_published(tmp_path / "stage1_train")
    return holder if request.param == "published" else tmp_path


def test_every_layout_gives_the_drawn_images_and_instances(folder):
    images, instances = everything(load(folder, target="instances").test)
    for image, numbers, i in zip(images, instances, (4, 9)):
        expected_image, expected_numbers = drawn(i)
        np.testing.assert_allclose(image, expected_image / 255, atol=1e-6)
        np.testing.assert_array_equal(numbers, expected_numbers)


def test_every_fifth_image_is_for_test_and_every_fifth_of_the_rest_for_validation(folder):
    data = load(folder)
    splits = [everything(split)[0] for split in (data.train, data.validation, data.test)]
    numbers = [sorted(np.rint(255 * images[:, 0, 0, 1]).astype(int)) for images in splits]
    assert numbers == [[0, 1, 2, 3, 6, 7, 8, 10], [5, 11], [4, 9]]


def test_the_label_is_1_where_a_nucleus_is(folder):
    _, labels = everything(load(folder).validation)
    _, instances = everything(load(folder, target="instances").validation)
    np.testing.assert_array_equal(labels, instances > 0)
    assert labels.dtype == instances.dtype == np.int32


def test_the_classes_are_named_and_counted(folder):
    data = load(folder)
    assert data.class_names == ("background", "nucleus")
    assert (data.target, data.ignore_class, data.image_shape) == ("label", 255, (*SIZE, 3))
    sizes = [np.count_nonzero(drawn(i)[1]) for i in (0, 1, 2, 3, 6, 7, 8, 10)]
    expected = [[np.prod(SIZE) - size, size] for size in sizes]
    np.testing.assert_array_equal(data.class_pixels, expected)


def test_instances_stay_whole_numbers_when_they_are_resized_and_augmented(folder):
    data = datasets.load("nuclei", data_dir=folder, target="instances", image_size=(20, 9))
    _, instances = everything(data.train)
    assert instances.shape == (8, 20, 9)
    assert set(np.unique(instances)) <= {0, 1, 2, 3, 4}


def test_sizes_may_differ(tmp_path):
    folder = save_merged(tmp_path)
    for path in (folder / "images" / "cell03.png", folder / "instances" / "cell03.png"):
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    with pytest.raises(ValueError, match="differ in size .* Pass `image_size`"):
        load(folder)
    assert everything(load(folder, image_size=(8, 8)).train)[0].shape == (8, 8, 8, 3)
    assert {x.shape[1:3] for x, _ in load(folder, batch_size=1).train} == {SIZE, SIZE[::-1]}


def test_overlapping_pixels_belong_to_the_smaller_nucleus_and_of_equal_ones_to_the_first():
    large, small, other = np.zeros((3, 4, 9), bool)
    large[:, :6], small[1:3, 4:8], other[2:4, 5:9] = True, True, True
    instances = nuclei.merged([large, small, other])
    expected = np.zeros((4, 9), int)
    for mask, number in ((large, 1), (other, 3), (small, 2)):
        expected[mask] = number
    np.testing.assert_array_equal(instances, expected)


def test_numbers_have_no_gaps_where_a_mask_is_empty_or_hidden():
    nothing, one, two = np.zeros((3, 2, 5), bool)
    one[0, :2], two[0, 2:] = True, True
    assert nuclei.merged([nothing, one, two]).tolist() == [[1, 1, 2, 2, 2], [0] * 5]
    hidden = np.ones((1, 2), bool)  # by two smaller ones
    assert nuclei.merged([hidden, hidden & [True, False], hidden & [False, True]]).tolist() == [
        [1, 2]
    ]


def save_array(path, values):
    Image.fromarray(np.asarray(values)).save(path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda path: (path / "images" / "cell03.png").unlink(),
            "cell03 is no image with its nuclei: it lacks images/cell03.png",
        ),
        (
            lambda path: [p.unlink() for p in (path / "masks").iterdir()],
            "cell03 is no image with its nuclei: it lacks one PNG per nucleus in masks/",
        ),
        (
            lambda path: save_array(path / "masks" / "mask1.png", np.zeros((5, 5), "uint8")),
            "mask1.png.* is 5x5 pixels .* its image .*cell03.png is 11x14",
        ),
        (
            lambda path: save_array(path / "masks" / "mask1.png", np.eye(*SIZE, dtype="uint8") + 3),
            "mask1.png: expected the mask of one nucleus, black and white. Received: 2 values",
        ),
        (
            lambda path: (path / "masks" / "mask1.png").write_bytes(b"\x89PNG nothing"),
            "mask1.png.* cannot be read as an image",
        ),
    ],
)
def test_damage_in_the_published_layout_is_one_error_with_the_path(damage, words, tmp_path):
    damage(save_published(tmp_path / "stage1_train") / "cell03")
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load(tmp_path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda path: (path / "images" / "cell03.png").unlink(),
            "images holds no cell03.png, which its partner has",
        ),
        (
            lambda path: (path / "instances" / "cell03.png").unlink(),
            "instances holds no cell03.png, which its partner has",
        ),
        (
            lambda path: [p.unlink() for kind in path.iterdir() for p in kind.iterdir()],
            "images holds no PNG files. Expected images/",
        ),
        (
            lambda path: save_array(path / "instances" / "cell03.png", drawn(3)[0]),
            r"cell03.png: expected one channel of 8 or 16 bits.*shape=\(11, 14, 3\)",
        ),
        (
            lambda path: save_array(path / "instances" / "cell03.png", drawn(3)[1][1:]),
            "cell03.png.* is 10x14 pixels",
        ),
        (
            lambda path: [p.unlink() for p in path.glob("*/*") if p.stem > "cell04"],
            "expected at least 6 images, for three splits. Received: 5 images",
        ),
    ],
)
def test_damage_in_the_merged_layout_is_one_error_with_the_path(damage, words, tmp_path):
    damage(save_merged(tmp_path))
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load(tmp_path)


def test_other_folders_and_no_folder_are_named_with_the_layouts(tmp_path):
    (tmp_path / "something").mkdir()
    with pytest.raises(FileNotFoundError, match=r"No nuclei in .*ID/masks/.*\['something'\]"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="Received: no such folder"):
        load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="nuclei needs `data_dir`, with .*data_dir=None"):
        load(None)


def test_folders_of_archive_tools_are_left_out(tmp_path):
    holder = save_published(tmp_path / "stage1_train")
    (holder / "__MACOSX").mkdir()
    (holder / ".hidden").mkdir()
    (tmp_path / "stage1_train_labels.csv").touch()
    assert len(nuclei.find(tmp_path)) == 12


def test_the_real_images_have_three_disjoint_splits():
    data = load(real(SHARED / "nuclei"), image_size=(48, 40), batch_size=64)
    splits = [everything(split) for split in (data.train, data.validation, data.test)]
    assert [len(images) for images, _ in splits] == [256, 63, 79]
    assert all(set(np.unique(labels)) == {0, 1} for _, labels in splits)
    share = data.class_pixels[:, 1].sum() / data.class_pixels.sum()
    assert 0.1 < share < 0.25


def test_real_images_in_the_published_layout_are_those_of_the_merged_one(tmp_path):
    pairs = nuclei.find(real(SHARED / "nuclei"))[:7]
    for image_path, instances_path in pairs:
        numbers = np.asarray(Image.open(instances_path))
        masks = {f"{n:05}": numbers == n for n in range(1, numbers.max() + 1)}
        image = np.asarray(Image.open(image_path))
        save_image_folder(tmp_path / image_path.stem, image, masks)
    for pair, again in zip(pairs, nuclei.find(tmp_path), strict=True):
        for array, expected in zip(nuclei.read_pair(*again), nuclei.read_pair(*pair)):
            np.testing.assert_array_equal(array, expected)
