"""Accuracy of label maps, by pixels and by classes."""

import keras

from kerasseg.metrics.confusion import ConfusionMatrixMetric, class_accuracy, pixel_accuracy


@keras.saving.register_keras_serializable(package="kerasseg")
class PixelAccuracy(ConfusionMatrixMetric):
    """Share of the pixels that are not void whose prediction is right.

    (`keras.metrics.SparseCategoricalAccuracy` has no void class.) `per_class()` gives the share of
    each class's true pixels. Long, Shelhamer and Darrell, CVPR 2015, section 5.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: three of the four pixels that count.

    >>> metric = PixelAccuracy(num_classes=2)
    >>> metric.update_state([[[0, 0, 0, 1, 255]]], ops.one_hot([[[0, 0, 1, 1, 0]]], 2))
    >>> float(metric.result())
    0.75
    """

    _usual_name = "pixel_accuracy"
    _measure = staticmethod(pixel_accuracy)


@keras.saving.register_keras_serializable(package="kerasseg")
class MeanAccuracy(ConfusionMatrixMetric):
    """Mean over the true classes of the share of their pixels whose prediction is right.

    A class that is predicted but never true has no such share and is left out of the mean; its
    pixels lower the share of the classes that they belong to. Long, Shelhamer and Darrell, CVPR
    2015, section 5.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: two of three pixels of class 0, all of class 1.

    >>> metric = MeanAccuracy(num_classes=2)
    >>> metric.update_state([[[0, 0, 0, 1, 255]]], ops.one_hot([[[0, 0, 1, 1, 0]]], 2))
    >>> round(float(metric.result()), 4)
    0.8333
    """

    _usual_name = "mean_accuracy"
    _measure = staticmethod(class_accuracy)
