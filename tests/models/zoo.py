"""What every segmentation network must do, written once."""

import keras
import numpy as np
import pytest

from kerasseg.receptive_fields import effective_receptive_field, receptive_field
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


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def assert_gradients_reach_the_receptive_field(model, layer, columns):
    """On a strip of the image, the gradient of a layer's middle unit fills its field exactly.

    Positive weights let everything through ReLUs; on a ramp every pooling takes the first column of
    its window, on its mirror image the last.
    """
    for weight in model.trainable_weights:
        weight.assign(keras.ops.abs(weight) + 0.01)
    ramp = np.linspace(0.1, 0.5, columns, dtype="float32")
    strips = np.stack([ramp, ramp[::-1]])[:, None, :, None] * np.ones(3, "float32")
    share = effective_receptive_field(model, strips, layer).sum(0)

    probe = keras.Model(model.input, model.get_layer(layer).output)
    unit = keras.tree.flatten(probe(strips))[0].shape[2] // 2
    field = receptive_field(model, layer)
    first = field.stride * unit + field.offset
    reached = np.flatnonzero(share)
    assert (reached[0], reached[-1]) == (first, first + field.size - 1)


class SegmentationModelTests:
    """Subclass, and give `build(input_shape, num_classes, **arguments)` and `stride`.

    `strides_to_see` is the size, in strides, of an image in whose middle no logit sees the border.
    """

    stride = 16
    strides_to_see = 20
    learning_rate = 0.01

    def build(self, input_shape, num_classes, **arguments):
        raise NotImplementedError

    def small(self, input_shape=(None, None, 3), num_classes=5, **arguments):
        return self.build(input_shape, num_classes, **{"width": 0.05, **arguments})

    @pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (31, 37), (67, 20), (32, 48)])
    def test_logits_have_the_size_of_the_input(self, size):
        assert outputs(self.small(), picture(*size)).shape == (2, *size, 5)
        assert self.small((*size, 3)).output_shape == (None, *size, 5)

    def test_one_model_takes_two_sizes_in_turn_as_if_made_for_each(self):
        free = self.small()
        for size in ((33, 18), (16, 50)):
            fixed = self.small((*size, 3))
            fixed.set_weights(free.get_weights())
            images = picture(*size)
            np.testing.assert_allclose(outputs(free, images), outputs(fixed, images), atol=1e-5)

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

    def test_moving_the_input_by_the_output_stride_moves_the_logits_as_much(self):
        size, step = self.strides_to_see * self.stride, self.stride
        images = picture(size, size, count=1)
        model = self.small()
        still = outputs(model, images)
        moved = outputs(model, np.roll(images, (step, 2 * step), (1, 2)))
        middle = slice(size // 2 - step, size // 2 + step)
        back = np.roll(moved, (-step, -2 * step), (1, 2))
        np.testing.assert_allclose(
            back[:, middle, middle], still[:, middle, middle], atol=1e-5, rtol=1e-4
        )

    def test_logits_are_float32_under_mixed_precision(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model = self.small((16, 16, 3))
        finally:
            keras.config.set_dtype_policy("float32")
        assert keras.backend.standardize_dtype(model(picture(16, 16)).dtype) == "float32"
        assert model.compute_dtype == "bfloat16"

    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_it_learns_in_fit(self, jit_compile):
        if jit_compile and keras.backend.backend() == "torch":
            pytest.skip("Keras compiles PyTorch models through torch.compile, not XLA")
        if not jit_compile and keras.backend.backend() == "jax":
            pytest.skip("JAX trains uncompiled only to be debugged")
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
        before = [np.array(keras.ops.convert_to_numpy(x)) for x in model.trainable_weights]
        losses = model.fit(images, labels, epochs=15, batch_size=4, verbose=0).history["loss"]
        assert losses[-1] < 0.9 * losses[0]
        for weight, value in zip(model.trainable_weights, before):
            after = keras.ops.convert_to_numpy(weight)
            assert not np.array_equal(after, value), f"no gradient reaches {weight.path}"

    def test_it_loads_in_a_fresh_process_and_gives_the_same(self, tmp_path):
        model = self.small((19, 21, 3))
        model.compile("adam", "mse")
        images = picture(19, 21)
        model.save(tmp_path / "model.keras")
        loaded = outputs_in_fresh_process(tmp_path / "model.keras", images)
        np.testing.assert_allclose(loaded, outputs(model, images), atol=1e-6)

    def test_a_width_that_leaves_nothing_is_refused(self):
        with pytest.raises(ValueError, match="`width` must be positive. Received: width=0"):
            self.small(width=0)

    def test_width_scales_every_filter_count_and_never_below_one(self):
        for width, number in ((0.25, 16), (1e-9, 1)):
            first = next(
                layer
                for layer in self.build((16, 16, 3), 4, width=width).layers
                if isinstance(layer, keras.layers.Conv2D)
            )
            assert first.filters == number


class DeepSegmentationModelTests(SegmentationModelTests):
    """The same for networks of many layers, which take long to compile."""

    @pytest.mark.slow
    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_it_learns_in_fit(self, jit_compile):
        super().test_it_learns_in_fit(jit_compile)
