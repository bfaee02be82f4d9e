"""A model's answer for one image of any size: whole, or in tiles that blend without seams."""

import keras
import numpy as np

from kerasseg.layers import PadToMultiple

OUTPUTS = ("classes", "probabilities", "raw")
MOST = 2  # of a float image; resizing may overshoot 1 a little, other ranges go far beyond
STRIDE = 32  # tiles start at its multiples; it is a multiple of every model's output stride


def predict_image(
    model, image, *, tile=None, overlap=0.25, flip=False, output="classes", batch_size=1
):
    """The class of every pixel of one image, of any size.

    With `tile`, the image is cut into overlapping tiles. A tile counts nothing near its inner
    edges, where its own padding reaches; from there its weight rises linearly to one while its
    neighbour's falls to zero, so no seam shows (Ronneberger et al. 2015, figure 2, "overlap-tile").
    Tiles start at multiples of 32 pixels on the grid that the whole image would be pooled on:
    away from the edges of the image, and where the quarter of the overlap that does not count is
    at least as wide as half the receptive field, the answer is that of the whole image.

    Memory does not grow with the image beyond what is returned: one row of tiles is held at a time.

    Args:
        model: A `keras.Model` from images to logits, probabilities or images of the same height and
            width, (batch, height, width, channels).
        image: (height, width, channels), float in [0, 1], or uint8 in 0 to 255, which is divided
            by 255 tile by tile. A `numpy.memmap` stays on disk.
        tile: Pixels, an integer or (height, width), rounded up to multiples of 32. `None` for the
            whole image at once, or for the input size of a model that takes only one.
        overlap: Share of a tile that its neighbour covers too, from 0 up to 0.9, rounded up so that
            tiles start at multiples of 32: with tiles of 64 pixels it is 0 or a half.
        flip: Whether to average with the answer for the mirrored image, mirrored back.
        output: "classes", uint8 ids (height, width), int32 beyond 256 classes; "probabilities",
            float32 (height, width, classes); "raw", the model's own output, blended as it is.
        batch_size: Tiles a step.

    Returns:
        A NumPy array of exactly the height and width of the image.

    Raises:
        ValueError: an image that the model does not take, a tile or overlap that makes no sense.

    Example: a model that returns its input, in tiles of 32 pixels.

    >>> same = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Identity()])
    >>> image = np.linspace(0, 1, 3500, dtype="float32").reshape(50, 70, 1)
    >>> bool(np.abs(predict_image(same, image, tile=32, output="raw") - image).max() < 1e-6)
    True
    """
    image = check_image(model, image)
    tile = tile_size(model, image, tile)
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"`overlap` must be from 0 to 0.9. Received: overlap={overlap}")
    if output not in OUTPUTS:
        raise ValueError(f"`output` must be one of {OUTPUTS}. Received: output={output!r}")
    rows, columns = (
        Axis(length, size, overlap, grid_offset(model, length))
        for length, size in zip(image.shape, tile)
    )
    is_softmax = output == "raw" or ends_in_softmax(model)

    def answer(tiles):
        predicted = model.predict_on_batch(tiles)
        if flip:
            mirrored = model.predict_on_batch(np.ascontiguousarray(tiles[:, :, ::-1]))[:, :, ::-1]
        if not is_softmax:
            predicted = softmax(predicted)
            mirrored = softmax(mirrored) if flip else None
        return (predicted + mirrored) / 2 if flip else predicted

    result = None
    for top, bottom, band in blended_bands(image, rows, columns, answer, batch_size):
        if output == "classes":
            band = band.argmax(-1).astype("uint8" if band.shape[-1] <= 256 else "int32")
        if result is None:
            result = np.empty((*image.shape[:2], *band.shape[2:]), band.dtype)
        result[top:bottom] = band
    return result


