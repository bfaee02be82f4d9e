"""How much of the image a unit sees: in theory, from the graph, and in effect, from gradients."""

import functools
import inspect
import math
from fractions import Fraction
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

import kerasseg.layers
from kerasseg.anatomy.graphs import POINTWISE, data_format_of, graph_of, tensors_in, unfold
from kerasseg.layers.arguments import ceil_divide, spatial_axes
from kerasseg.layers.backend import gradient
from kerasseg.layers.padding import rows_in_front

# What a height or width of `None` is taken for: usual strides divide it, usual fields fit in.
FREE_SIZE = 3840
EVERYTHING = (-math.inf, math.inf)


class ReceptiveField(NamedTuple):
    """The rows that one unit sees, and how they move from unit to unit.

    Unit `i` sees the rows `stride * i + offset` to `stride * i + offset + size - 1` of the image;
    rows in front of the image, which padding adds, are negative. Columns likewise: where they
    differ from the rows the entry is a pair `(height, width)`.

    Attributes:
        size: Rows a unit sees; `math.inf` if it sees the whole image, however large.
        stride: Rows from one unit's field to the next one's: an integer, a fraction where the map
            is finer than the image, `None` where the units do not form a grid.
        offset: First row that unit 0 sees; `-math.inf` with an infinite size.
    """

    size: int
    stride: int
    offset: int


def receptive_field(model, layer=None, unit=None):
    """The theoretical receptive field of a layer's units, from the graph of the model.

    Goes back from the layer to the image and notes for every map which rows the unit depends on,
    including branches, skips, dilation, upsampling and nested models (Dumoulin and Visin, "A guide
    to convolution arithmetic for deep learning", 2016; book: chapter 3). The image counts as having
    no border. A field with holes, as dilation makes them, reaches from its first to its last row.

    Behind an upsampling some units see more than others: of U-Net's output pixels some see 188
    rows, some 204. The largest field is returned, or that of `unit`. Behind a resize whose factor
    changes with the size of the image, or that aligns corners, it is the union over the image.
    Global pooling, `Flatten` and `PyramidPooling` see everything: `size` is `math.inf`. An unpooled
    value may come from anywhere in its window.

    Args:
        model: A functional or Sequential `keras.Model` of one input, a batch of images. A height or
            width of `None` is taken for 3,840, which matters only to where uneven padding and crops
            lie.
        layer: A layer or its name, also in a nested model; of several outputs the first is meant.
            `None` for the model's output.
        unit: Optional pair of integers, row and column of a unit.

    Returns:
        A `ReceptiveField`, `(size, stride, offset)`.

    Raises:
        ValueError: If there is no such layer, or one whose field is not known.
            `kerasseg.anatomy.receptive_fields.view.register` teaches a new class.

    Example:

    >>> image = keras.Input((None, None, 3))
    >>> x = keras.layers.Conv2D(8, 3, padding="same")(image)
    >>> x = keras.layers.MaxPooling2D(2)(x)
    >>> receptive_field(keras.Model(image, x))
    ReceptiveField(size=4, stride=2, offset=-1)
    """
    inputs = graph_of(model).inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            "`model` must have one input, a batch of images (batch, height, width, channels). "
            f"Received: inputs of shapes {[x.shape for x in inputs]}"
        )
    if unit is not None and np.shape(unit) != (2,):
        raise ValueError(f"`unit` must be a pair, row and column. Received: unit={unit!r}")
    image = keras.KerasTensor([size or FREE_SIZE for size in inputs[0].shape])
    calls, outputs = unfold(model, [image])
    target = outputs[0] if layer is None else output_of(layer, calls)
    height, width = (
        field_along(axis, calls, image, target, None if unit is None else unit[axis])
        for axis in (0, 1)
    )
    return ReceptiveField(*(h if h == w else (h, w) for h, w in zip(height, width)))


def output_of(layer, calls):
    found = [call for call in calls if layer in (call.operation, call.operation.name)]
    if len(found) != 1:
        raise ValueError(
            "`layer` must be a layer that the model calls once, or its name. "
            f"Received: layer={layer}, called {len(found)} times. Of a nested model name a layer."
        )
    return found[0].outputs[0]


