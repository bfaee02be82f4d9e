"""PyTorch's weights in Keras models give PyTorch's outputs."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerasseg import models
from kerasseg.anatomy.torch_weights import load_torch_weights
from tests.models.zoo import outputs, picture

torch = pytest.importorskip("torch")
nn = torch.nn

from tests.models import torch_encoder_decoders as plain  # noqa: E402  (it needs torch)


def torch_outputs(network, images):
    with torch.no_grad():
        return network(torch.tensor(np.moveaxis(images, -1, 1))).numpy()


def assert_same(network, model, images):
    """With the weights of the network, the model gives its outputs."""
    plain.with_random_statistics(network)
    load_torch_weights(model, network.state_dict(), batch_norm_epsilon=None)
    expected = torch_outputs(network, images)
    expected = np.moveaxis(expected, 1, -1) if expected.ndim == 4 else expected
    assert expected.std() > 0.1
    np.testing.assert_allclose(outputs(model, images), expected, atol=1e-4, rtol=1e-4)


def test_unet_is_wired_as_the_papers():
    network = plain.UNet(3, 4, (8, 16, 32, 64, 128))
    assert_same(network, models.unet((None, None, 3), 4, width=1 / 8), picture(48, 80))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_unet_with_valid_padding_is_wired_as_the_papers(batch_norm):
    network = plain.UNet(1, 2, (2, 4, 8, 16, 32), padding=0, batch_norm=batch_norm)
    model = models.unet((None, None, 1), 2, width=1 / 32, padding="valid", batch_norm=batch_norm)
    assert_same(network, model, picture(204, 188, 1, count=1))


def test_unet_has_the_definitions_parameters():
    for channels, batch_norm, count in ((1, False, 31_030_658), (3, True, 31_037_698)):
        with torch.device("meta"):
            network = plain.UNet(channels, 2, batch_norm=batch_norm)
        assert sum(weight.numel() for weight in network.parameters()) == count


def test_a_pytorch_checkpoint_becomes_a_keras_file(tmp_path):
    network = plain.with_random_statistics(plain.UNet(3, 2, (2, 4, 8, 16, 32)))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5  # PyTorch's, other than that of our layers
            module.running_var /= 100
    torch.save(network.state_dict(), tmp_path / "unet.pth")
    model = models.unet((None, None, 3), 2, width=1 / 32)
    load_torch_weights(model, torch.load(tmp_path / "unet.pth"))
    model.save(tmp_path / "unet.keras")
    images = picture(32, 48)
    expected = np.moveaxis(torch_outputs(network, images), 1, -1)
    result = outputs(keras.saving.load_model(tmp_path / "unet.keras"), images)
    np.testing.assert_allclose(result, expected, atol=1e-4 * expected.std(), rtol=1e-4)


def test_segnet_is_wired_as_the_papers_at_any_size():
    network = plain.SegNet(3, 5, (8, 16, 32, 64, 64))
    assert_same(network, models.segnet((None, None, 3), 5, width=1 / 8), picture(45, 70))


def test_fc_densenet56_is_wired_as_the_papers():
    network = plain.FCDenseNet(3, 5, first=12, growth=3)
    assert_same(network, models.fc_densenet56((None, None, 3), 5, width=1 / 4), picture(64, 96))


def test_blocks_of_different_depths_are_wired_as_the_papers():
    depths = {"down": (4, 5, 7, 10, 12), "bottleneck": 15}
    network = plain.FCDenseNet(3, 5, first=3, growth=1, **depths)
    assert_same(network, models.fc_densenet103((None, None, 3), 5, width=1 / 16), picture(32, 64))


class Classifier(nn.Module):
    """Every kind of layer, and a head behind a flattened map."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, (3, 2), groups=3, bias=False),
            nn.GroupNorm(2, 6, eps=1e-3),
            nn.Conv2d(6, 12, 3, groups=6, dilation=(1, 2)),  # two kernels a channel
            nn.BatchNorm2d(12, eps=1e-3),
            nn.Conv2d(12, 12, (1, 3), groups=12, bias=False),
            nn.Conv2d(12, 5, 1),
            nn.ConvTranspose2d(5, 4, (2, 3), stride=(2, 3)),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(4 * 6 * 9, eps=1e-3),
            nn.Linear(4 * 6 * 9, 7),
            nn.BatchNorm1d(7, affine=False, eps=1e-3),
            nn.Linear(7, 3, bias=False),
        )

    def forward(self, x):
        return self.head(self.features(x))


