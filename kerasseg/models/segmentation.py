"""What every segmentation model has around its network, written once."""

import functools
import inspect
import re

import keras

from kerasseg.models import resnets, vgg
from kerasseg.models.blocks import output
from kerasseg.models.formats import in_data_format, layers
from kerasseg.models.freezing import freeze
from kerasseg.models.pretrained import APPLICATIONS, load_encoder, read_source

# What `Args:` says of the arguments that the decorator adds, or that most networks have.
BEFORE = {
    "input_shape": "`(height, width, channels)`, height and width may be `None`.",
    "num_classes": "Channels of the output.",
    "width": "Scales every filter count.",
}
ENCODER = {
    "encoder_weights": """`None`, `"imagenet"`, the path of a `.keras` or `.h5` file, or a
        `keras.Model`: weights of {applications} in
        `keras.applications`, for which `width` must be 1.""",
    "encoder_trainable": """Whether the encoder's convolutions and their normalizations learn; see
        `kerasseg.models.unfreeze`.""",
}
AFTER = {
    "activation": """Of the output; `None` gives logits. With `"softmax"` the matching loss is
        `kerasseg.losses.CrossEntropy(from_logits=False)`.""",
    "data_format": '`"channels_last"`, `"channels_first"` or `None` for Keras\'s default.',
    "name": "Of the model.",
}
RETURNS = """    A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to
    float32 logits `(batch, height, width, num_classes)`, or their `activation`; with
    `channels_first` the channels are axis 1 of both."""
RAISES = """    ValueError: an `input_shape`, a `num_classes` or another argument of which no model
        can be made: with what was expected and what was received."""
RAISES_WITH_ENCODER = """
    ValueError: `encoder_weights` of another network, or with a `width` other than 1.
    ConnectionError: `encoder_weights="imagenet"` where the download fails."""


