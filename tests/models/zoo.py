"""What every segmentation network must do, written once."""

import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field
from tests.conftest import outputs_in_fresh_process


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def without_weights(build):
    """The model that `build()` makes, its weights shapes alone: for counting them."""
    with keras.StatelessScope(initialize_variables=False):
        return build()


def picture(height, width, channels=3, count=2):
    rng = np.random.default_rng(height * 1000 + width)
    return rng.uniform(size=(count, height, width, channels)).astype("float32")


def as_if_trained(model):
    """Biases and normalisations of which none is trivial, so that each one matters."""
    rng = np.random.default_rng(0)
    draws = {
        "gamma": lambda shape: rng.uniform(0.5, 1.5, shape),
        "beta": lambda shape: rng.normal(0, 0.1, shape),
        "moving_mean": lambda shape: rng.normal(0, 0.1, shape),
        "moving_variance": lambda shape: rng.uniform(0.5, 1.5, shape),
        "bias": lambda shape: rng.normal(0, 0.1, shape),
    }
    for layer in model.layers:
        if isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Conv2D)):
            for weight in layer.weights:
                is_zero = weight.name == "kernel" and not weight.numpy().any()  # FCN's skips
                if weight.name in draws or is_zero:
                    draw = draws.get(weight.name, draws["bias"])
                    weight.assign(draw(weight.shape))
    return model


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def assert_gradients_reach_the_receptive_field(model, layer, columns):
    """On a strip of the image, the gradient of a layer's middle unit fills its field exactly.

    Positive weights let everything through ReLUs, divided so that no depth makes gradients overflow
    or vanish; on a ramp every pooling takes the first column of its window, on its mirror image the
    last.
    """
    for weight in model.trainable_weights:
        value = keras.ops.abs(weight) + 0.01
        if len(weight.shape) == 4:
            value = value / keras.ops.sum(value, 2, keepdims=True) ** 0.5
        weight.assign(value)
    ramp = np.linspace(0.1, 0.5, columns, dtype="float32")
    strips = np.stack([ramp, ramp[::-1]])[:, None, :, None] * np.ones(3, "float32")
    share = effective_receptive_field(model, strips, layer).sum(0)

    probe = keras.Model(model.input, model.get_layer(layer).output)
    unit = keras.tree.flatten(probe(strips))[0].shape[2] // 2
    field = receptive_field(model, layer)
    first = field.stride * unit + field.offset
    reached = np.flatnonzero(share)
    assert (reached[0], reached[-1]) == (first, first + field.size - 1)


def under_policy(policy, build):
    """The model that `build()` makes under a dtype policy."""
    keras.config.set_dtype_policy(policy)
    try:
        return build()
    finally:
        keras.config.set_dtype_policy("float32")


def biases_without_effect(model):
    """Those that only batch normalisations read, which take away whatever they add."""
    within = {id(layer) for layer in model.layers}
    outputs = {id(x._keras_history.operation) for x in model.outputs}

    def has_no_effect(layer):
        readers = [node.operation for node in layer._outbound_nodes]
        return id(layer) not in outputs and all(
            isinstance(reader, keras.layers.BatchNormalization)
            or (isinstance(reader, keras.layers.Concatenate) and has_no_effect(reader))
            for reader in readers
            if id(reader) in within
        )

    with_bias = (layer for layer in model.layers if getattr(layer, "bias", None) is not None)
    return {id(layer.bias) for layer in with_bias if has_no_effect(layer)}


def assert_gradient_reaches_every_weight(model):
    """As Adam's mean squares tell, summed up over the training: more than rounding errors."""
    squares = [x for x in model.optimizer.variables if x.path.endswith("_velocity")]
    sizes = [float(keras.ops.sum(x)) ** 0.5 for x in squares]
    exempt = biases_without_effect(model)
    for weight, size in zip(model.trainable_weights, sizes, strict=True):
        assert np.isfinite(size), f"the gradient of {weight.path} is {size}"
        if id(weight) not in exempt:
            assert size > 1e-5 * np.median(sizes), f"no gradient reaches {weight.path}"


SIZES = [(1, 1), (1, 9), (2, 3), (31, 37), (67, 20), (32, 48)]
if keras.backend.backend() == "jax":  # which compiles every operation anew for each
    SIZES = SIZES[::2]


