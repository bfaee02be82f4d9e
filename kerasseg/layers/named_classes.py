"""What a model's channels mean, kept in its file."""

import keras

from kerasseg.layers.arguments import is_integer


@keras.saving.register_keras_serializable(package="kerasseg")
class NamedClasses(keras.layers.Identity):
    """Passes its input on unchanged, and stores what the channels mean.

    It is the last layer of a model that is shared: the file alone is enough to name the classes, to
    colour them, and to bring an image to the size that the model was trained at.
    `kerasseg.models.with_classes` adds it, `kerasseg.models.classes_of` finds it.

    Args:
        class_names: One name a class id. One name alone is the foreground of a binary model; id 0
            is then called "background".
        colours: One (red, green, blue), 0 to 255, a name. `None` if the classes have none.
        ignore_class: The void id in the masks. `None` if every pixel has a class.
        image_size: (height, width) of the training images. `None` if they had no common size.
        multi_label: Whether each channel is a label that a pixel has or has not, beside others.

    Input shape: any, any dtype; it is not cast, also under mixed precision.
    Output shape: that of the input.

    Raises:
        ValueError: names that are not distinct strings; colours that are not three integers from 0
            to 255; an image size that is not two positive integers.

    Example:

    >>> layer = NamedClasses(["road", "sky"], colours=[(128, 64, 128), (70, 130, 180)])
    >>> layer.class_names, layer.colours
    (('road', 'sky'), ((128, 64, 128), (70, 130, 180)))
    """

    def __init__(
        self,
        class_names,
        colours=None,
        ignore_class=255,
        image_size=None,
        multi_label=False,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, **kwargs})
        self.class_names = as_names(class_names)
        if len(self.class_names) == 1 and not multi_label:
            self.class_names = as_names(["background", *class_names])
            if colours is not None and len(colours) == 1:
                colours = [(0, 0, 0), *colours]
        self.colours = None if colours is None else as_colours(colours, len(self.class_names))
        self.ignore_class = ignore_class if ignore_class is None else int(ignore_class)
        self.image_size = None if image_size is None else as_size(image_size)
        self.multi_label = bool(multi_label)

    def get_config(self):
        return {
            **super().get_config(),
            "class_names": self.class_names,
            "colours": self.colours,
            "ignore_class": self.ignore_class,
            "image_size": self.image_size,
            "multi_label": self.multi_label,
        }


def as_names(names):
    whole = not isinstance(names, str) and all(isinstance(name, str) for name in names)
    if not whole or not names or len({*names}) < len(names):
        raise ValueError(
            f"`class_names` must be distinct names, one a class id. Received: class_names={names}"
        )
    return tuple(names)


def as_colours(colours, count):
    rows = tuple(map(tuple, colours))
    if len(rows) != count or any(
        len(row) != 3 or not all(is_integer(level) and 0 <= level < 256 for level in row)
        for row in rows
    ):
        raise ValueError(
            f"`colours` must be {count} times (red, green, blue), integers from 0 to 255, one "
            f"colour a class. Received: {len(rows)} colours, {rows}"
        )
    return tuple(tuple(map(int, row)) for row in rows)


def as_size(size):
    pair = tuple(size)
    if len(pair) != 2 or not all(is_integer(n) and n > 0 for n in pair):
        raise ValueError(
            f"`image_size` must be (height, width) in pixels. Received: image_size={size}"
        )
    return tuple(map(int, pair))
