"""What a model returns is read off its graph, and no activation is applied twice."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerasseg.anatomy import Output, main_output, output_of, to_classes, to_probabilities
from kerasseg.layers import BilinearUpsampling2D, CenterCropLike, NamedClasses, PadToMultiple
from kerasseg.models import unet, with_classes

IMAGE = (None, None, 3)


def built(*stack, shape=IMAGE):
    return keras.Sequential([keras.Input(shape), *stack])


def head(classes=4, activation="softmax", **arguments):
    return layers.Conv2D(classes, 1, activation=activation, **arguments)


def functional(make, shape=IMAGE):
    inputs = keras.Input(shape)
    return keras.Model(inputs, make(inputs))


def cropped(x):
    return CenterCropLike()(layers.UpSampling2D()(head()(x)), x)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def call(self, x):
        return self.part(x)


def mean_with_flipped(x):
    softmax = head()
    return (softmax(x) + ops.flip(softmax(ops.flip(x, 2)), 2)) / 2


def in_another_order(x):
    probabilities = head()(x)
    return ops.concatenate([probabilities[..., 2:], probabilities[..., :2]], axis=-1)


ENDINGS = {  # each of 4 classes, after a softmax
    "in the convolution": lambda x: head()(x),
    "a layer": lambda x: layers.Softmax()(head(activation=None)(x)),
    "an Activation layer": lambda x: layers.Activation("softmax")(head(activation=None)(x)),
    "a layer as activation": lambda x: head(activation=layers.Softmax())(x),
    "keras.ops": lambda x: ops.softmax(head(activation=None)(x), axis=-1),
    "keras.activations": lambda x: keras.activations.softmax(head(activation=None)(x)),
    "resized": lambda x: layers.Resizing(20, 30)(head()(x)),
    "resized by keras.ops": lambda x: ops.image.resize(head()(x), (20, 30)),
    "upsampled": lambda x: layers.UpSampling2D(interpolation="bilinear")(head()(x)),
    "upsampled by our layer": lambda x: BilinearUpsampling2D(2, align_corners=True)(head()(x)),
    "cropped": cropped,
    "cropped by a slice": lambda x: head()(x)[:, 1:-1, 1:-1],
    "padded": lambda x: layers.ZeroPadding2D()(PadToMultiple(8)(head()(x))),
    "padded by keras.ops": lambda x: ops.pad(head()(x), [(0, 0), (1, 1), (1, 1), (0, 0)]),
    "cast": lambda x: ops.cast(head()(x), "float16"),
    "clipped": lambda x: ops.clip(head()(x), 1e-7, 1.0),
    "of flattened pixels": lambda x: layers.Reshape((20, 30, 4))(
        layers.Softmax()(layers.Reshape((-1, 4))(layers.Resizing(20, 30)(head(activation=None)(x))))
    ),
    "named": lambda x: NamedClasses(["a", "b", "c", "d"])(head()(x)),
    "nested": lambda x: built(layers.Conv2D(3, 1), built(head()))(x),
    "nested, then upsampled": lambda x: layers.UpSampling2D()(built(head())(x)),
    "nested upsampling": lambda x: built(layers.UpSampling2D(), shape=(None, None, 4))(head()(x)),
    "averaged": lambda x: layers.Average()([head()(x), layers.Dropout(0.5)(head()(x))]),
    "averaged with the flipped image": mean_with_flipped,
    "averaged with weights": lambda x: 0.25 * head()(x) + head()(x) * 0.75,
    "averaged with a number of NumPy": lambda x: (head()(x) + head()(x)) * np.float32(0.5),
    "averaged as a stack": lambda x: ops.mean(ops.stack([head()(x), head()(x)], 1), axis=1),
    "with an axis more and one less": lambda x: ops.squeeze(ops.expand_dims(head()(x), 1), 1),
    "transposed and back": lambda x: ops.moveaxis(
        layers.Softmax(axis=1)(ops.moveaxis(head(activation=None)(x), -1, 1)), 1, -1
    ),
    "in another order": in_another_order,
    "where there is something": lambda x: head()(x) * head(1, "sigmoid")(x),
    "pooled": lambda x: layers.MaxPooling2D()(layers.ReLU()(head()(x))),
    "a function as activation": lambda x: head(activation=lambda z: ops.softmax(z, axis=-1))(x),
    "a layer of one's own": lambda x: Subclassed(head())(x),
}


@pytest.mark.parametrize("make", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_softmax_is_found_behind_whatever_keeps_it_a_probability(make):
    assert output_of(functional(make)) == Output("softmax", "classes", 4, -1, 0)


LOGITS = {
    "plain": lambda x: head(activation=None)(x),
    "softmax in front of a convolution": lambda x: layers.Conv2D(4, 1)(head()(x)),
    "log softmax": lambda x: head(activation="log_softmax")(x),
    "tanh": lambda x: layers.Activation("tanh")(head()(x)),
    "relu": lambda x: head(activation="relu")(x),
    "a function as activation": lambda x: head(activation=lambda z: 3 * z)(x),
    "a sum of two softmaxes": lambda x: layers.Add()([head()(x), head()(x)]),
    "a difference of two softmaxes": lambda x: head()(x) - head()(x),
    "a product of two softmaxes": lambda x: head()(x) * head()(x),
    "the larger of two softmaxes": lambda x: layers.Maximum()([head()(x), head()(x)]),
    "the smaller of two softmaxes": lambda x: ops.minimum(head()(x), head()(x)),
    "some classes of a softmax": lambda x: head(5)(x)[..., 1:],
    "some classes of two softmaxes": lambda x: (head(5)(x) + head(5)(x))[..., 1:] / 2,
    "a softmax behind a threshold": lambda x: layers.ReLU(threshold=0.5)(head()(x)),
    "a softmax cut off": lambda x: layers.ReLU(max_value=0.5)(head()(x)),
    "a share of a softmax": lambda x: 4 * head()(x) / 2,
    "a softmax and logits, averaged": lambda x: layers.Average()(
        [head()(x), head(activation=None)(x)]
    ),
    "a softmax cut into other channels": lambda x: layers.Reshape((40, 30, 4))(
        layers.Resizing(20, 30)(head(8)(x))
    ),
    "a logarithm": lambda x: ops.log(head()(x)),
}


@pytest.mark.parametrize("make", LOGITS.values(), ids=LOGITS.keys())
def test_anything_else_counts_as_logits(make):
    assert output_of(functional(make)) == Output(None, "classes", 4, -1, 0)


def test_a_graph_that_uses_each_tensor_twice_is_read_in_no_time():
    def make(x):
        x = head()(x)
        for _ in range(40):
            x = 0.5 * x + 0.5 * x
        return x

    assert output_of(functional(make)).activation == "softmax"


def test_a_product_of_sigmoids_is_one():
    model = functional(lambda x: head(activation="sigmoid")(x) * head(1, "sigmoid")(x))
    assert output_of(model) == Output("sigmoid", "multilabel", 4)


@pytest.mark.parametrize("activation", [None, "sigmoid", "hard_sigmoid"])
def test_one_channel_is_binary_and_several_sigmoids_are_multi_label(activation):
    meaning = activation and "sigmoid"
    one = output_of(built(head(1, activation), layers.UpSampling2D()))
    assert one == Output(meaning, "binary", 2, -1, 0)
    several = output_of(built(head(3, activation)))
    assert several == Output(meaning, "multilabel" if activation else "classes", 3, -1, 0)
    assert output_of(built(head(3, None)), multi_label=True).labels == "multilabel"


def test_sigmoids_side_by_side_are_multi_label_and_softmaxes_are_refused():
    def model(activation, first=2, second=3):
        return functional(
            lambda x: ops.concatenate(
                [head(first, activation)(x), head(second, activation)(x)], axis=-1
            )
        )

    assert output_of(model("sigmoid")) == Output("sigmoid", "multilabel", 5)
    assert output_of(model(None)) == Output(None, "classes", 5)
    with pytest.raises(ValueError, match="'concatenate.*several softmaxes side by side"):
        output_of(model("softmax"))
    assert output_of(model("softmax"), activation=None).activation is None


def test_a_probability_and_what_it_leaves_are_two_classes():
    def both(x):
        p = head(1, "sigmoid")(x)
        return layers.Concatenate()([1 - p, p])

    assert output_of(functional(both)) == Output("softmax", "classes", 2)
    assert output_of(functional(lambda x: 1 - head(1, "sigmoid")(x))).activation == "sigmoid"


def test_one_channel_of_a_softmax_is_a_probability():
    model = functional(lambda x: head(2)(x)[..., 1:])
    assert output_of(model) == Output("sigmoid", "binary", 2, -1, 0)


def test_the_axis_is_that_of_the_last_layer_with_a_data_format():
    first = {"data_format": "channels_first"}
    shape = (3, None, None)
    softmax = layers.Softmax(axis=1)
    model = built(head(5, None, **first), softmax, layers.UpSampling2D(**first), shape=shape)
    assert output_of(model) == Output("softmax", "classes", 5, 1, 0)
    turned = built(
        layers.Permute((3, 1, 2)),
        head(5, None, **first),
        layers.Softmax(axis=1),
        layers.Permute((2, 3, 1)),
    )
    assert output_of(turned) == Output("softmax", "classes", 5, -1, 0)
    by_ops = functional(
        lambda x: ops.transpose(model(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))
    )
    assert output_of(by_ops) == Output("softmax", "classes", 5, -1, 0)
    assert output_of(unet((3, None, None), 2, width=0.02, data_format="channels_first")).axis == 1
    assert output_of(built(layers.Rescaling(2.0))).axis == -1


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_our_models_are_read(activation, data_format):
    shape = (16, 16, 3) if data_format == "channels_last" else (3, 16, 16)
    model = unet(shape, 3, width=0.02, activation=activation, data_format=data_format)
    axis = -1 if data_format == "channels_last" else 1
    labels = "multilabel" if activation == "sigmoid" else "classes"
    assert output_of(model) == Output(activation, labels, 3, axis, 0)
    assert output_of(with_classes(model, ["a", "b", "c"])) == output_of(model)


def test_a_softmax_that_gives_no_probabilities_of_classes_is_refused():
    wrong = built(head(4, None), layers.Softmax(axis=1))
    with pytest.raises(ValueError, match=r"axis of the classes, 3. Received: axis=\(1,\)"):
        output_of(wrong)
    with pytest.raises(ValueError, match="over one channel is 1 everywhere.*needs a sigmoid"):
        output_of(built(head(1)))


def test_the_main_output_is_the_named_one_else_the_first_map_else_the_first():
    inputs = keras.Input((8, 8, 3))
    vector = layers.Dense(7)(layers.Flatten()(inputs))
    auxiliary, main = head(4, None)(inputs), head(3)(inputs)
    assert output_of(keras.Model(inputs, [vector, main, auxiliary])).index == 1
    assert output_of(keras.Model(inputs, [vector])).index == 0
    named = NamedClasses(["a", "b", "c"])(main)
    model = keras.Model(inputs, {"a": auxiliary, "b": vector, "c": named})
    output = output_of(model)
    assert output == Output("softmax", "classes", 3, -1, 2)
    raw = model.predict_on_batch(np.zeros((2, 8, 8, 3)))
    assert main_output(raw, output) is raw["c"]
    assert main_output(raw["c"], output_of(keras.Model(inputs, named))) is raw["c"]


def test_a_dict_of_outputs_has_the_order_in_which_it_was_written():
    inputs = keras.Input((8, 8, 3))
    outputs = {"scores": head(3)(inputs), "auxiliary": head(5, None)(inputs)}
    model = keras.Model(inputs, outputs)
    output = output_of(model)
    assert (output.num_classes, output.activation) == (3, "softmax")
    assert main_output(model.predict_on_batch(np.zeros((1, 8, 8, 3))), output).shape[-1] == 3
    assert output_of(keras.Model.from_config(model.get_config())) == output
    nested = {"z": [head(1)(inputs)[..., 0], head(2)(inputs)], "a": (head(7)(inputs),)}
    assert output_of(keras.Model(inputs, nested)).num_classes == 2


class OfTheBackend(Subclassed):
    """Its `call` takes no symbolic tensors, as where a backend's own functions are called."""

    def call(self, x):
        if isinstance(x, keras.KerasTensor):
            raise TypeError
        return self.part(x)


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_a_subclassed_model_is_read_as_its_call_is(activation):
    model = Subclassed(built(layers.Rescaling(2.0), head(3, activation)))
    with pytest.raises(ValueError, match=r"must be built.*Call it once on a batch"):
        output_of(model)
    model(np.zeros((1, 4, 5, 3), "float32"))
    labels = "multilabel" if activation == "sigmoid" else "classes"
    assert output_of(model) == Output(activation, labels, 3, -1, 0)
    assert output_of(built(Subclassed(model), layers.UpSampling2D())) == output_of(model)