def classifier(data_format="channels_last"):
    shape = (7, 10, 3) if data_format == "channels_last" else (3, 7, 10)
    axis = -1 if data_format == "channels_last" else 1
    keras.config.set_image_data_format(data_format)
    try:
        return keras.Sequential(
            [
                keras.Input(shape),
                layers.Conv2D(6, (3, 2), groups=3, use_bias=False),
                layers.GroupNormalization(2, axis=axis, epsilon=1e-3),
                layers.DepthwiseConv2D(3, depth_multiplier=2, dilation_rate=(1, 2)),
                layers.BatchNormalization(axis=axis),
                layers.SeparableConv2D(5, (1, 3)),
                layers.Conv2DTranspose(4, (2, 3), strides=(2, 3)),
                layers.Flatten(),
                layers.BatchNormalization(),
                layers.Dropout(0.5),
                layers.Dense(7),
                layers.BatchNormalization(center=False, scale=False),
                layers.Dense(3, use_bias=False),
            ]
        )
    finally:
        keras.config.set_image_data_format("channels_last")


def test_every_kind_of_layer_and_a_flattened_map_are_carried_over():
    assert_same(Classifier(), classifier(), picture(7, 10, count=3))


def test_channels_first_models_take_the_same_weights():
    last, first = classifier(), classifier("channels_first")
    state = plain.with_random_statistics(Classifier()).state_dict()
    load_torch_weights(last, state, batch_norm_epsilon=None)
    load_torch_weights(first, state, batch_norm_epsilon=None)
    for ours, theirs in zip(first.get_weights(), last.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_nested_models_are_filled_in_their_place():
    image = keras.Input((6, 5, 3))
    backbone = keras.Sequential(
        [keras.Input((6, 5, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()]
    )
    head = keras.Sequential([keras.Input((4, 3, 4)), layers.Flatten(), layers.Dense(2)])
    x = layers.Conv2D(3, 1)(image)
    network = nn.Sequential(
        nn.Conv2d(3, 3, 1),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3)),
        nn.Flatten(),
        nn.Linear(48, 2),
    )
    assert_same(network, keras.Model(image, head(backbone(x))), picture(6, 5))


class Pyramid(nn.Module):
    """DeepLab v3's head on a convolution, written out of order."""

    def __init__(self):
        super().__init__()
        self.project = self.block(12, 4)
        self.image = self.block(6, 4)
        self.rate = self.block(6, 4, 3, 2)
        self.pixel = self.block(6, 4)
        self.stem = nn.Conv2d(3, 6, 1)

    @staticmethod
    def block(before, after, kernel_size=1, rate=1):
        conv = nn.Conv2d(
            before, after, kernel_size, padding=kernel_size // 2 * rate, dilation=rate, bias=False
        )
        return nn.Sequential(conv, nn.BatchNorm2d(after, eps=1e-3), nn.ReLU())

    def forward(self, x):
        x = self.stem(x)
        mean = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([self.pixel(x), self.rate(x), mean], 1))


def pyramid():
    from kerasseg.layers import AtrousSpatialPyramidPooling

    image = keras.Input((None, None, 3))
    x = layers.Conv2D(6, 1, name="stem")(image)
    return keras.Model(image, AtrousSpatialPyramidPooling(4, (2,), name="head")(x))


