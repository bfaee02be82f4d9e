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


def window_starts(length, window, stride, padding):
    """The first row of every window; negative where a window begins in the padding."""
    if padding == "valid":
        return [stride * i for i in range((length - window) // stride + 1)]
    count = -(-length // stride)
    before = max((count - 1) * stride + window - length, 0) // 2
    return [stride * i - before for i in range(count)]


def window_grid(shape, pool_size, strides, padding):
    """All windows of a (batch, height, width, channels) map: output index and first row, column."""
    rows = window_starts(shape[1], pool_size[0], strides[0], padding)
    columns = window_starts(shape[2], pool_size[1], strides[1], padding)
    for b in range(shape[0]):
        for r, row in enumerate(rows):
            for c, column in enumerate(columns):
                for channel in range(shape[3]):
                    yield (b, r, c, channel), row, column


def pooled_shape(shape, pool_size, strides, padding):
    rows = window_starts(shape[1], pool_size[0], strides[0], padding)
    columns = window_starts(shape[2], pool_size[1], strides[1], padding)
    return shape[0], len(rows), len(columns), shape[3]


def max_pool_with_argmax(x, pool_size, strides, padding):
    """The first maximum of every window and its position, row by row from the window's start."""
    shape = pooled_shape(x.shape, pool_size, strides, padding)
    pooled, argmax = np.zeros(shape, x.dtype), np.zeros(shape, int)
    for index, row, column in window_grid(x.shape, pool_size, strides, padding):
        best = None
        for i in range(pool_size[0]):
            for j in range(pool_size[1]):
                y, z = row + i, column + j
                if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                    value = x[index[0], y, z, index[3]]
                    if best is None or value > best:
                        best, argmax[index] = value, i * pool_size[1] + j
        pooled[index] = best
    return pooled, argmax


def origins(argmax, shape, pool_size, strides, padding):
    """For every pooled value in row order: its index, and where in the map it came from."""
    for index, row, column in window_grid(shape, pool_size, strides, padding):
        i, j = divmod(int(argmax[index]), pool_size[1])
        yield index, (index[0], row + i, column + j, index[3])


def max_unpool(values, argmax, shape, pool_size, strides, padding):
    """Every value at its origin; a later window overwrites an earlier one."""
    unpooled = np.zeros(shape, values.dtype)
    for index, origin in origins(argmax, shape, pool_size, strides, padding):
        unpooled[origin] = values[index]
    return unpooled


def max_unpool_gradient(upstream, argmax, pool_size, strides, padding):
    """To each value the gradient of its origin, if no later window has taken it."""
    gradient, owner = np.zeros(argmax.shape, upstream.dtype), {}
    for index, origin in origins(argmax, upstream.shape, pool_size, strides, padding):
        owner[origin] = index
    for origin, index in owner.items():
        gradient[index] = upstream[origin]
    return gradient


def max_pool_gradient(upstream, argmax, shape, pool_size, strides, padding):
    """To each origin the sum of what its windows send."""
    gradient = np.zeros(shape, upstream.dtype)
    for index, origin in origins(argmax, shape, pool_size, strides, padding):
        gradient[origin] += upstream[index]
    return gradient


def bilinear(x, height, width, align_corners):
    """Bilinear resizing, pixel by pixel."""
    resized = np.zeros((x.shape[0], height, width, x.shape[3]))
    for r in range(height):
        for c in range(width):
            y = bilinear_source(r, x.shape[1], height, align_corners)
            z = bilinear_source(c, x.shape[2], width, align_corners)
            for i, weight_y in ((int(y), 1 - y % 1), (int(y) + 1, y % 1)):
                for j, weight_z in ((int(z), 1 - z % 1), (int(z) + 1, z % 1)):
                    if weight_y and weight_z:
                        resized[:, r, c] += weight_y * weight_z * x[:, i, j]
    return resized


def bilinear_source(position, length, target, align_corners):
    if align_corners:
        return position * (length - 1) / (target - 1) if target > 1 else 0.0
    return min(max((position + 0.5) * length / target - 0.5, 0.0), length - 1.0)