class SegmentationModelTests:
    """Subclass, and give `build(input_shape, num_classes, **arguments)` and `stride`.

    `strides_to_see` is the size, in strides, of an image in whose middle no logit sees the border.
    Images are padded to `stride * n + remainder` pixels. With `has_own_kernels`, its layers run
    other kernels in TensorFlow's graphs than through XLA, which is what Keras takes by itself: then
    the network is trained both ways.
    """

    stride = 16
    remainder = 0
    strides_to_see = 20
    learning_rate = 0.01
    has_own_kernels = False

    @staticmethod
    def teardown_class():
        keras.backend.clear_session()  # a compiled network keeps hundreds of megabytes

    def build(self, input_shape, num_classes, **arguments):
        raise NotImplementedError

    def small(self, input_shape=(None, None, 3), num_classes=5, **arguments):
        return self.build(input_shape, num_classes, **{"width": 0.05, **arguments})

    @pytest.mark.parametrize("size", SIZES)
    def test_logits_have_the_size_of_the_input(self, free, size):
        assert outputs(free, picture(*size)).shape == (2, *size, 5)
        assert without_weights(lambda: self.small((*size, 3))).output_shape == (None, *size, 5)

    def test_one_model_takes_two_sizes_in_turn_as_if_made_for_each(self, free):
        for size in ((33, 18), (16, 50)):
            fixed = self.small((*size, 3))
            fixed.set_weights(free.get_weights())
            images = picture(*size)
            np.testing.assert_allclose(outputs(free, images), outputs(fixed, images), atol=1e-5)

    def test_other_sizes_are_mirrored_evenly_and_cropped_back(self, free):
        images = picture(21, 44)
        pads = [-(size - self.remainder) % self.stride for size in (21, 44)]
        (above, below), (left, right) = margins = [(pad // 2, pad - pad // 2) for pad in pads]
        mirrored = np.pad(images, ((0, 0), *margins, (0, 0)), "reflect")
        expected = outputs(free, mirrored)[:, above : -below or None, left : -right or None]
        assert mirrored.shape != images.shape
        np.testing.assert_allclose(outputs(free, images), expected, atol=1e-6)

    @pytest.mark.parametrize("channels", [1, 3, 5])
    def test_input_channels_and_classes_are_free(self, channels):
        model = self.small((16, 16, channels), num_classes=channels + 1)
        assert outputs(model, picture(16, 16, channels)).shape[-1] == channels + 1

    def test_channels_first_equals_channels_last(self):
        last = self.small(activation="softmax")
        first = self.small((3, None, None), activation="softmax", data_format="channels_first")
        first.set_weights(last.get_weights())
        images = picture(35, 22)
        result = outputs(first, np.moveaxis(images, -1, 1))
        np.testing.assert_allclose(np.moveaxis(result, 1, -1), outputs(last, images), atol=1e-4)
        assert keras.config.image_data_format() == "channels_last"

    def test_moving_the_input_by_the_output_stride_moves_the_logits_as_much(self, free):
        """Along a strip of rows and one of columns; a square takes ten times as long."""
        size, step = self.strides_to_see * self.stride, self.stride
        middle = np.arange(size // 2 - step, size // 2 + step)
        for axis, shape, shift in ((1, (size, step), step), (2, (step, size), 2 * step)):
            images = picture(*shape, count=1)
            still = outputs(free, images)
            moved = outputs(free, np.roll(images, shift, axis))
            back = np.roll(moved, -shift, axis)
            np.testing.assert_allclose(
                back.take(middle, axis), still.take(middle, axis), atol=1e-5, rtol=1e-4
            )

    def test_another_head_makes_it_a_regression(self):
        sigmoid, linear = (
            self.small((16, 20, 3), num_classes=channels, activation=activation)
            for channels, activation in ((3, "sigmoid"), (3, None))
        )
        linear.set_weights(sigmoid.get_weights())
        images = picture(16, 20)
        expected = 1 / (1 + np.exp(-outputs(linear, images)))
        np.testing.assert_allclose(outputs(sigmoid, images), expected, atol=1e-5)
        assert without_weights(lambda: self.small(num_classes=1)).output_shape[-1] == 1

    def test_it_trains_in_bfloat16_and_gives_float32(self):
        model = under_policy("mixed_bfloat16", lambda: self.small((16, 16, 3), num_classes=2))
        assert model.compute_dtype == "bfloat16"
        model.compile(
            keras.optimizers.Adam(self.learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=keras.backend.backend() != "jax",
        )
        labels = np.arange(2 * 16 * 16).reshape(2, 16, 16) % 2
        losses = model.fit(picture(16, 16), labels, epochs=1, verbose=0).history["loss"]
        assert np.isfinite(losses).all()
        assert all(np.isfinite(weights).all() for weights in model.get_weights())
        result = outputs(model, picture(16, 16))
        assert result.dtype == "float32"
        assert np.isfinite(result).all()

    def test_float16_gives_nearly_the_logits_of_float32(self):
        whole = as_if_trained(self.small((16, 16, 3)))
        half = under_policy("mixed_float16", lambda: self.small((16, 16, 3)))
        half.set_weights(whole.get_weights())
        expected = outputs(whole, picture(16, 16))
        result = outputs(half, picture(16, 16))
        assert result.dtype == "float32"
        np.testing.assert_allclose(result, expected, atol=0.02 * abs(expected).max())

    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_it_learns_in_fit(self, jit_compile):
        if jit_compile and keras.backend.backend() == "torch":
            pytest.skip("Keras compiles PyTorch models through torch.compile, not XLA")
        if not jit_compile and keras.backend.backend() == "jax":
            pytest.skip("JAX trains uncompiled only to be debugged")
        if not (jit_compile or self.has_own_kernels) and keras.backend.backend() == "tensorflow":
            pytest.skip("other networks train in a graph without XLA")
        model = self.small((19, 21, 3), num_classes=2)
        model.compile(
            keras.optimizers.Adam(self.learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit_compile,
        )
        images = picture(19, 21, count=4)
        images[::2] *= 0.5  # a net that ends at stride 32 sees no more of it than its brightness
        labels = np.zeros((4, 19, 21), "int32")
        labels[::2] = 1
        losses = model.fit(images, labels, epochs=15, batch_size=4, verbose=0).history["loss"]
        assert losses[-1] < 0.9 * losses[0]
        assert_gradient_reaches_every_weight(model)

    def test_it_loads_in_a_fresh_process_and_gives_the_same(self, tmp_path):
        model = self.small((19, 21, 3))
        model.compile("adam", "mse")
        model.save(tmp_path / "model.keras")
        images = picture(19, 21)
        loaded = outputs_in_fresh_process(tmp_path / "model.keras", images)
        np.testing.assert_allclose(loaded, outputs(model, images), atol=1e-6)

    def test_one_seed_gives_one_model_and_one_draw_of_its_dropout(self):
        images, results = picture(19, 21), []
        for seed in (3, 3, 4):
            keras.utils.set_random_seed(seed)
            model = self.small((19, 21, 3))
            results.append(keras.ops.convert_to_numpy(model(images, training=True)))
        np.testing.assert_allclose(results[0], results[1], rtol=1e-6, atol=1e-6)
        assert not np.allclose(results[0], results[2], atol=1e-6)

    def test_a_width_that_leaves_nothing_is_refused(self):
        with pytest.raises(
            ValueError, match="`width` must be a positive number. Received: width=0"
        ):
            self.small(width=0)

    def test_width_scales_every_filter_count_and_never_below_one(self):
        for width, number in ((0.25, 16), (1e-9, 1)):
            first = next(
                layer
                for layer in self.build((16, 16, 3), 4, width=width).layers
                if isinstance(layer, keras.layers.Conv2D)
            )
            assert first.filters == number


class SlowlyCompiledModelTests(SegmentationModelTests):
    """The same for networks that XLA takes long to compile: under TensorFlow they learn in a slow
    test, with XLA and without."""

    has_own_kernels = True
    marks = pytest.mark.slow if keras.backend.backend() == "tensorflow" else ()

    @pytest.mark.parametrize(
        "jit_compile",
        [pytest.param(False, marks=marks), pytest.param(True, marks=pytest.mark.slow)],
    )
    def test_it_learns_in_fit(self, jit_compile):
        super().test_it_learns_in_fit(jit_compile)


class DeepSegmentationModelTests(SegmentationModelTests):
    """The same for networks of many layers, which take long to compile."""

    @staticmethod
    def teardown_method():
        keras.backend.clear_session()

    @pytest.mark.slow
    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_it_learns_in_fit(self, jit_compile):
        super().test_it_learns_in_fit(jit_compile)