def segmentation_model(multiple=None, remainder=0, encoder=None, top=None):
    """Turns a network, a function from an image to scores, into the function that builds its model.

    The file of an architecture has the network: `segnet(image, num_classes, *, width=1.0)` returns
    scores. Its users call `segnet(input_shape, num_classes, *, width=1.0, …, name="segnet")`, which
    returns a `keras.Model`:

    ```
    image ─ preprocessing ─ padding ─▶ network ─▶ crop ─ activation, in float32
    ```

    - `input_shape` and `num_classes` are checked, and `data_format` holds for every layer.
    - The image is padded by reflection, and the scores are cropped to its size (`multiple`).
    - `encoder_weights` fill the encoder, with the preprocessing that they expect in front, and
      `encoder_trainable=False` freezes it (`encoder`).
    - The signature and the docstring get the arguments that are added.

    Args:
        multiple: Of what height and width must be a multiple inside; or a function of the
            network's own arguments that gives it. `None`: there is no padding and no crop.
        remainder: What the division by `multiple` leaves.
        encoder: `"vgg16"` if the network uses `vgg.vgg16`; the values of its argument `encoder`,
            of `APPLICATIONS`, if it has one. `None`: it has no encoder with weights.
        top: How the layers fc6 and fc7 take the weights of VGG-16's: `"whole"`, `"decimated"` (a
            part of them) or `None` (not at all).
    """

    def decorate(network):
        signature = public_signature(network, encoder)

        @functools.wraps(network)
        def build(*args, **kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{network.__name__}() {error}") from None
            bound.apply_defaults()
            given = bound.arguments
            own = {name: given[name] for name in parameters(network)[2:]}
            weights = given["encoder_weights"] if encoder else None
            name = chosen(encoder, own)

            image = keras.Input(given["input_shape"], name="image")
            x = preprocessed(image, weights, own) if encoder else image
            if weights is not None:  # first, since a download may fail
                weights = read_source(weights, APPLICATIONS[name], with_top=bool(top))
            step = multiple(**own) if callable(multiple) else multiple
            if step:
                x = layers.PadToMultiple(step, remainder=remainder, name="pad")(x)
            scores = network(x, given["num_classes"], **own)
            like = image if step else None
            model = keras.Model(image, finished(scores, like, given), name=given["name"])
            if encoder:
                load(model, name, weights, top)
                if not given["encoder_trainable"]:
                    freeze(model)
            return model

        build.__signature__ = signature
        build.__doc__ = public_docstring(network, signature, encoder)
        return in_data_format(build)

    return decorate


def parameters(network):
    return list(inspect.signature(network).parameters)


def chosen(encoder, own):
    """The name of the encoder, which the network's own arguments may choose."""
    if isinstance(encoder, tuple) and own["encoder"] not in encoder:
        raise ValueError(
            f"`encoder` must be one of {list(encoder)}. Received: encoder={own['encoder']!r}"
        )
    return own["encoder"] if isinstance(encoder, tuple) else encoder


def preprocessed(image, weights, own):
    """The image as the encoder's weights expect it: unchanged if there are none."""
    if weights is None:
        return image
    if own["width"] != 1:
        raise ValueError(
            f"`encoder_weights` exist for width=1 alone. Received: width={own['width']}. "
            "Leave out one of the two."
        )
    return layers.CaffePreprocessing(name="preprocessing")(image)


def finished(scores, like, given):
    """The output, or both if the network has a second, auxiliary one."""
    names = {"": scores}
    if isinstance(scores, list):
        names = dict(zip(("", "auxiliary_"), scores, strict=True))
    outputs = []
    for prefix, x in names.items():
        if like is not None:
            x = layers.CenterCropLike(dtype="float32", name=f"{prefix}crop")(x, like)
        outputs.append(output(x, given["activation"], f"{prefix}logits"))
    return outputs if isinstance(scores, list) else outputs[0]


def load(model, encoder, weights, top):
    """Fills the encoder, and fc6 and fc7 where `top` says so."""
    if weights is None:
        return
    names = resnets.names_in(model)
    if encoder == "vgg16":
        names = {**vgg.CONVOLUTIONS, **(vgg.FULLY_CONNECTED if top else {})}
    load_encoder(model, weights, APPLICATIONS[encoder], names, decimate=top == "decimated")


def public_signature(network, encoder):
    """The network's signature with `input_shape` for its image, and with what is added."""
    _, num_classes, *own = inspect.signature(network).parameters.values()
    either, keyword = num_classes.kind, inspect.Parameter.KEYWORD_ONLY
    added = {"encoder_weights": None, "encoder_trainable": True} if encoder else {}
    added |= {"activation": None, "data_format": None, "name": network.__name__}
    return inspect.Signature(
        [
            inspect.Parameter("input_shape", either),
            num_classes,
            *own,
            *(inspect.Parameter(name, keyword, default=value) for name, value in added.items()),
        ]
    )


def public_docstring(network, signature, encoder):
    """The network's docstring with the arguments that are added, what it returns and raises."""
    head, sections = sections_of(inspect.cleandoc(network.__doc__))
    example = sections.pop("Example", None)
    own = sections.get("Args", "")
    encoders = [encoder] if isinstance(encoder, str) else encoder or []
    applications = " or ".join(f"`{APPLICATIONS[name]}`" for name in encoders)
    weights = ENCODER["encoder_weights"].format(applications=applications)
    known = {**BEFORE, **ENCODER, "encoder_weights": weights, **AFTER}
    described = set(re.findall(r"^    (\w+): ", own, re.MULTILINE))

    def lines(names):
        wanted = [name for name in names if name in signature.parameters and name not in described]
        return [f"    {name}: {known[name]}" for name in wanted]

    arguments = [*lines(BEFORE), *([own] if own else []), *lines({**ENCODER, **AFTER})]
    raises = RAISES + (RAISES_WITH_ENCODER if encoder else "")
    sections = {"Returns": RETURNS, "Raises": raises, **sections, "Args": "\n".join(arguments)}
    texts = [f"{name}:\n{sections[name]}" for name in ("Args", "Returns", "Raises")]
    return "\n\n".join([head, *texts, *([f"Example:{example}"] if example else [])]) + "\n"


def sections_of(docstring):
    """What stands before the first section, and `{title: text}` of the sections."""
    head, *rest = re.split(r"^(Args|Returns|Raises|Example):", docstring, flags=re.MULTILINE)
    texts = dict(zip(rest[::2], rest[1::2]))
    return head.rstrip(), {
        title: text.rstrip() if title == "Example" else text.strip("\n")
        for title, text in texts.items()
    }
