"""The one question about the backend that the layers ask."""

import keras


def tensorflow_paths():
    """The module `kerasseg.layers.tensorflow` under TensorFlow, `None` under any other backend.

    The module holds faster implementations of what layers compute with `keras.ops`, and what
    `tf.distribute` needs. Both give the same numbers.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    from kerasseg.layers import tensorflow

    return tensorflow
