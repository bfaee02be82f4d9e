"""What a drawing of a model shows: its feature maps, in stages, and what leads to each."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace

import keras
from keras import layers

from kerasseg import layers as our_layers
from kerasseg.anatomy.graphs import data_format_of, graph_of, unfold
from kerasseg.layers.arguments import spatial_axes

JOINS = (layers.Concatenate, layers.Add, layers.Average, layers.Maximum, layers.Multiply)
POOLINGS = (
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    our_layers.MaxPoolingWithArgmax2D,
)
PADDINGS = (layers.ZeroPadding2D, our_layers.PadToMultiple, our_layers.ReflectionPadding2D)
CROPS = (layers.Cropping2D, our_layers.CenterCropLike, our_layers.CropLike)
CONVOLUTIONS = (
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Dense,
)
UPSAMPLINGS = (
    layers.UpSampling2D,
    our_layers.AverageUnpooling2D,
    our_layers.BilinearUpsampling2D,
)
PYRAMIDS = (our_layers.PyramidPooling, our_layers.AtrousSpatialPyramidPooling)
# What a layer's name says beyond its stage: `encoder3_conv2`, `conv4_block6_out`.
DETAIL = re.compile(
    r"_(?:(?:conv|deconv|block|layer|concat)\d+|unpool|pool|up|sum|new|down|enlarge|concat)(?:_.*)?$"
    r"|(?<=\d)_conv$"
)


@dataclass
class Map:
    """One box of a drawing: a feature map, or the last one of a block.

    Attributes:
        name: Of the layer that makes it.
        kind: "input", "conv", "dilated", "dense", "pool", "up", "unpool", "concat", "sum" or
            "other".
        shape: `(height, width, channels)`, or `(units,)` of a vector.
        level: How often the input was halved to get here.
        sources: {number of another map: kind of the arrow from it}: "forward", "pool", "up",
            "mask" or "up mask".
        rates: Dilations other than 1 of its convolutions.
        parts: Channels that each source of a concatenation brings.
        note: What a box that stands for several layers holds, such as "6 blocks".
    """

    name: str
    kind: str
    shape: tuple
    level: int = 0
    sources: dict = field(default_factory=dict)
    rates: tuple = ()
    parts: tuple = ()
    note: str = ""

    @property
    def stage(self):
        return DETAIL.sub("", self.name)

    @property
    def size(self):
        return self.shape[:2] if len(self.shape) == 3 else None


@dataclass
class Stage:
    """Maps that stand side by side under one name, each made from the one before.

    Attributes:
        name: What the names of the maps' layers have in common.
        maps: Their `Map`s.
        sources: {number of another stage: kind of the arrow from it}, and of its map.
        level: Of the last map.
    """

    name: str
    maps: list
    sources: dict = field(default_factory=dict)

    @property
    def level(self):
        return self.maps[-1].level

    @property
    def size(self):
        return self.maps[-1].size


def stages_of(model, input_size=(256, 256)):
    """The stages of a model, in an order in which they can be computed.

    Args:
        model: A functional or Sequential `keras.Model`.
        input_size: `(height, width)` for what the model's inputs leave open.
    """
    inputs, data_format = sized_inputs(model, input_size)
    calls, outputs = unfold(model, inputs)
    reader = MapReader(calls, outputs, data_format)
    for tensor in inputs:
        reader.add(Map(tensor.name, "input", reader.shape_of(tensor)), [tensor])
    for call in calls:
        reader.read(call)
    maps = without_blocks(reader.maps)
    return in_stages(without_hidden_maps(maps, [reader.known[id(x)] for x in outputs]))


def sized_inputs(model, input_size):
    graph = graph_of(model)
    data_format = data_format_of(unfold(model, graph.inputs)[0])
    inputs = []
    for tensor in graph.inputs:
        shape = [1, *tensor.shape[1:]]
        for axis, size in zip(spatial_axes(data_format), input_size):
            if len(shape) == 4 and shape[axis] is None:
                shape[axis] = size
        if None in shape:
            raise ValueError(
                "Apart from height and width, the sizes of a model's inputs must be known. "
                f"Received: model.input_shape={model.input_shape}"
            )
        inputs.append(keras.KerasTensor(tuple(shape), tensor.dtype, name=tensor.name))
    return inputs, data_format


class MapReader:
    """Turns calls into `Map`s; what only changes numbers belongs to the map in front of it."""

    def __init__(self, calls, outputs, data_format):
        self.channels_first = data_format == "channels_first"
        self.maps, self.known, self.masks = {}, {}, set()
        self.readers = Counter(id(x) for call in calls for x in call.inputs)
        self.readers.update(map(id, outputs))

    def shape_of(self, tensor):
        shape = tuple(tensor.shape[1:])
        return (*shape[1:], shape[0]) if self.channels_first and len(shape) == 3 else shape

    def read(self, call):
        operation, (output, *rest) = call.operation, call.outputs
        inputs = data_of(call)
        first = self.known[id(inputs[0])]
        before, shape = self.maps[first], self.shape_of(output)
        if isinstance(operation, PYRAMIDS):
            self.known[id(output)] = self.add_branches(operation, first, shape)
            return
        if is_absorbed(operation, before.shape, shape, len(inputs)):
            self.known[id(output)] = first
            if self.readers[id(inputs[0])] == 1 and len(shape) == 3:
                before.shape = shape
            return
        kind = kind_of(operation, self.shape_of(inputs[0]), shape)
        made = Map(own_name(operation), kind, shape, level_behind(operation, before, shape))
        arrow = {"pool": "pool", "up": "up", "unpool": "up"}.get(kind, "forward")
        arrow = "pool" if made.level > before.level else arrow
        for x in inputs:
            source, kind = self.known[id(x)], "mask" if id(x) in self.masks else arrow
            both = made.sources.get(source, kind) != kind
            made.sources[source] = "up mask" if both else kind
        made.rates = rates_of(operation)
        if made.kind == "concat":
            made.parts = tuple(self.shape_of(x)[-1] for x in inputs)
        self.add(made, call.outputs)
        self.masks.update(map(id, rest))

    def add(self, made, outputs=()):
        number = len(self.maps)
        self.maps[number] = made
        self.known.update((id(x), number) for x in outputs)
        return number

    def add_branches(self, layer, source, shape):
        """The maps inside a pyramid; returns the number of its last."""
        before = self.maps[source]
        is_atrous = isinstance(layer, our_layers.AtrousSpatialPyramidPooling)
        if is_atrous:
            branches = [("1×1", before.size, ())]
            branches += [(f"rate {n}", before.size, (n,) * (n > 1)) for n in layer.rates]
            branches += [("image mean", (1, 1), ())] * layer.image_pooling
        else:
            branches = [(f"{n}×{n}", (n, n), ()) for n in layer.bins]
        numbers = [] if is_atrous else [source]
        for name, size, rates in branches:
            kind = "dilated" if rates else "conv"
            made = Map(name, kind, (*size, layer.filters), before.level, {source: "forward"}, rates)
            numbers.append(self.add(made))
        parts = tuple(self.maps[n].shape[-1] for n in numbers)
        joined = Map(layer.name, "concat", (*shape[:2], sum(parts)), before.level, parts=parts)
        joined.sources = dict.fromkeys(numbers, "forward")
        number = self.add(joined)
        if is_atrous:  # a convolution follows the concatenation
            number = self.add(Map(layer.name, "conv", shape, before.level, {number: "forward"}))
        return number


def level_behind(operation, before, shape):
    """Strides count, and where there are none, sizes: a 7x7 window is not a halving."""
    if len(before.shape) != 3 or len(shape) != 3 or isinstance(operation, (*JOINS, *PADDINGS)):
        return before.level
    ratio = before.shape[0] / shape[0]
    if isinstance(operation, layers.Conv2DTranspose):
        ratio = 1 / first_of(operation.strides)
    elif hasattr(operation, "strides") and not isinstance(operation, our_layers.MaxUnpooling2D):
        ratio = first_of(operation.strides)
    return before.level + round(math.log2(ratio))


def own_name(layer):
    """The name somebody gave a layer, `""` for Keras's own such as `conv2d_3`."""
    kind = re.sub(r"_\d+$", "", layer.name).replace("_", "")
    return "" if kind == type(layer).__name__.lower() else layer.name


