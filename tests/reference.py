"""Slow and obvious versions of what the package does fast: loops over NumPy arrays."""

import numpy as np


def confusion_matrix(truth, prediction, num_classes, ignore_class):
    """How often truth i was predicted as j, pixel by pixel."""
    matrix = np.zeros((num_classes, num_classes))
    for i, j in zip(truth.ravel(), prediction.ravel()):
        if i != ignore_class:
            matrix[i, j] += 1
    return matrix


def iou(matrix):
    """Intersection over union of each class, NaN where truth and prediction have none."""
    scores = []
    for k in range(len(matrix)):
        union = matrix[k, :].sum() + matrix[:, k].sum() - matrix[k, k]
        scores.append(matrix[k, k] / union if union else np.nan)
    return np.array(scores)


def cross_entropy(truth, logits, class_weights, ignore_class):
    """Weighted mean of -log softmax over the pixels that are not void."""
    total = weight = 0.0
    for t, scores in zip(truth.ravel(), logits.reshape(-1, logits.shape[-1]).astype("float64")):
        if t != ignore_class:
            total -= class_weights[t] * (scores[t] - np.log(np.exp(scores).sum()))
            weight += class_weights[t]
    return total / weight
