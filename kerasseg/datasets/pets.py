"""Oxford-IIIT Pet: cats and dogs with their silhouettes (Parkhi et al. 2012)."""

from functools import partial

import tensorflow as tf

from kerasseg.datasets import from_tfds
from kerasseg.datasets.dataset import Source, seeded_split
from kerasseg.datasets.folder import TRIMAPS

CLASS_NAMES, COLOURS = TRIMAPS.class_names, TRIMAPS.colours
FEATURES = ("image", "segmentation_mask")


def source(*, data_dir=None, download=True):
    """3,312 images for training, 368 for validation, 3,669 for test; 0.8 GB to download.

    The data set has no validation split; this one is a tenth of its training images, drawn with a
    fixed seed. The images differ in size: pass `image_size`, or `batch_size=1`. The ids 1, 2 and 3
    of the files become 0, 1 and 2, and 0 becomes void; `outline` is the band around the pet that
    nobody labelled.

    Raises:
        FileNotFoundError: the data set is not there and cannot be downloaded.
    """
    builder = from_tfds.prepared("oxford_iiit_pet", data_dir, download)
    train, test = (from_tfds.encoded_records(builder, x, FEATURES) for x in ("train", "test"))
    train, validation = seeded_split(train, 0.1)
    return Source(
        splits={"train": train, "validation": validation, "test": test},
        read=partial(read, builder=builder),
        targets=("label", "image"),
        class_names=CLASS_NAMES,
        colours=COLOURS,
        ignore_class=255,
        augmentable=True,
        record_bytes=110_000,
    )


def read(record, builder):
    image, trimap = from_tfds.decode(record, builder, FEATURES)
    tf.debugging.assert_less_equal(
        trimap,
        tf.constant(len(CLASS_NAMES), trimap.dtype),
        "oxford_iiit_pet: a trimap holds ids above 3. Expected 1 (pet), 2 (background) and "
        "3 (outline), or 0 (void): prepare the data set again.",
    )
    return {"image": image, "label": trimap[..., 0] - 1}