def first_of(value):
    return value if isinstance(value, int) else value[0]


def data_of(call):
    """The tensors whose values a call takes, not those it takes a size from."""
    inputs = call.inputs
    if isinstance(call.operation, our_layers.MaxUnpooling2D):
        return inputs[:2]
    sized = (*CROPS, *UPSAMPLINGS)
    return inputs[:1] if isinstance(call.operation, sized) else inputs


def is_absorbed(operation, before, shape, count):
    """Whether the output is the map in front: other numbers, or hardly another size."""
    if count > 1 or isinstance(operation, (*CONVOLUTIONS, *POOLINGS, *UPSAMPLINGS)):
        return False
    if isinstance(operation, CROPS):
        return True
    if isinstance(operation, PADDINGS):
        return shape[0] < 1.1 * before[0]
    return shape == before or len(shape) == 1


def kind_of(operation, before, shape):
    if isinstance(operation, our_layers.MaxUnpooling2D):
        return "unpool"
    if isinstance(operation, POOLINGS):
        return "pool"
    is_larger = len(before) == len(shape) == 3 and shape[0] > before[0]
    if isinstance(operation, UPSAMPLINGS) or (
        isinstance(operation, layers.Conv2DTranspose) and first_of(operation.strides) > 1
    ):
        return "up"
    if isinstance(operation, layers.Concatenate):
        return "concat"
    if isinstance(operation, JOINS):
        return "sum"
    if isinstance(operation, CONVOLUTIONS):
        if isinstance(operation, layers.Dense):
            return "dense"
        return "dilated" if rates_of(operation) else "conv"
    return "up" if is_larger and not isinstance(operation, PADDINGS) else "other"


