"""A batch that would ruin a training is refused in words."""

import numpy as np
import pytest
from keras import ops

from kerasseg import check_batch
from tests.datasets.doctor.examples import SIZE, batch, found, interpolated


def test_a_good_batch_passes_with_nothing_found_and_its_numbers(rng):
    images, labels = batch(rng)
    labels[0, 3, :5] = 255
    report = check_batch(images, labels, 3)
    assert report.findings == []
    assert report.exit_code == 0
    pixels = images.reshape(-1, 3).astype("float64")
    np.testing.assert_allclose(report.total.mean, pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(report.total.std, pixels.std(0), rtol=1e-9)
    assert report.total.class_pixels.tolist() == [np.sum(labels == i) for i in range(3)]
    assert report.total.void_pixels == 5


def with_value(labels, value):
    labels = labels.astype(np.result_type(labels, np.asarray(value).dtype))
    labels[1, 2, 3] = value
    return labels


ERRORS = {
    "an id too large": (
        lambda x, y: (x, with_value(y, 7)),
        "image 1: holds the label id 7, which is out",
    ),
    "an id below zero": (
        lambda x, y: (x, with_value(y, -1)),
        "image 1: holds the label id -1, which is o",
    ),
    "a fraction": (lambda x, y: (x, with_value(y, 0.25)), "fractions of ids, 0.25, outside"),
    "ids divided by 255": (
        lambda x, y: (x, (y / 255).astype("float32")),
        r"ids divided by 255.*fractions of ids.*`\(labels \* 255\)",
    ),
    "NaN in labels": (lambda x, y: (x, with_value(y, np.nan)), "fractions of ids, nan, outside"),
    "one-hot": (lambda x, y: (x, np.eye(3)[y]), r"one-hot labels.*`labels.argmax\(-1\)`"),
    "one-hot, channels first": (
        lambda x, y: (x, np.moveaxis(np.eye(3)[y], -1, 1)),
        r"one-hot labels.*`labels.argmax\(1\)`",
    ),
    "one-hot, flattened": (lambda x, y: (x, np.eye(3)[y].reshape(2, -1, 3)), "one-hot labels"),
    "labels of another size": (
        lambda x, y: (x, y[:, :-2]),
        "different size.*is 22x32 pixels .*its image 24x32.*nearest neighbour",
    ),
    "images of bytes": (
        lambda x, y: ((x * 255).astype("uint8"), y),
        r"outside \[0, 1\].*image 0: holds values from 0 to 25\d.*Divide 8-bit images by 255",
    ),
    "images in [-1, 1]": (lambda x, y: (2 * x - 1, y), r"from -\S+ to .*\(images \+ 1\) / 2"),
    "NaN in images": (lambda x, y: (x * np.nan, y), "NaN or infinite"),
    "no batch axis": (lambda x, y: (x[0], y[0]), "label maps have 3 axes.*images have 4 axes"),
    "flat labels": (lambda x, y: (x, y.reshape(2, -1)), r"have 3 axes.*labels \(2, 768\)"),
    "a label map too few": (lambda x, y: (x, y[:1]), "every image needs one label map"),
    "an empty batch": (lambda x, y: (x[:0], y[:0]), "the batch is empty"),
    "pictures of two sizes": (lambda x, y: ([x[0], x[1, 1:]], y), "`images` must make one array"),
}


@pytest.mark.parametrize("fault", ERRORS)
def test_a_batch_that_ruins_a_training_raises_an_error_in_words(fault, rng):
    change, words = ERRORS[fault]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        check_batch(*change(*batch(rng)), 3)


def test_labels_of_0_and_255_for_two_classes_raise_with_the_remedy(rng):
    images, labels = batch(rng, classes=2)
    with pytest.raises(ValueError, match=r"(?s)masks of 0 and 255.*pass `labels // 255`"):
        check_batch(images, labels * 255, 2)
    assert check_batch(images, labels, 2).findings == []


def test_labels_of_0_and_255_with_much_void_raise_for_more_classes_too(rng):
    images, labels = batch(rng, classes=2)
    labels[:, :12] = 1
    with pytest.raises(ValueError, match=r"(?s)masks of 0 and 255.*pass `labels // 255`"):
        check_batch(images, labels * 255, 3)


def test_one_class_is_refused_as_the_background_is_one_too(rng):
    with pytest.raises(
        ValueError, match="an integer, 2 at least: the background .*Received: num_classes=1"
    ):
        check_batch(*batch(rng, classes=2), 1)


def test_one_error_lists_everything_that_is_wrong(rng):
    images, labels = batch(rng)
    with pytest.raises(ValueError, match=r"(?s)outside \[0, 1\].*values outside the classes"):
        check_batch(images * 3, labels + 9, 3)


def test_in_between_values_of_smooth_resizing_are_called_interpolated(rng):
    images, labels = batch(rng, classes=2)
    blurred = np.stack([interpolated(mask * 255) for mask in labels])
    with pytest.raises(
        ValueError, match=r"(?s)interpolated masks.*along its edges, which are outside the"
    ):
        check_batch(images, blurred, 2)


def test_in_between_ids_that_are_classes_too_give_a_warning(rng):
    images, labels = batch(rng, classes=2)
    blurred = np.stack([interpolated(mask * 8) for mask in labels])
    report = check_batch(images, blurred, 9)
    assert len(found(report, "masks that look interpolated")) == 2
    report = check_batch(images, labels * 8, 9)
    assert {finding.title for finding in report.findings} == {"classes that never occur"}


def test_thin_lines_noise_and_gradients_do_not_look_interpolated(rng):
    images, _ = batch(rng, count=4)
    lines = np.zeros(SIZE, "uint8")
    lines[:, 4::8], lines[:, 20:] = 5, 8
    noise = rng.integers(0, 9, SIZE)
    across, down = np.tile(np.arange(SIZE[1]) % 9, (SIZE[0], 1)), np.indices(SIZE)[0] // 3
    report = check_batch(images, np.stack([lines, noise, across, down]), 9)
    assert report.findings == []


def test_warnings_are_returned_and_can_be_printed(rng):
    images, labels = batch(rng)
    images[0] = 0.5
    labels = labels.astype("float32")
    labels[1] = 255
    labels[labels == 2] = 0
    report = check_batch(images, labels, 3)
    assert report.exit_code == 1
    assert {finding.title: finding.message for finding in report.warnings} == {
        "a void share above 30%": "50.0% of the pixels of batch are void",
        "classes that never occur": "class 2, id 2: no pixel in any mask",
        "constant images": "every pixel is (0.5, 0.5, 0.5)",
        "float labels": "holds whole numbers stored as floats",
    }
    assert "WARNING  constant images\n  image 0: every pixel is (0.5, 0.5, 0.5)" in str(report)


def test_another_void_id_or_none_is_understood(rng):
    images, labels = batch(rng)
    labels[:, 5, :4] = 9
    assert check_batch(images, labels, 3, ignore_class=9).total.void_pixels == 8
    with pytest.raises(
        ValueError,
        match=r"(?s)the label id 9, .* Allowed ids: 0 to 2\n",
    ):
        check_batch(images, labels, 3, ignore_class=None)


@pytest.mark.parametrize("kind", ["list", "keras", "tensorflow", "jax", "torch"])
def test_tensors_of_every_backend_and_lists_are_understood(kind, rng):
    images, labels = batch(rng)
    if kind == "list":
        convert = np.ndarray.tolist
    elif kind == "keras":
        convert = ops.convert_to_tensor
    else:
        library = pytest.importorskip("jax.numpy" if kind == "jax" else kind)
        convert = {"torch": "from_numpy", "jax": "asarray"}.get(kind, "convert_to_tensor")
        convert = getattr(library, convert)
    report = check_batch(convert(images), convert(labels), 3)
    assert report.findings == []
    assert report.total.class_pixels.tolist() == [np.sum(labels == i) for i in range(3)]
    with pytest.raises(ValueError, match="holds the label id 2, which is outside the classes"):
        check_batch(convert(images), convert(labels), 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_images_in_half_precision_are_understood(dtype, rng):
    images, labels = batch(rng)
    assert check_batch(ops.cast(images, dtype), labels, 3).findings == []


def test_channels_first_and_a_channel_axis_of_one_are_understood(rng):
    images, labels = batch(rng)
    expected = check_batch(images, labels, 3).total.mean
    for maps in (labels[..., None], labels[:, None]):
        report = check_batch(np.moveaxis(images, -1, 1), maps, 3)
        np.testing.assert_allclose(report.total.mean, expected)


@pytest.mark.parametrize("num_classes", [2.0, "2", None])
def test_a_number_of_classes_that_is_no_integer_is_named(num_classes, rng):
    with pytest.raises(ValueError, match="must be an integer, 2 at least.*Received: num_classes="):
        check_batch(*batch(rng), num_classes)


@pytest.mark.parametrize("dtype", [str, complex])
def test_arrays_of_no_numbers_are_named(dtype, rng):
    images, labels = batch(rng)
    with pytest.raises(ValueError, match="`labels` must hold numbers. Received: labels of dtype"):
        check_batch(images, labels.astype(dtype), 3)


def labelled(rng, labels=3):
    """A batch in which a pixel has any number of labels."""
    images, ids = batch(rng)
    masks = np.stack([(ids == i % 3) | (ids == 1) for i in range(labels)], -1)
    return images, masks.astype("int32")


@pytest.mark.parametrize("labels", [1, 2, 3, 5])
def test_masks_of_labels_pass_and_each_label_is_counted(labels, rng):
    images, masks = labelled(rng, labels)
    masks[1, 3, :5, 0] = 255
    report = check_batch(images, masks, labels, multi_label=True)
    assert report.findings == []
    assert report.total.class_pixels.tolist() == [np.sum(masks[..., i] == 1) for i in range(labels)]
    assert report.total.void_pixels == 5
    np.testing.assert_allclose(report.total.mean, images.reshape(-1, 3).mean(0), rtol=1e-5)


LABEL_ERRORS = {
    "an id of a class": (
        lambda y: with_value(y, 2),
        "image 1: holds the label id 2, which is outs",
    ),
    "0 and 255": (lambda y: 255 * y, r"masks of 0 and 255.*pass `labels // 255`"),
    "probabilities": (lambda y: 0.25 * y, "fractions of ids, 0.25"),
    "a label too few": (
        lambda y: y[..., :2],
        r"3 labels are \(batch, height, width, 3\)\. Received",
    ),
    "ids in place of masks": (lambda y: y[..., 0], r"labels are .*`np.stack\(masks, axis=-1\)`"),
    "masks of another size": (lambda y: y[:, :-2], "different size.*is 22x32 pixels .*its image"),
    "an image without masks": (lambda y: y[:1], "every image needs one label map"),
}


@pytest.mark.parametrize("fault", LABEL_ERRORS)
def test_wrong_masks_of_labels_raise_an_error_in_words(fault, rng):
    images, masks = labelled(rng)
    change, words = LABEL_ERRORS[fault]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        check_batch(images, change(masks), 3, multi_label=True)


def test_a_label_that_never_occurs_is_a_warning(rng):
    images, masks = labelled(rng)
    masks[..., 2] = 0
    (finding,) = check_batch(images, masks, 3, multi_label=True).findings
    assert finding.message.startswith("label 2")


def test_one_label_is_enough_and_none_is_not(rng):
    images, masks = labelled(rng, 1)
    assert check_batch(images, masks, 1, multi_label=True).findings == []
    with pytest.raises(ValueError, match="multi_label=True, 1 at least. Received: num_classes=0"):
        check_batch(images, masks, 0, multi_label=True)