class Axis:
    """Where tiles start along one axis, and how much each position of a tile counts.

    Attributes:
        length: Pixels of the image.
        tile: Pixels of a tile.
        starts: First pixel of every tile; tiles may reach beyond the image at both ends.
    """

    def __init__(self, length, tile, overlap, offset):
        self.length, self.tile = length, tile
        if tile >= length:
            self.starts = [-((tile - length) // 2)]
            return
        step = max(STRIDE, int(tile * (1 - overlap)) // STRIDE * STRIDE)
        last = -(-(length - tile + offset) // STRIDE) * STRIDE - offset
        self.starts = [*range(-offset, last, step), last]
        self.shared = tile - step

    def weights(self, index):
        """Of the positions of tile `index`: zero, rising, one, falling, zero at inner edges."""
        weights = np.ones(self.tile, "float32")
        if len(self.starts) > 1:
            distance = np.arange(self.tile) + 0.5
            rise = np.clip((distance - self.shared / 4) / max(self.shared / 2, 1e-6), 0, 1)
            if index > 0:
                weights *= rise
            if index < len(self.starts) - 1:
                weights *= rise[::-1]
        return weights.astype("float32")


def blended_bands(image, rows, columns, answer, batch_size):
    """Yields (top, bottom, blended output) from the top of the image to its bottom."""
    total = weight = None
    done = 0
    for i, y in enumerate(rows.starts):
        row_weights = rows.weights(i)[:, None]
        for first in range(0, len(columns.starts), batch_size):
            batch = columns.starts[first : first + batch_size]
            tiles = np.stack([cut(image, (y, x), (rows.tile, columns.tile)) for x in batch])
            for j, (x, predicted) in enumerate(zip(batch, answer(tiles)), start=first):
                if total is None:
                    shape = (rows.tile, image.shape[1])
                    total = np.zeros((*shape, predicted.shape[-1]), "float32")
                    weight = np.zeros((*shape, 1), "float32")
                inside = slice(max(0, -x), min(columns.tile, image.shape[1] - x))
                there = slice(x + inside.start, x + inside.stop)
                counts = (row_weights * columns.weights(j))[:, inside, None]
                total[:, there] += counts * predicted[:, inside]
                weight[:, there] += counts
        # Rows before the next tile's first one are finished; the rest is handed on.
        end = rows.starts[i + 1] if i + 1 < len(rows.starts) else rows.length
        finished = slice(done - y, end - y)
        yield done, end, total[finished] / weight[finished]
        shift = end - y
        for buffer in (total, weight):
            buffer[: rows.tile - shift] = buffer[shift:].copy()
            buffer[max(0, rows.tile - shift) :] = 0
        done = end


def cut(image, start, size):
    """A tile as float32 in [0, 1]; what reaches beyond the image is mirrored at its edge."""
    indices = [
        mirrored(np.arange(first, first + count), length)
        for first, count, length in zip(start, size, image.shape)
    ]
    rows, columns = (slice(i[0], i[-1] + 1) if (np.diff(i) == 1).all() else i for i in indices)
    tile = np.asarray(image[rows][:, columns])
    if tile.dtype == np.uint8:
        return tile.astype("float32") / 255
    if tile.max() > MOST:
        raise ValueError(
            "`image` must be float in [0, 1], or uint8. "
            f"Received: a value of {tile.max():g}. Divide by the largest possible value."
        )
    return tile.astype("float32")


def mirrored(positions, length):
    """Positions beyond 0 ... length - 1, reflected without repeating the edge."""
    period = max(1, 2 * (length - 1))
    positions = positions % period
    return np.minimum(positions, period - positions)


def check_image(model, image):
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: model={model!r}. A saved one is loaded by "
            "`keras.saving.load_model(path)`."
        )
    image = image if isinstance(image, np.ndarray) else np.asarray(image)
    channels = model.input_shape[-1]
    if image.ndim != 3 or channels not in (None, image.shape[-1]) or 0 in image.shape:
        raise ValueError(
            f"`image` must be (height, width, {channels or 'channels'}), one image without a batch "
            f"axis. Received: image.shape={image.shape}"
        )
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise ValueError(
            "`image` must be float in [0, 1], or uint8. "
            f"Received: image.dtype={image.dtype}. Divide by the largest possible value."
        )
    return image


def tile_size(model, image, tile):
    """(height, width) of the tiles: as asked for, as the model wants it, or the whole image."""
    fixed = model.input_shape[1:3]
    if tile is None:
        return tuple(want or length for want, length in zip(fixed, image.shape))
    tile = (tile, tile) if np.ndim(tile) == 0 else tuple(tile)
    if len(tile) != 2 or not all(isinstance(t, (int, np.integer)) and t > 0 for t in tile):
        raise ValueError(
            f"`tile` must be a positive integer or (height, width). Received: tile={tile}"
        )
    if any(want not in (None, size) for want, size in zip(fixed, tile)):
        raise ValueError(
            f"This model takes images of {fixed} only. Received: tile={tile}. Leave `tile` out, or "
            "build the model with height and width None."
        )
    return tuple(
        want or min(length, -(-size // STRIDE) * STRIDE)
        for want, size, length in zip(fixed, tile, image.shape)
    )


def grid_offset(model, length):
    """Pixels that the model's own padding puts in front of a whole image of this length."""
    for layer in model.layers:
        if isinstance(layer, PadToMultiple):
            return (layer.compute_output_shape((1, length, length, 1))[1] - length) // 2
    return 0


def ends_in_softmax(model):
    identity = keras.layers.Identity
    last = next((x for x in model.layers[::-1] if not isinstance(x, identity)), None)
    activation = getattr(last, "activation", None)
    return isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)