def test_names_join_what_stands_in_another_order():
    network = plain.with_random_statistics(Pyramid())
    model = pyramid()
    names = ("pixel", "rate2", "image", "projection")
    pairs = dict(zip(names, ("pixel", "rate", "image", "project")))
    load_torch_weights(model, network.state_dict(), pairs, batch_norm_epsilon=1e-3)
    images = picture(8, 9)
    expected = np.moveaxis(torch_outputs(network, images), 1, -1)
    np.testing.assert_allclose(outputs(model, images), expected, atol=1e-5)


def test_pytorchs_epsilon_of_batch_normalisation_is_made_up_for():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    network[1].running_var.copy_(torch.tensor([1.0, 0.1, 1e-3, 1e-5]))  # the last below Keras's
    image = keras.Input((5, 6, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.ReLU()(x))
    load_torch_weights(model, network.state_dict())
    images = picture(5, 6)
    expected = np.moveaxis(torch_outputs(network, images), 1, -1)
    np.testing.assert_allclose(outputs(model, images), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (layers.GroupNormalization(2, name="norm"), nn.GroupNorm(2, 4)),
        (layers.LayerNormalization(axis=[1, 2, 3], name="norm"), nn.LayerNorm([4, 5, 4])),
    ],
)
def test_another_epsilon_of_a_normalisation_without_variances_is_refused(ours, theirs):
    model = keras.Sequential([keras.Input((4, 5, 4)), ours])
    with pytest.raises(ValueError, match=r"'norm'.*Received: epsilon=0.001, .*=1e-05. Build it"):
        load_torch_weights(model, theirs.state_dict())


def test_group_normalisation_of_pytorchs_epsilon_gives_the_same():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4))
    norm = layers.GroupNormalization(2, epsilon=1e-5)
    model = keras.Sequential([keras.Input((5, 6, 3)), layers.Conv2D(4, 1), norm])
    load_torch_weights(model, network.state_dict())
    images = picture(5, 6) / 100
    expected = np.moveaxis(torch_outputs(network, images), 1, -1)
    np.testing.assert_allclose(outputs(model, images), expected, rtol=1e-3, atol=1e-4)


def test_names_that_are_not_there_are_named():
    state = Pyramid().state_dict()
    with pytest.raises(ValueError, match="Received: 'stm': 'stem', and there is no such layer"):
        load_torch_weights(pyramid(), state, {"stm": "stem"})
    with pytest.raises(ValueError, match="Received: 'stem': 'ste', and there is no such module"):
        load_torch_weights(pyramid(), state, {"stem": "ste"})


def small_pair():
    model = keras.Sequential(
        [keras.Input((4, 5, 3)), layers.Conv2D(2, 3, name="a"), layers.Conv2D(6, 1, name="b")]
    )
    return model, nn.Sequential(nn.Conv2d(3, 2, 3), nn.Conv2d(2, 6, 1))


def assert_refused(state, message):
    model, _ = small_pair()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        load_torch_weights(model, state)
    for ours, theirs in zip(model.get_weights(), before):
        np.testing.assert_array_equal(ours, theirs)


def test_a_mismatch_names_both_sides_and_leaves_the_model_as_it_was():
    state = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Conv2d(2, 5, 1)).state_dict()
    assert_refused(
        state,
        r"'b' of class Conv2D.*\(1, 1, 2, 6\).*\(6, 2, 1, 1\) in PyTorch. "
        r"Received: '1.weight' of shape \(5, 2, 1, 1\)",
    )


def test_what_is_left_over_is_named():
    _, network = small_pair()
    more = nn.Sequential(*network, nn.Conv2d(6, 1, 2)).state_dict()
    assert_refused(more, r"2 layers and 3 modules. Left over is module '2'.*\(1, 6, 2, 2\)")
    fewer = network[:1].state_dict()
    assert_refused(fewer, "2 layers and 1 modules. Left over is layer 'b' of class Conv2D")
    another = nn.Sequential(*network, nn.Linear(2, 3)).state_dict()
    assert_refused(another, "matrix.*0 layers and 1 modules. Left over is module '2'")


def test_a_bias_that_one_side_lacks_is_named():
    state = small_pair()[1].state_dict()
    del state["1.bias"]
    assert_refused(state, r"'b'.*\['bias', 'weight'\]. Received: module '1' with \['weight'\]")


