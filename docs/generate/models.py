"""The table of models: what each network is, in its paper and here, computed from the code.

No weights are made: the graphs alone are read.
"""

import inspect
import math
import re
from typing import NamedTuple

import keras
from keras import layers

from generate import links, reference
from kerasseg import figures, models
from kerasseg.anatomy import receptive_field
from kerasseg.anatomy.graphs import POINTWISE, unfold
from kerasseg.layers import AtrousSpatialPyramidPooling, PyramidPooling

SIZE = (360, 480)  # CamVid's, as FC-DenseNet and SegNet use it
CLASSES = 11
FIXED = {"dense_autoencoder": (28, 28, 1), "vae": (28, 28, 1)}
AUTOENCODERS = ("dense_autoencoder", "conv_autoencoder", "vae")
OTHER = r"(?:Deviations:|[Tt]he deviations are) those\s+of\s+`(\w+)`"  # another docstring has it
DRAWN = {"deconvnet": (224, 224)}  # the paper's size, where fc7 is one position
DEEPEST = {"deconvnet": "fc7"}  # where a decoder begins at the smallest map's own size
NOT_MAPS = (*POINTWISE, layers.BatchNormalization, layers.Reshape, layers.Flatten)


class Paper(NamedTuple):
    """What a paper says of its parameters, and what follows from the authors' definition.

    Attributes:
        stated: In the paper's words; empty if it names no number.
        counted: Exactly, from the paper's or the authors' definition of the network.
        classes, arguments: Of our network for the comparison, with three channels.
        trainable: Whether moving averages are left out.
    """

    stated: str
    counted: int | None
    classes: int = 21
    arguments: dict = {}  # noqa: RUF012
    trainable: bool = True


PAPERS = {
    "dense_autoencoder": Paper("", 222_384),
    "conv_autoencoder": Paper("", 2_427_427),
    "vae": Paper("", 51_627),
    "fcn32s": Paper("134 million", None, trainable=False),
    "fcn16s": Paper("134 million", None, trainable=False),
    "fcn8s": Paper("134 million", 134_489_759, trainable=False),
    "deeplab_v1": Paper("20.5 million", 20_505_429),
    "unet": Paper("", 31_030_658, 2, {"input_shape": (None, None, 1), "batch_norm": False}),
    "deconvnet": Paper("252 million *", 251_805_653),
    "hypercolumn": Paper("", None),
    "dilatednet": Paper("", 134_313_443, 11),
    "segnet": Paper("29.5 million *", 29_449_355, 11),
    "segnet_basic": Paper("1.425 million", 1_416_587, 11),
    "fc_densenet56": Paper("1.5 million", 1_376_795, 11),
    "fc_densenet67": Paper("3.5 million", 3_463_243, 11),
    "fc_densenet103": Paper("9.4 million", 9_425_163, 11, {}, False),
    "pspnet": Paper("", 46_592_597),
    "deeplab_v3": Paper("", 39_048_533),
    "deeplab_v2": Paper("", 37_877_652),
}


class Row(NamedTuple):
    """A model's numbers.

    Attributes:
        name: Of the function.
        year: Of the paper, or of the book.
        paper: Its `Paper`.
        parameters: Of ours, counted as the paper's.
        stride: Pixels from one position of the deepest map to the next.
        field: Rows of the image that such a position sees, `math.inf` for all.
        operations: Multiplications of an image, in convolutions and dense layers.
        weights: Bytes of the weights, in float32.
        maps: Bytes of all feature maps of an image, in float32: what training keeps.
        deviations: The docstring's paragraphs on them.
        size: The image of the last four.
    """

    name: str
    year: int
    paper: Paper
    parameters: int
    stride: int | None
    field: float
    operations: int
    weights: int
    maps: int
    deviations: str
    size: tuple


def row(name):
    """The numbers of one model."""
    shape = FIXED.get(name, (*SIZE, 3))
    model = without_weights(name, input_shape=shape, num_classes=CLASSES)
    calls = all_calls(model)
    stride, field = deepest(name, model)
    paper = PAPERS[name]
    shape_of_paper = {"input_shape": FIXED.get(name, (None, None, 3)), **paper.arguments}
    compared = without_weights(name, num_classes=paper.classes, **shape_of_paper)
    return Row(
        name,
        year(name),
        paper,
        count(compared.trainable_weights if paper.trainable else compared.weights),
        stride,
        field,
        sum(operations(call) for call in calls),
        4 * count(model.weights),
        4 * sum(values(call) for call in calls),
        deviations(name),
        shape,
    )


def without_weights(name, num_classes, **arguments):
    """A model whose weights are shapes alone."""
    more = {} if name in AUTOENCODERS else {"num_classes": num_classes}
    with keras.StatelessScope(initialize_variables=False):
        return getattr(models, name)(**arguments, **more)


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def all_calls(model):
    """Every call of the graph, those inside pyramid layers too."""
    found = []
    for call in unfold(model, model.inputs)[0]:
        if isinstance(call.operation, (AtrousSpatialPyramidPooling, PyramidPooling)):
            with keras.StatelessScope(initialize_variables=False):
                inner = keras.Input(batch_shape=call.inputs[0].shape)
                inside = keras.Model(inner, call.operation.call(inner))
            found += unfold(inside, inside.inputs)[0]
        else:
            found.append(call)
    return found