def field_along(index, calls, image, target, unit):
    """The field of one unit along rows or columns; if none is given, the largest of all."""
    dimension = spatial_axes(data_format_of(calls))[index]
    strides, steps = {id(image): Fraction(1)}, []
    for call in calls:
        step, stride = link(call, index, dimension, strides)
        steps.append(step)
        strides.update((id(x), stride) for x in call.outputs)

    stride = strides[id(target)]
    if stride is None:
        return ReceptiveField(math.inf, None, -math.inf)
    units = range(period(steps, strides, target)) if unit is None else [unit]
    seen = ((i, seen_from(target, i, steps).get(id(image), (0, -1))) for i in units)
    i, (first, last) = max(seen, key=lambda seen: seen[1][1] - seen[1][0])
    if (first, last) == EVERYTHING:
        return ReceptiveField(math.inf, whole(stride), -math.inf)
    return ReceptiveField(last - first + 1, whole(stride), whole(first - stride * i))


def whole(number):
    """An integer where the fraction is one."""
    return int(number) if number.denominator == 1 else number


class Step(NamedTuple):
    """One call along one axis: through which window its outputs look at its inputs."""

    window: NamedTuple
    inputs: list
    outputs: list


def link(call, index, dimension, strides):
    """The step of a call, and how many rows of the image lie between two units of its output."""
    inputs, like = sources(call)
    like_stride = None if like is None else strides[id(like)]
    stride = common_stride(call, [strides[id(x)] for x in inputs])
    if stride is None or any(len(x.shape) != 4 for x in (*inputs, *call.outputs)):
        return Step(Everything(), inputs, call.outputs), like_stride
    place = Direction(
        index,
        dimension,
        inputs[0].shape[dimension],
        call.outputs[0].shape[dimension],
        None if like_stride is None else like_stride / stride,
    )
    opening = view(call.operation, place)
    stride = None if opening.scale is None else stride * opening.scale
    return Step(opening, inputs, call.outputs), stride


def sources(call):
    """The tensors whose values a call takes, and the one of which it takes the size alone."""
    arguments = inspect.signature(call.operation.call).bind(*call.args, **call.kwargs).arguments
    like = arguments.pop("like", None)
    return tensors_in(list(arguments.values())), like


def common_stride(call, strides):
    """The stride of a call's inputs; those that are in no grid, such as means, fit every other."""
    strides = {stride for stride in strides if stride is not None}
    if len(strides) > 1:
        raise ValueError(
            "Maps can only be joined at the same stride. Received: strides "
            f"{sorted(map(float, strides))} at {describe(call.operation)}"
        )
    return strides.pop() if strides else None


def describe(operation):
    return f"layer '{operation.name}' of class {type(operation).__name__}"


def seen_from(target, unit, steps):
    """For each tensor, by `id`, the first and the last row that a unit of `target` depends on."""
    seen = {id(target): (unit, unit)}
    for step in reversed(steps):
        spans = [seen[id(x)] for x in step.outputs if id(x) in seen]
        if not spans:
            continue
        span = union(spans)
        span = span if span == EVERYTHING else step.window.sees(*span)
        if span[0] <= span[1]:
            for x in step.inputs:
                seen[id(x)] = union([span, seen.get(id(x), span)])
    return seen


def union(spans):
    return min(first for first, _ in spans), max(last for _, last in spans)


def period(steps, strides, target):
    """After how many units the fields repeat: when all maps on the way move by whole rows."""
    seen = seen_from(target, 0, steps).items()
    ways = [strides[x] for x, span in seen if span != EVERYTHING and strides[x] is not None]
    return math.lcm(*((strides[id(target)] / way).denominator for way in ways))


class Direction(NamedTuple):
    """Where a layer's window is wanted.

    Attributes:
        index: 0 for rows, 1 for columns.
        dimension: Which axis of the tensors that is.
        before: How many the input has.
        after: How many the output has.
        scale: With an argument `like`, rows of the input from one row of the output to the next.
    """

    index: int
    dimension: int
    before: int
    after: int
    scale: Fraction | None


class Window(NamedTuple):
    """A convolution or pooling: row `i` sees `size` rows from `stride * i - in_front` on."""

    size: int = 1
    stride: int = 1
    in_front: int = 0

    @property
    def scale(self):
        return self.stride

    def sees(self, first, last):
        return (
            self.stride * first - self.in_front,
            self.stride * last - self.in_front + self.size - 1,
        )


