"""How a network pads: the rows it adds in front of an image, and those it loses at the border."""

from typing import NamedTuple

import keras

from kerasseg.anatomy.graphs import data_format_of, graph_of, has_graph, unfold
from kerasseg.anatomy.outputs import class_axis, main_index, order_of, sources_of
from kerasseg.anatomy.receptive_fields import sources
from kerasseg.layers import PadToMultiple
from kerasseg.layers.padding import rows_in_front
from kerasseg.layers.windows import spatial_axes

STRIDE = 32  # a multiple of the output stride of every network here, and of nearly all others
LARGE = 64 * STRIDE  # rows of an image that no network finds too small


class Border(NamedTuple):
    """What a network does at the border, along one axis.

    Attributes:
        in_front: Rows that it pads in front of the image, so that its maps divide evenly. Paddings
            that are the same for every image size are not counted.
        lost: How many rows its output has fewer than the image, half of them (rounded down) in
            front: 0 if its convolutions pad, 184 for `unet(padding="valid")`.
    """

    in_front: int
    lost: int


def border_of(model, size):
    """What a network does at the border of an image, read off its graph, nested models included.

    Args:
        model: A `keras.Model` of one input, a batch of images. A subclassed model, whose graph
            cannot be read, counts as one that neither pads nor loses anything.
        size: (height, width) of the image.

    Returns:
        A pair of `Border`s, for the rows and the columns.

    Raises:
        ValueError: if the image is too small for the network.

    Example: U-Net pads 20 rows to the next multiple of 16, six of the twelve in front.

    >>> border_of(kerasseg.models.unet((None, None, 3), 2, width=0.05), (20, 32))
    (Border(in_front=6, lost=0), Border(in_front=0, lost=0))
    """
    if not has_graph(model):
        return Border(0, 0), Border(0, 0)
    given = graph_of(model).inputs[0].shape
    axes = spatial_axes(input_format(model))
    shape = [1 if n is None else n for n in given]
    for axis, n in zip(axes, size):
        shape[axis] = n
    image = keras.KerasTensor(shape)
    calls, outputs = unfold(model, [image], strict=False)
    source = sources_of(calls)
    output = outputs[main_index(outputs, source, order_of(graph_of(model).output))]
    if len(output.shape) != 4:
        raise ValueError(
            "`model` must return a map (batch, height, width, channels). "
            f"Received: model={model.name} with outputs of shapes {[x.shape for x in outputs]}"
        )
    last = class_axis(output, source) == -1
    lost = [n - output.shape[axis] for n, axis in zip(size, (1, 2) if last else (2, 3))]
    in_front = (padded_in_front(calls, image, axis, i) for i, axis in enumerate(axes))
    return tuple(map(Border, in_front, lost))


def padded_in_front(calls, image, axis, index):
    """The most rows, of the image, that padding to a multiple puts in front of any map.

    `axis` is that of the image's rows (`index` 0) or columns (1); maps may have another.
    """
    in_front = {id(image): 0}
    for call in calls:
        inputs, like = sources(call)
        counted = [like] if like is not None else inputs
        rows = max((in_front[id(x)] for x in counted), default=0)
        if isinstance(call.operation, PadToMultiple):
            here = spatial_axes(call.operation.data_format)[index]
            before, after = inputs[0].shape[here], call.outputs[0].shape[here]
            rows += rows_in_front(before, after) * round(image.shape[axis] / before)
        in_front.update((id(x), rows) for x in call.outputs)
    return max(in_front.values())


def fitting_size(model, size):
    """The smallest image whose output has at least a given size and wastes nothing.

    A network that loses its border, such as `unet(padding="valid")`, wants sizes at which all its
    poolings divide evenly: at others it loses more rows than at these, on one side.

    Args:
        model: As in `border_of`; height and width may be fixed.
        size: (height, width) of the output.

    Returns:
        (height, width) of the image, `size` itself where the output is as large as the image.

    Raises:
        ValueError: if the output is a larger or smaller version of the image.

    Example:

    >>> model = kerasseg.models.unet((None, None, 3), 2, width=0.05, padding="valid")
    >>> fitting_size(model, (1, 388))
    (188, 572)
    """
    try:
        if all(border.lost == 0 for border in border_of(model, size)):
            return tuple(size)
    except ValueError:  # too small for the network
        pass
    lost, later = lost_at(model, LARGE), lost_at(model, 2 * LARGE)
    if any(few < 0 or abs(many - few) >= STRIDE for few, many in zip(lost, later)):
        raise ValueError(
            "The output of `model` must be as large as the image, or lose the same border of every "
            f"image. Received: model={model.name}, whose output for an image of {LARGE}x{LARGE} is "
            f"{'x'.join(str(LARGE - n) for n in lost)}. Add a layer that resizes it to the size of "
            "the image."
        )
    tried = [lost_at(model, LARGE + i) for i in range(STRIDE)]
    fitting = []
    for length, losses in zip(size, zip(*tried)):
        sizes = range(length + min(losses), length + min(losses) + STRIDE)
        fitting.append(next(n for n in sizes if losses[n % STRIDE] == min(losses)))
    return tuple(fitting)


def lost_at(model, side):
    return tuple(border.lost for border in border_of(model, (side, side)))


def input_format(model):
    """The order of the axes of a model's images: "channels_last" or "channels_first"."""
    if not has_graph(model):
        return keras.config.image_data_format()
    return data_format_of(unfold(model, graph_of(model).inputs, strict=False)[0])