def test_a_checkpoint_that_holds_more_or_other_than_weights_is_refused():
    _, network = small_pair()
    state = {"epoch": 3, "state_dict": network.state_dict()}
    assert_refused(state, r"names to tensors. Received: state_dict\['state_dict'\] of class")
    assert_refused(network, "names to tensors. Received: state_dict of class Sequential. Pass")
    assert_refused("unet.pth", "names to tensors. Received: state_dict of class str. Pass")


def test_arrays_and_half_precision_will_do():
    model, network = small_pair()
    state = {key: tensor.to(torch.bfloat16) for key, tensor in network.state_dict().items()}
    state["0.weight"] = network[0].weight.detach().numpy()
    load_torch_weights(model, state)
    np.testing.assert_array_equal(
        np.moveaxis(model.get_weights()[0], (2, 3), (1, 0)), state["0.weight"]
    )
    np.testing.assert_array_equal(model.get_weights()[3], state["1.bias"].float().numpy())


def test_a_reshape_between_map_and_vector_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(24), layers.Reshape((2, 3, 4))])
    with pytest.raises(ValueError, match=r"different orders. Received: layer 'reshape.*Reshape"):
        load_torch_weights(model, nn.Linear(4, 24).state_dict())


@pytest.mark.parametrize(
    ("head", "inputs", "culprit"),
    [
        (lambda x: layers.Concatenate()([means(x), layers.Flatten()(x)]), 63, "Concatenate"),
        (lambda x: layers.Concatenate()([layers.Flatten()(x), means(x)]), 63, "Concatenate"),
        (lambda x: layers.Add()([layers.Flatten()(x), layers.Flatten()(x[:, ::-1])]), 60, None),
        (lambda x: layers.Multiply()([means(x)[:, :1], layers.Flatten()(x)]), 60, "Multiply"),
        (lambda x: ops.reshape(x, (-1, 60)), 60, "Reshape"),
        (lambda x: layers.Flatten()(layers.Permute((3, 1, 2))(x)), 60, "Permute"),
        (lambda x: layers.Flatten()(ops.transpose(x, (0, 3, 1, 2))), 60, "Transpose"),
        (lambda x: ops.mean(x, (1, 3)), 5, "Mean"),
        (lambda x: means(x), 3, None),
    ],
)
def test_a_map_reaches_a_dense_in_pytorchs_order_or_is_refused(head, inputs, culprit):
    image = keras.Input((4, 5, 3))
    model = keras.Model(image, layers.Dense(2)(head(image)))
    if culprit is None:
        load_torch_weights(model, nn.Linear(inputs, 2).state_dict())
        return
    with pytest.raises(ValueError, match=f"different orders. Received: .*of class {culprit} in"):
        load_torch_weights(model, nn.Linear(inputs, 2).state_dict())


def means(x):
    return layers.GlobalAveragePooling2D()(x)


def test_layers_that_it_does_not_know_are_named():
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.PReLU(name="slope")])
    with pytest.raises(ValueError, match="Received: layer 'slope' of class PReLU"):
        load_torch_weights(model, nn.PReLU().state_dict())


def test_weights_that_are_no_finite_real_floats_are_refused():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    before = [weight.copy() for weight in model.get_weights()]
    state = nn.Conv2d(3, 4, 3).state_dict()
    kernel = state["weight"]
    for wrong, words in (
        ((kernel * 100).to(torch.int8), "quantised weights.*'weight'.* of dtype int8"),
        (kernel.numpy().astype("complex64"), "real floats.*of dtype complex64"),
        (
            kernel * float("nan"),
            r"finite numbers.*NaN or infinite values in state_dict\['weight'\]",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            load_torch_weights(model, {**state, "weight": wrong})
    for weight, old in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, old)
    load_torch_weights(model, {**state, "weight": kernel.to(torch.bfloat16)})
    load_torch_weights(model, {name: tensor.numpy() for name, tensor in state.items()})