class Spread(NamedTuple):
    """Its transpose: row `i` is written to `size` rows from `stride * i - in_front` on."""

    size: int
    stride: int
    in_front: int = 0

    @property
    def scale(self):
        return Fraction(1, self.stride)

    def sees(self, first, last):
        first, last = first + self.in_front - self.size + 1, last + self.in_front
        return ceil_divide(first, self.stride), last // self.stride


class Interpolation(NamedTuple):
    """Row `i` lies at `scale * i`, and between `low` and `high` more, among the rows it sees."""

    scale: Fraction
    low: Fraction
    high: Fraction

    def sees(self, first, last):
        return math.floor(self.scale * first + self.low), math.ceil(self.scale * last + self.high)


class Everything(NamedTuple):
    """Every unit sees the whole map; `scale` is `None` where the output is not a map beside it."""

    scale: int | None = None

    def sees(self, first, last):
        return EVERYTHING


@functools.singledispatch
def view(layer, axis):
    """Through which window a layer's output looks at its input along a `Direction`.

    A new layer joins with `@view.register(LayerClass)` over a function of the layer and the axis
    that returns a `Window`, `Spread`, `Interpolation` or `Everything`.
    """
    if not isinstance(layer, layers.Layer):
        if type(layer).__name__ in POINTWISE_OPERATIONS:
            return Window()
        if type(layer).__name__ == "Concatenate":
            return along_axes(layer, axis)
    raise ValueError(
        f"The receptive field is not known of {describe(layer)}. Teach it with "
        "@kerasseg.anatomy.receptive_fields.view.register(LayerClass)"
    )


POINTWISE_LAYERS = (
    *POINTWISE,
    layers.BatchNormalization,
    layers.Normalization,
    layers.PReLU,
    layers.SpatialDropout2D,
    kerasseg.layers.CaffePreprocessing,
    kerasseg.layers.LocalResponseNormalization,
    kerasseg.layers.Sampling,
)
POINTWISE_OPERATIONS = {  # of keras.ops, called in a functional model
    *("Add", "Divide", "Maximum", "Minimum", "Multiply", "Negative", "Subtract", "TrueDivide"),
    *("Cast", "Clip", "Gelu", "HardSigmoid", "HardSwish", "Relu", "Relu6", "Sigmoid", "Silu"),
    "Tanh",
}


for layer_class in POINTWISE_LAYERS:
    view.register(layer_class, lambda layer, axis: Window())
for layer_class in (layers.GroupNormalization, kerasseg.layers.PyramidPooling):
    view.register(layer_class, lambda layer, axis: Everything(1))
for layer_class in (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D):
    view.register(layer_class, lambda layer, axis: Everything())


@view.register(layers.Concatenate)
@view.register(layers.LayerNormalization)
@view.register(layers.Softmax)
def along_axes(layer, axis):
    """Concatenation, normalisation and softmax, which are pointwise along the channels."""
    along = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    return Everything(1) if axis.dimension in [a % 4 for a in along] else Window()


@view.register(layers.Dense)
def dense_view(layer, axis):
    """Pointwise, but on a `channels_first` map, whose columns it mixes."""
    return Everything(1) if axis.dimension == 3 else Window()


def windows(layer, axis, few, many):
    """`(size, stride, rows of padding in front)` of `few` windows over `many` rows."""
    stride = layer.strides[axis.index]
    if hasattr(layer, "pool_size"):
        size = layer.pool_size[axis.index]
    else:
        size = (layer.kernel_size[axis.index] - 1) * layer.dilation_rate[axis.index] + 1
    padding = max((few - 1) * stride + size - many, 0) if layer.padding == "same" else 0
    return size, stride, padding // 2


@view.register(layers.Conv2D)
@view.register(layers.DepthwiseConv2D)
@view.register(layers.SeparableConv2D)
@view.register(layers.AveragePooling2D)
@view.register(layers.MaxPooling2D)
@view.register(kerasseg.layers.MaxPoolingWithArgmax2D)
def window_view(layer, axis):
    return Window(*windows(layer, axis, axis.after, axis.before))


@view.register(layers.Conv2DTranspose)
@view.register(kerasseg.layers.MaxUnpooling2D)
def transposed_view(layer, axis):
    return Spread(*windows(layer, axis, axis.before, axis.after))