def test_a_model_that_cannot_be_read_gives_logits_unless_told_otherwise():
    model = OfTheBackend(head(3))
    with pytest.raises(ValueError, match=r"must be built.*Call it once on a batch"):
        output_of(model)
    model(np.zeros((1, 4, 5, 3), "float32"))
    assert output_of(model) == Output(None, "classes", 3, -1, 0)
    assert output_of(model, activation="softmax") == Output("softmax", "classes", 3, -1, 0)
    assert output_of(model, activation="sigmoid") == Output("sigmoid", "multilabel", 3, -1, 0)
    assert output_of(functional(model)) == Output(None, "classes", 3, -1, 0)
    softmax_behind = functional(lambda x: layers.Softmax()(model(x)))
    assert output_of(softmax_behind).activation == "softmax"
    with pytest.raises(ValueError, match="`activation` must be 'auto'.*Received: activation='so'"):
        output_of(model, activation="so")


def test_multi_label_logits_say_so_by_their_names():
    model = with_classes(built(head(3, None)), ["a", "b", "c"], multi_label=True)
    expected = Output(None, "multilabel", 3, -1, 0)
    assert output_of(model) == output_of(built(model)) == expected
    subclassed = Subclassed(model)
    subclassed(np.zeros((1, 4, 5, 3), "float32"))
    assert output_of(subclassed) == expected


