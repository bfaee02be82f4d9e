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


def cross_entropy(truth, logits, class_weights, ignore_class, sample_weight=None):
    """Weighted mean of -log softmax over the pixels that are not void."""
    total = weight = 0.0
    sample_weight = np.ones(truth.shape) if sample_weight is None else sample_weight
    for t, scores, w in zip(truth.ravel(), as_rows(logits), sample_weight.ravel()):
        if t != ignore_class:
            total -= w * class_weights[t] * (scores[t] - np.log(np.exp(scores).sum()))
            weight += class_weights[t]
    return total / weight


def as_rows(logits):
    return logits.reshape(-1, logits.shape[-1]).astype("float64")


def tversky(truth, logits, alpha, beta, class_weights, ignore_class, sample_weight=None):
    """One less the Tversky index, over the classes in the truth; times the mean sample weight."""
    hit, in_vain, missed = np.zeros((3, logits.shape[-1]))
    sample_weight = np.ones(truth.shape) if sample_weight is None else sample_weight
    counted = []
    for t, scores, w in zip(truth.ravel(), as_rows(logits), sample_weight.ravel()):
        if t != ignore_class:
            counted.append(w)
            p = np.exp(scores) / np.exp(scores).sum()
            for c in range(len(p)):
                if c == t:
                    hit[c] += w * p[c]
                    missed[c] += w * (1 - p[c])
                else:
                    in_vain[c] += w * p[c]
    total = weight = 0.0
    for c in range(len(hit)):
        if hit[c] + missed[c] > 0:
            index = hit[c] / (hit[c] + alpha * in_vain[c] + beta * missed[c])
            total += class_weights[c] * (1 - index)
            weight += class_weights[c]
    return np.mean(counted) * total / weight if weight else 0.0


def binary_cross_entropy(truth, probabilities, class_weights, ignore_class, sample_weight=None):
    """Weighted mean of -log p or -log (1 - p) over the pixels that are not void."""
    total = weight = 0.0
    sample_weight = np.ones(truth.shape) if sample_weight is None else sample_weight
    for t, p, w in zip(
        truth.ravel(), probabilities.ravel().astype("float64"), sample_weight.ravel()
    ):
        if t != ignore_class:
            total -= w * class_weights[t] * np.log(p if t == 1 else 1 - p)
            weight += class_weights[t]
    return total / weight


def binary_tversky(truth, probabilities, alpha, beta, class_weights, ignore_class):
    """One less the Tversky index of the foreground and of the background, each if it is present."""
    counted = [
        (t, p)
        for t, p in zip(truth.ravel(), probabilities.ravel().astype("float64"))
        if t != ignore_class
    ]
    total = weight = 0.0
    for c in (0, 1):
        own = [p if c == 1 else 1 - p for t, p in counted if t == c]
        other = [p if c == 1 else 1 - p for t, p in counted if t != c]
        if own:
            hit = sum(own)
            index = hit / (hit + alpha * sum(other) + beta * (len(own) - hit))
            total += class_weights[c] * (1 - index)
            weight += class_weights[c]
    return total / weight if weight else 0.0


def mean_of_scored_images(losses, truths, class_weights, ignore_class):
    """The mean of the losses over the images that have a pixel to score, whatever it weighs."""
    scored = []
    for loss, truth in zip(losses, truths):
        if any(t != ignore_class and class_weights[t] > 0 for t in truth.ravel()):
            scored.append(loss)
    return np.mean(scored)


def books_dice(truth, logits, eps=1e-6):
    """The book's loss: per image, the mean over all classes, absent ones included."""
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    g = np.eye(logits.shape[-1])[truth]
    return 1 - np.mean(2 * (p * g).sum((1, 2)) / ((p + g).sum((1, 2)) + eps))


def boundary_iou(truths, predictions, num_classes, ignore_class, dilation_ratio):
    """IoU of each class's inner band, made by erosions of 3x3, one after another."""
    intersection, union = np.zeros((2, num_classes))
    for truth, prediction in zip(truths, predictions):
        prediction = np.where(truth == ignore_class, ignore_class, prediction)
        width = max(round(dilation_ratio * np.hypot(*truth.shape)), 1)
        for c in range(num_classes):
            t, p = band(truth == c, width), band(prediction == c, width)
            intersection[c] += (t & p).sum()
            union[c] += (t | p).sum()
    return np.array([i / u if u else np.nan for i, u in zip(intersection, union)])


def band(mask, width):
    """What `width` erosions of 3x3 take from a mask that ends at the edge of its image."""
    eroded = np.pad(mask, 1)
    for _ in range(width):
        before = np.pad(eroded, 1)
        for i in range(3):
            for j in range(3):
                eroded = eroded & before[i : i + eroded.shape[0], j : j + eroded.shape[1]]
    return mask & ~eroded[1:-1, 1:-1]


def ssim(x, y, max_value):
    """Structural similarity of two (height, width, channels) images, window by window."""
    distance = np.arange(11) - 5
    window = np.exp(-np.add.outer(distance**2, distance**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    scores = []
    for r in range(x.shape[0] - 10):
        for c in range(x.shape[1] - 10):
            for channel in range(x.shape[2]):
                a, b = (i[r : r + 11, c : c + 11, channel].astype("float64") for i in (x, y))
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
                cov = (window * (a - ma) * (b - mb)).sum()
                luminance = (2 * ma * mb + c1) / (ma**2 + mb**2 + c1)
                scores.append(luminance * (2 * cov + c2) / (va + vb + c2))
    return np.mean(scores)


def outline_weights(ids, background, ignore_class, w0, sigma):
    """U-Net's weights of one map, from all distances between pixels."""
    weights = np.zeros(ids.shape)
    pixels = list(np.ndindex(*ids.shape))
    for pixel in pixels:
        distances = {}
        for other in pixels:
            if ids[other] not in (background, ignore_class):
                distance = np.hypot(*np.subtract(pixel, other))
                distances[ids[other]] = min(distance, distances.get(ids[other], np.inf))
        two = [*sorted(distances.values())[:2], np.inf, np.inf][:2]
        if ids[pixel] != ignore_class:
            weights[pixel] = 1 + w0 * np.exp(-(sum(two) ** 2) / (2 * sigma**2))
    return weights


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


def calibration_error(confidences, right, bins):
    """Guo et al. 2017, equation 3: |accuracy - confidence| of each bin, weighted by its pixels."""
    confidences, right = np.asarray(confidences, "float64"), np.asarray(right)
    total = 0.0
    for i in range(bins):
        inside = [k for k, c in enumerate(confidences) if i / bins < c <= (i + 1) / bins]
        if inside:
            gap = np.mean([right[k] for k in inside]) - np.mean([confidences[k] for k in inside])
            total += len(inside) / len(confidences) * abs(gap)
    return total