@view.register(kerasseg.layers.AverageUnpooling2D)
def average_unpooling_view(layer, axis):
    return Spread(layer.size[axis.index], layer.size[axis.index])


@view.register(layers.UpSampling2D)
def upsampling_view(layer, axis):
    size = layer.size[axis.index]
    if layer.interpolation == "nearest":
        return Spread(size, size)
    check_bilinear(layer)
    return interpolation(axis, Fraction(1, size))


@view.register(layers.Resizing)
def resizing_view(layer, axis):
    check_bilinear(layer)
    return interpolation(axis, Fraction(axis.before, axis.after))


@view.register(kerasseg.layers.BilinearUpsampling2D)
def bilinear_upsampling_view(layer, axis):
    scale = axis.scale or Fraction(1, layer.size[axis.index])
    return interpolation(axis, scale, layer.align_corners)


def check_bilinear(layer):
    if layer.interpolation != "bilinear":
        raise ValueError(
            "The receptive field of a resize is known if it is bilinear. "
            f"Received: interpolation={layer.interpolation!r} at {describe(layer)}"
        )


def interpolation(axis, scale, align_corners=False):
    """Bilinear: the true step from row to row may differ from `scale` and drift away from it."""
    if align_corners:
        start, step = Fraction(0), Fraction(axis.before - 1, max(axis.after - 1, 1))
    else:
        step = Fraction(axis.before, axis.after)
        start = (step - 1) / 2
    drift = (step - scale) * (axis.after - 1)
    return Interpolation(scale, start + min(drift, 0), start + max(drift, 0))


@view.register(layers.ZeroPadding2D)
def zero_padding_view(layer, axis):
    return Window(in_front=layer.padding[axis.index][0])


@view.register(layers.Cropping2D)
def cropping_view(layer, axis):
    return Window(in_front=-layer.cropping[axis.index][0])


@view.register(kerasseg.layers.CenterCropLike)
def cropping_like_view(layer, axis):
    return Window(in_front=-layer.start(axis.before - axis.after))


@view.register(kerasseg.layers.PadToMultiple)
@view.register(kerasseg.layers.ReflectionPadding2D)
def mirror_padding_view(layer, axis):
    return Window(in_front=rows_in_front(axis.before, axis.after))


@view.register(kerasseg.layers.AtrousSpatialPyramidPooling)
def atrous_pyramid_view(layer, axis):
    rate = max(layer.rates)
    return Everything(1) if layer.image_pooling else Window(2 * rate + 1, in_front=rate)


def effective_receptive_field(model, images, layer=None):
    """How strongly the unit in the middle depends on each pixel: the gradient's absolute value.

    The gradient of the unit's sum over its channels with respect to the image, its absolute value
    averaged over images and colours (Luo et al., "Understanding the Effective Receptive Field in
    Deep Convolutional Neural Networks", NeurIPS 2016; the notes on PSPNet: far smaller than the
    theoretical field). The middle unit is `(height // 2, width // 2)` of its map.

    Args:
        model: A functional or Sequential `keras.Model` of one input.
        images: Batch of images, larger than the theoretical field.
        layer: A layer of the model or its name, not one inside a nested model; of several outputs
            the first is meant. `None` for the model's output. A softmax has no gradient of this
            kind: its channels sum to one.

    Returns:
        NumPy array `(height, width)` that sums to one: the share of every pixel.

    Raises:
        ValueError: If the gradient is zero everywhere.
    """
    if layer is None:
        output = model.outputs[0]
    else:
        layer = model.get_layer(layer) if isinstance(layer, str) else layer
        output = keras.tree.flatten(layer.output)[0]
    probe = keras.Model(model.inputs, output)
    axes = spatial_axes(data_format_of(unfold(model, model.inputs)[0]))

    def middle_unit(images):
        y = probe(images, training=False)
        for axis in axes[::-1]:
            y = ops.take(y, y.shape[axis] // 2, axis=axis)
        return ops.sum(ops.cast(y, "float32"))

    share = np.abs(gradient(middle_unit, ops.convert_to_tensor(images, dtype="float32")))
    share = share.mean(tuple({0, 1, 2, 3} - set(axes)))
    if not share.any():
        raise ValueError(
            "The unit in the middle must depend on the images, but its gradient is zero. Received: "
            f"layer={layer}. Take a layer in front of the softmax, or images that wake its ReLU."
        )
    return share / share.sum()