OUTPUTS = [
    Output(activation, labels, channels + (labels == "binary"), axis)
    for activation in (None, "own")
    for labels, channels in (("classes", 4), ("binary", 1), ("multilabel", 3))
    for axis in (-1, 1)
]


@pytest.mark.parametrize("output", OUTPUTS, ids=str)
def test_probabilities_and_decisions_agree_with_loops(rng, output):
    channels = 1 if output.labels == "binary" else output.num_classes
    logits = rng.normal(size=(2, 3, 5, channels))
    probabilities, ids = np.zeros(logits.shape), np.zeros((2, 3, 5), int)
    masks = np.zeros(logits.shape, int)
    for place in np.ndindex(2, 3, 5):
        exponentials = np.exp(logits[place])
        if output.labels == "classes":
            probabilities[place] = exponentials / exponentials.sum()
            ids[place] = max(range(channels), key=lambda c: logits[place][c])
        else:
            probabilities[place] = exponentials / (1 + exponentials)
            masks[place] = [z > 0 for z in logits[place]]
    expected = {"classes": ids, "binary": masks[..., 0], "multilabel": masks}[output.labels]
    if output.axis == 1:
        logits, probabilities = (np.moveaxis(x, -1, 1) for x in (logits, probabilities))
        expected = np.moveaxis(expected, -1, 1) if output.labels == "multilabel" else expected
    raw = (logits if output.activation is None else probabilities).astype("float32")
    measured = to_probabilities(raw, output)
    np.testing.assert_allclose(measured, probabilities, atol=1e-6)
    np.testing.assert_array_equal(to_classes(measured, output), expected)
    tensor = to_probabilities(ops.convert_to_tensor(raw), output)
    assert ops.is_tensor(tensor)
    np.testing.assert_array_equal(ops.convert_to_numpy(to_classes(tensor, output)), expected)


def test_half_precision_becomes_float32():
    raw = np.array([[[[0.0, 9.0]]]], "float16")
    assert to_probabilities(raw, Output(None, "classes", 2)).dtype == "float32"
    assert to_probabilities(raw, Output("softmax", "classes", 2)).dtype == "float32"


def test_what_losses_and_metrics_are_told():
    assert Output("sigmoid", "multilabel", 3, 1).arguments == {
        "axis": 1,
        "from_logits": False,
        "multi_label": True,
    }
    assert Output(None, "binary", 2).arguments == {
        "axis": -1,
        "from_logits": True,
        "multi_label": False,
    }


@pytest.mark.parametrize("model", ["unet.keras", layers.Dense(2)])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError, match=r"must be a keras.Model. Received: model=.*load_model"):
        output_of(model)