def operations(call):
    """Multiplications of one call for one image."""
    layer = call.operation
    if isinstance(layer, layers.Conv2DTranspose):
        return math.prod(call.inputs[0].shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Conv2D):
        return math.prod(call.outputs[0].shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Layer) and any(len(w.shape) > 1 for w in layer.weights):
        raise SystemExit(f"How many operations has {layer.name}? `operations` does not know it.")
    return 0


def values(call):
    """Numbers that a call leaves for the gradient; what is done in place has none."""
    if isinstance(call.operation, NOT_MAPS):
        return 0
    return sum(math.prod(output.shape[1:]) for output in call.outputs)


def first_output(layer):
    return layer.output[0] if isinstance(layer.output, (list, tuple)) else layer.output


def deepest(name, model):
    """(stride, rows seen) of the last layer of the smallest map, before a decoder enlarges it."""
    if name in FIXED:
        return None, math.inf  # the code, made by dense layers
    maps = [layer for layer in model.layers if len(first_output(layer).shape) == 4]
    smallest = min(first_output(layer).shape[1] for layer in maps)
    names = [layer.name for layer in maps if first_output(layer).shape[1] == smallest]
    names = [DEEPEST[name]] if name in DEEPEST else names[::-1]
    fields = (receptive_field(model, layer) for layer in names)
    found = next((field for field in fields if field.size != math.inf), None)
    return (found.stride, found.size) if found else (None, math.inf)


def docstring(name):
    return inspect.getdoc(getattr(models, name))


def year(name):
    """That of the paper, which the docstring names first; of the book, if there is none."""
    paper = re.search(r"Paper: .*?\b((?:19|20)\d\d)\b", docstring(name), re.DOTALL)
    if paper:
        return int(paper[1])
    other = re.search(OTHER, docstring(name))
    return year(other[1]) if other else 2019


def deviations(name):
    """What the docstring says of them; "those of `fcn8s`" stays a reference."""
    words = docstring(name)
    paragraph = re.search(r"^Deviates: (.+?)(?=\n\n|\Z)", words, re.MULTILINE | re.DOTALL)
    if paragraph:
        return paragraph[1]
    other = re.search(OTHER, words)
    return f"Those of `{other[1]}`." if other else "None."


def rows():
    """All rows, by year."""
    return sorted(map(row, PAPERS), key=lambda entry: entry.year)


def write(site):
    """Writes a page for every model with its drawing, and returns the rows."""
    (site / "models").mkdir()
    (site / "drawings").mkdir()
    found, lessons = rows(), reference.lessons_by_name()
    for entry in found:
        draw(site / "drawings" / f"{entry.name}.svg", entry.name)
        (site / "models" / f"{entry.name}.md").write_text(page(entry, lessons), "utf-8")
    return found


def draw(path, name):
    from matplotlib import rc_context

    model = without_weights(name, CLASSES, input_shape=FIXED.get(name, (None, None, 3)))
    with rc_context({"svg.hashsalt": name}):
        figure = figures.architecture(model, DRAWN.get(name, (256, 256)))
        figure.savefig(path, metadata={"Date": None})


def page(entry, lessons):
    """A model's page as Markdown."""
    about = reference.first_sentence(getattr(models, entry.name))
    module = inspect.getmodule(getattr(models, entry.name)).__name__.replace(".", "/")
    links_to_lessons = "".join(
        f"- [Lesson {title}](/lessons/{name}.ipynb)\n"
        for name, title in lessons.get(entry.name, ())
    )
    height, width, _ = entry.size
    facts = [
        ("year", entry.year),
        ("parameters, stated", entry.paper.stated or "–"),
        ("parameters, by the paper's definition", number(entry.paper.counted)),
        (f"parameters, ours ({counted_as(entry)})", number(entry.parameters)),
        ("output stride", number(entry.stride)),
        ("receptive field of the deepest layer", field(entry)),
        (f"multiplications at {height}x{width}", giga(entry.operations)),
        ("memory of the weights", mega(entry.weights)),
        (f"memory of the feature maps at {height}x{width}", mega(entry.maps)),
    ]
    table = "\n".join(f"| {words} | {value} |" for words, value in facts)
    drawing = links.directive(
        f"/drawings/{entry.name}.svg",
        f"Drawing of {entry.name}: {about}",
        "Made from the model's graph by `figures.architecture`.",
    )
    return f"""\
# {entry.name}

{about}

{drawing}

| of {entry.name} | |
|---|--:|
{table}

## Deviations from the paper

{entry.deviations[0].upper() + entry.deviations[1:]}

## More

- [`kerasseg.models.{entry.name}`](/reference/kerasseg.models.{entry.name}.md)
- <a href="../_modules/{module}.html">The source</a>
{links_to_lessons}"""


def counted_as(entry):
    if entry.name in AUTOENCODERS:
        return "at the defaults"
    kind = "trainable" if entry.paper.trainable else "all"
    more = {"unet": ", one channel, without batch normalization"}.get(entry.name, "")
    return f"{kind}, {entry.paper.classes} classes{more}"


def number(value):
    return "–" if value is None else f"{value:,}"


def field(entry):
    return "the whole image" if entry.field == math.inf else f"{entry.field:,} pixels"


def giga(value):
    return f"{value / 1e9:.3g} billion" if value >= 1e8 else f"{value / 1e6:.3g} million"


def mega(count):
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"