def rates_of(operation):
    rate = first_of(getattr(operation, "dilation_rate", getattr(operation, "rate", 1)))
    return (rate,) if isinstance(operation, CONVOLUTIONS) and rate > 1 else ()


def without_blocks(maps):
    """Residual and dense blocks of one stage become one map each stage."""
    inside = {}
    for number, made in maps.items():
        if made.stage:
            inside.setdefault(made.stage, []).append(number)
    stands_for = {number: number for number in maps}
    for numbers in inside.values():
        entry = maps[numbers[0]]
        rest = numbers[1:] if entry.kind in ("concat", "sum", "up", "unpool") else numbers
        while rest and maps[rest[0]].kind in ("concat", "sum", "up") and rest[0] != numbers[0]:
            convolved = (n for n in maps[rest[0]].sources if n in numbers)
            if any(maps[n].kind in ("conv", "dilated") for n in convolved):
                break
            rest = rest[1:]
        if not any(maps[n].kind in ("concat", "sum") for n in rest):
            continue
        kept = [n for n in rest if maps[n].kind != "pool"]
        last = kept[-1]
        maps[last].note = content_of([maps[n].name for n in kept])
        maps[last].rates = tuple(sorted({rate for n in kept for rate in maps[n].rates}))
        maps[last].kind = "dilated" if maps[last].rates else "conv"
        stands_for.update(dict.fromkeys(kept, last))
    return merged(maps, stands_for)


def content_of(names):
    found = [re.search(r"_(block|layer)(\d+)", name) for name in names]
    parts = {match.group(0) for match in found if match}
    word = next(match.group(1) for match in found if match) if parts else "convolution"
    return f"{len(parts)} {word}s" if len(parts) > 1 else ""


def merged(maps, stands_for):
    """Maps with their sources renamed; arrows between maps that became one are gone."""
    sources = {number: {} for number in sorted(set(stands_for.values()))}
    for number, made in maps.items():
        target = stands_for[number]
        for source, kind in made.sources.items():
            if stands_for[source] != target:
                sources[target].setdefault(stands_for[source], kind)
    return {number: replace(maps[number], sources=given) for number, given in sources.items()}


def readers_of(maps):
    readers = {number: [] for number in maps}
    for number, made in maps.items():
        for source in made.sources:
            readers[source].append(number)
    return readers


def without_hidden_maps(maps, outputs):
    """Poolings become arrows unless something else reads them, so do enlargements for a sum."""
    readers = readers_of(maps)

    def values_read(number):
        return [r for r in readers[number] if maps[r].sources[number] != "mask"]

    pools = [n for n, made in maps.items() if made.kind == "pool" and n not in outputs]
    keep_pools = any(
        len(values_read(n)) > 1 and maps[n].level > maps[next(iter(maps[n].sources))].level
        for n in pools
    )
    hidden = [n for n in pools if not keep_pools]
    hidden += [
        n
        for n, made in maps.items()
        if made.kind == "up"
        and len(readers[n]) == 1
        and maps[readers[n][0]].kind in ("concat", "sum")
    ]
    for number in hidden:
        ((source, kind),) = maps[number].sources.items()
        for reader in readers[number]:
            arrows = maps[reader].sources.copy()
            arrows[number] = kind if arrows[number] == "forward" else arrows[number]
            maps[reader].sources = {
                source if n == number else n: arrow for n, arrow in arrows.items()
            }
            readers[source] = [r for r in readers[source] if r != number] + [reader]
        del maps[number]
    return maps


def in_stages(maps):
    """Maps with one name, each read by the next alone, become one stage."""
    readers = readers_of(maps)
    stages, place = [], {}
    for number in computing_order(maps):
        made = maps[number]
        source = next(iter(made.sources), None)
        stage = stages[place[source]] if len(made.sources) == 1 else None
        is_next = stage and stage.name == made.stage and readers[source] == [number]
        if is_next and (made.level == stage.level or made.kind == "pool"):
            stage.maps.append(made)
            place[number] = place[source]
        else:
            place[number] = len(stages)
            stages.append(Stage(made.stage, [made]))
    for stage in stages:
        stage.sources = {place[n]: kind for n, kind in stage.maps[0].sources.items()}
    return stages


def computing_order(maps):
    order, left = [], list(maps)
    while left:
        number = next(n for n in left if all(s in order for s in maps[n].sources))
        order.append(number)
        left.remove(number)
    return order
