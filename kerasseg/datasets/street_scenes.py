"""Drawn streets as a data set: TensorFlow Datasets prepares them, nothing is downloaded."""

from typing import ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasseg.datasets import from_tfds
from kerasseg.datasets.dataset import Source
from kerasseg.datasets.street_drawing import CLASS_NAMES, COLOURS, HEIGHT, VOID, WIDTH, draw_scene


def source(*, data_dir=None):
    """Drawn streets, 192x256x3: 480 for training, 96 for validation, 96 for test.

    They are drawn on first use and kept in `data_dir`, which is TensorFlow Datasets' own folder by
    default. Nothing is downloaded.

    Raises:
        FileNotFoundError: they could not be written.
    """
    builder = from_tfds.prepared("street_scenes", data_dir, download=True)
    return Source(
        splits={split: from_tfds.records(builder, split) for split in StreetScenes.SIZES},
        read=read_scene,
        targets=("label", "image", "instances", "depth"),
        class_names=CLASS_NAMES,
        colours=COLOURS,
        ignore_class=VOID,
        augmentable=True,
        record_bytes=HEIGHT * WIDTH * 8,
    )


def read_scene(scene):
    return {
        "image": scene["image"],
        "label": scene["label"][..., 0],
        "instances": tf.cast(scene["instances"][..., 0], tf.int32),
        "depth": tf.cast(scene["depth"], tf.float32) / 100,  # centimetres to metres
    }


class StreetScenes(tfds.core.GeneratorBasedBuilder):
    """Drawn street scenes with labels, instances and depth; nothing is downloaded.

    The images of split 0 (train), 1 (validation) and 2 (test) are `draw_scene((split, index))`,
    672 in all, of 192 x 256 pixels. `label` holds class ids 0 to 7, and 255 (void) where two
    objects meet; `instances` numbers the cars, persons, poles and signs of an image from 1;
    `depth` is in centimetres, 20000 for the sky. Measured over all images: 4.29 % of the pixels
    are void, and of the others

    | road    | building | sky     | vegetation | car    | person | pole   | sign   |
    |---------|----------|---------|------------|--------|--------|--------|--------|
    | 45.35 % | 17.06 %  | 16.06 % | 10.85 %    | 8.80 % | 0.38 % | 1.00 % | 0.50 % |
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    SIZES: ClassVar = {"train": 480, "validation": 96, "test": 96}

    def _info(self):
        kinds = {"image": (3, np.uint8), "label": (1, np.uint8)}
        kinds |= {"instances": (1, np.uint16), "depth": (1, np.uint16)}
        features = {
            name: tfds.features.Image(shape=(HEIGHT, WIDTH, channels), dtype=dtype)
            for name, (channels, dtype) in kinds.items()
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=StreetScenes.__doc__,
            features=tfds.features.FeaturesDict(features),
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(number, size)
            for number, (split, size) in enumerate(self.SIZES.items())
        }

    def _generate_examples(self, split, size):
        for index in range(size):
            scene = draw_scene((split, index))
            scene["depth"] = np.rint(100 * scene["depth"]).astype("uint16")
            yield index, {name: a.reshape(HEIGHT, WIDTH, -1) for name, a in scene.items()}
