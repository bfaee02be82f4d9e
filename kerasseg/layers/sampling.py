"""The random step of a variational autoencoder."""

import keras
from keras import ops

# The largest finite numbers of half precision: a draw beyond them stops there.
LARGEST = {"float16": 65504.0, "bfloat16": 3.3895e38}


@keras.saving.register_keras_serializable(package="kerasseg")
class Sampling(keras.layers.Layer):
    """Draws a code from the normal distribution that the encoder describes.

    `mean + exp(log_variance / 2) * noise`, so that gradients reach both (the reparameterisation of
    Kingma and Welling 2014, section 2.4; the book's chapter 7, section on VAEs, which forgets the
    half). The layer adds the Kullback-Leibler divergence from the standard normal distribution,
    summed over the code and averaged over the batch, to the model's loss:
    `-1/2 * sum(1 + log_variance - mean**2 - exp(log_variance))`. It must be weighed against a
    reconstruction loss that is *summed* over the pixels.

    Args:
        seed: Optional integer that makes the draws repeatable.

    Call arguments:
        mean: The means; or a list of the means and the log variances, as in Keras's own examples.
        log_variance: The logarithms of the variances, of the same shape.

    Input shape: `(batch, …)`, twice.
    Output shape: `(batch, …)`. In half precision a draw beyond the largest number is that number.

    Raises:
        ValueError: means without log variances.

    Example:

    >>> sampling = Sampling()
    >>> code = sampling(np.ones((1, 3)), np.full((1, 3), -100.0))      # no variance: the mean
    >>> print(ops.convert_to_numpy(code))
    [[1. 1. 1.]]
    >>> code = sampling(np.ones((1, 3)), np.zeros((1, 3)))              # 1/2 for each mean of one
    >>> float(sampling.losses[0])
    1.5
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, mean_shape, log_variance_shape=None):
        pass

    def call(self, mean, log_variance=None):
        mean, log_variance = self._two(mean, log_variance)
        dtype = mean.dtype
        # In float32: a half-precision exponential overflows at a log variance of 11.
        if keras.backend.standardize_dtype(dtype) in LARGEST:
            mean, log_variance = ops.cast(mean, "float32"), ops.cast(log_variance, "float32")
        divergence = self._divergence(mean, log_variance)
        self.add_loss(ops.cast(divergence, keras.config.floatx()))  # the dtype of Keras's losses
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        draw = mean + ops.exp(0.5 * log_variance) * noise
        largest = LARGEST.get(keras.backend.standardize_dtype(dtype))
        return draw if largest is None else ops.cast(ops.clip(draw, -largest, largest), dtype)

    def compute_output_shape(self, mean_shape, log_variance_shape=None):
        is_list = isinstance(mean_shape[0], (list, tuple))
        return tuple(mean_shape[0] if is_list else mean_shape)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}

    def _two(self, mean, log_variance):
        if log_variance is not None:
            return mean, log_variance
        if not isinstance(mean, (list, tuple)) or len(mean) != 2:
            raise ValueError(
                "Sampling takes the means and the logarithms of the variances. Received: "
                "log_variance=None. Call Sampling()(mean, log_variance)."
            )
        return mean

    def _divergence(self, mean, log_variance):
        terms = 1.0 + log_variance - ops.square(mean) - ops.exp(log_variance)
        return -0.5 * ops.sum(terms) / ops.cast(ops.shape(mean)[0], mean.dtype)
