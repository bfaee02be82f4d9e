"""How much a pixel should count: by how rare its class is, by how near it is to an outline."""

import numpy as np

from kerasseg.losses.label_maps import illegal_id
from kerasseg.requirements import require


def class_frequencies(labels, num_classes, ignore_class=255):
    """The share of each class in the pixels that are not void.

    Args:
        labels: Label maps: one array, (height, width) or (batch, height, width), perhaps with a
            last axis of one; or anything finite that gives such batches, or (images, labels), such
            as `Dataset.train` or a PyTorch `DataLoader`.
        num_classes: Number of classes, void not counted.
        ignore_class: The void id, or `None`.

    Returns:
        float64 array (num_classes,) of sum 1; zeros where there is nothing but void.

    Raises:
        ValueError: an id outside the classes; labels of another shape.

    Example: the last pixel is void.

    >>> class_frequencies(np.array([[0, 0, 2, 0, 255]]), num_classes=3)
    array([0.75, 0.  , 0.25])
    """
    counts = pixels_per_image(labels, num_classes, ignore_class).sum(axis=0)
    return counts / max(counts.sum(), 1)


def median_frequency_weights(labels, num_classes, ignore_class=255):
    """Class weights that balance: the median of the class frequencies over each of them.

    The frequency of a class is its number of pixels over the number of all pixels, void left out,
    *in the images where it occurs*: a class that is small where it occurs weighs more, one that
    occurs seldom does not. The median goes over the classes that occur; the others get weight 0.
    Counting only the images where a class occurs is due to Eigen and Fergus, ICCV 2015, section
    6.3.2; SegNet (Badrinarayanan, Kendall and Cipolla, PAMI 2017, section 3.2) takes the median
    balance from them. Book: chapter 6, weighted loss (notebook 6.5), takes log-inverse shares.

    Args:
        labels, num_classes, ignore_class: As in `class_frequencies`.

    Returns:
        float64 array (num_classes,), for `class_weights` of a loss.

    Raises:
        ValueError: As in `class_frequencies`.

    Example: class 0 has 3 of the 4 pixels of the first map, class 1 has 3 of the 6 in both; the
    median of the two frequencies is 5/8.

    >>> median_frequency_weights(np.array([[[0, 0, 0, 1]], [[1, 1, 255, 255]]]), num_classes=3)
    array([0.83333333, 1.25      , 0.        ])
    """
    return weights_of_counts(pixels_per_image(labels, num_classes, ignore_class))


def weights_of_counts(counts):
    """`median_frequency_weights` of pixels that are counted already.

    Args:
        counts: Integers (images, num_classes): how many pixels of each class each image has.

    Returns:
        float64 array (num_classes,).

    Example: the counts of the example above.

    >>> weights_of_counts([[3, 1, 0], [0, 2, 0]])
    array([0.83333333, 1.25      , 0.        ])
    """
    counts = np.asarray(counts)
    occurs = counts > 0
    pixels = np.where(occurs, counts.sum(axis=1, keepdims=True), 0).sum(axis=0)
    present = occurs.any(axis=0)
    frequencies = counts.sum(axis=0)[present] / pixels[present]
    weights = np.zeros(counts.shape[1])
    if present.any():
        weights[present] = np.median(frequencies) / frequencies
    return weights


