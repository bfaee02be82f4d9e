"""Intersection over union of label maps."""

import keras

from kerasseg.metrics.confusion import ConfusionMatrixMetric, frequency_weighted_iou, iou


@keras.saving.register_keras_serializable(package="kerasseg")
class MeanIoU(ConfusionMatrixMetric):
    """Mean intersection over union, where void pixels do not count at all.

    IoU of a class is TP / (TP + FP + FN) over all the pixels seen since the last reset. The mean
    goes over the classes that occur in truth or prediction; pixels whose truth is `ignore_class`
    are in no cell of the matrix, whatever is predicted there. (`keras.metrics.MeanIoU` keeps the
    ignored class in the mean as soon as it is predicted, and silently drops ids outside the
    classes.) Long, Shelhamer and Darrell, CVPR 2015, section 5; book, chapter 6.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: four pixels, the last one void. Class 0: 1 of 2, class 1: 1 of 2.

    >>> metric = MeanIoU(num_classes=2)
    >>> metric.update_state([[[0, 0, 1, 255]]], ops.one_hot([[[0, 1, 1, 0]]], 2))
    >>> float(metric.result()), metric.per_class().tolist()
    (0.5, [0.5, 0.5])
    """

    _usual_name = "mean_iou"
    _measure = staticmethod(iou)


@keras.saving.register_keras_serializable(package="kerasseg")
class FrequencyWeightedIoU(ConfusionMatrixMetric):
    """Mean of the classes' IoU, each weighted by its share of the true pixels.

    So it is a score of the large classes; void has no share. `per_class()` gives the IoU of each
    class, as `MeanIoU`. Long, Shelhamer and Darrell, CVPR 2015, section 5.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: class 0 has IoU 2/3 and three of four pixels, class 1 has 1/2 and one.

    >>> metric = FrequencyWeightedIoU(num_classes=2)
    >>> metric.update_state([[[0, 0, 0, 1, 255]]], ops.one_hot([[[0, 0, 1, 1, 0]]], 2))
    >>> float(metric.result())
    0.625
    """

    _usual_name = "frequency_weighted_iou"
    _measure = staticmethod(frequency_weighted_iou)