def outline_weights(
    labels, class_weights=None, *, background=None, ignore_class="auto", w0=10.0, sigma=5.0
):
    """Weights that grow towards the outlines between objects: `w_c + w0 exp(-(d1+d2)²/(2 sigma²))`.

    `d1` and `d2` are a pixel's distances, in pixels, to the nearest and to the second nearest
    object of its map; `d1` is 0 inside an object. An object is all the pixels of one id. So in a
    map of instances (`background=0`) the gaps between touching cells weigh most, as in U-Net, and
    in a map of classes (`background=None`) both sides of every outline. A map with fewer than two
    objects has no outlines. Ronneberger, Fischer and Brox, MICCAI 2015, equation 2; book, chapter
    6, outline weight maps (notebook 6.5), has 4 on the outlines and 1 elsewhere.

    Args:
        labels: Ids, (height, width) or (batch, height, width), perhaps with a last axis of one.
        class_weights: `w_c`, one number an id, in their order or as a dict; `None` for 1.
        background: The id of pixels that belong to no object, or `None`.
        ignore_class: The void id, or `None`; void pixels are no object and weigh 0. `"auto"` is 255
            without `background`, and `None` with it: in a map of instances 255 is an object.
        w0: Weight that an outline adds.
        sigma: How far it reaches, in pixels.

    Returns:
        float32 array (height, width) or (batch, height, width), for `sample_weight` of a loss.

    Raises:
        ValueError: an id without a class weight; labels of another shape.

    Example: between two objects, 1 + 10 exp(-(1 + 1)² / 50).

    >>> outline_weights(np.array([[1, 0, 2]]), background=0)[0, 1]
    np.float32(10.231163)
    """
    maps = as_batch(labels)
    if ignore_class == "auto":
        ignore_class = 255 if background is None else None
    if class_weights is not None:
        class_weights = np.array(weights_in_order(class_weights))
        check_ids(maps, len(class_weights), ignore_class)
    weights = np.zeros(maps.shape, "float32")
    for weight, ids in zip(weights, maps):
        counted = np.ones(ids.shape, bool) if ignore_class is None else ids != ignore_class
        base = 1.0 if class_weights is None else class_weights[ids[counted].astype("int64")]
        near, second = nearest_two_distances(ids, without=(background, ignore_class))
        outline = w0 * np.exp(-np.square(near + second) / (2 * sigma**2))
        weight[counted] = base + outline[counted]
    return weights if np.ndim(labels) > 2 else weights[0]


def weights_in_order(class_weights):
    """Class weights as floats in the order of the ids; Keras's dict form is understood."""
    if isinstance(class_weights, dict):
        ids = range(len(class_weights))
        if set(class_weights) != set(ids):
            raise ValueError(
                "`class_weights` given as a dict must have the keys 0 to num_classes - 1, one "
                f"weight a class. Received: class_weights={class_weights}"
            )
        class_weights = [class_weights[class_id] for class_id in ids]
    return [float(weight) for weight in class_weights]


def nearest_two_distances(ids, without):
    """From each pixel to the nearest and the second nearest object; infinite without one."""
    distance_transform_edt = require("scipy.ndimage").distance_transform_edt
    nearest, second = np.full((2, *ids.shape), np.inf)
    for object_id in set(np.unique(ids)) - set(without):
        distance = distance_transform_edt(ids != object_id)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return nearest, second


def pixels_per_image(labels, num_classes, ignore_class):
    """How many pixels of each class each image has, int64 (images, num_classes)."""
    counts = [np.zeros((0, num_classes), "int64")]
    for batch in [labels] if hasattr(labels, "shape") else labels:
        maps = as_batch(batch[1] if is_pair(batch) else batch)
        check_ids(maps, num_classes, ignore_class)
        for ids in maps:
            counted = ids if ignore_class is None else ids[ids != ignore_class]
            count = np.bincount(counted.ravel().astype("int64"), minlength=num_classes)
            counts.append(count[None])
    return np.concatenate(counts)


def check_ids(labels, num_classes, ignore_class):
    """Raises `ValueError` for an id outside the classes in a NumPy array."""
    legal = (labels >= 0) & (labels < num_classes) & (labels % 1 == 0)
    if ignore_class is not None:
        legal |= labels == ignore_class
    if not legal.all():
        raise illegal_id(labels, legal, num_classes, ignore_class, name="labels")


def is_pair(batch):
    """Whether a batch is (images, labels); a list may be that, too, or a list of label maps."""
    if isinstance(batch, list) and len(batch) > 1:
        return np.ndim(batch[0]) > min(np.ndim(batch[1]), 3)
    return isinstance(batch, tuple)


def as_batch(labels):
    """Label maps as an array (batch, height, width)."""
    maps = np.asarray(labels)
    if maps.ndim == 4 and maps.shape[-1] == 1:
        maps = maps[..., 0]
    if maps.ndim == 2:
        maps = maps[None]
    if maps.ndim != 3:
        raise ValueError(
            "`labels` must hold ids, one a pixel, (height, width) or (batch, height, width). "
            f"Received: labels.shape={maps.shape}"
        )
    return maps
