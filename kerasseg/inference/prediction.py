"""A model's prediction for one image of any size: whole, or in tiles that blend without seams."""

from numbers import Integral, Real

import keras
import numpy as np

from kerasseg.anatomy.graphs import graph_of, has_graph
from kerasseg.anatomy.outputs import main_output, output_of, to_classes, to_probabilities
from kerasseg.anatomy.padding import STRIDE, border_of, fitting_size, input_format
from kerasseg.layers.padding import mirror

OUTPUTS = ("classes", "probabilities", "raw")
MOST = 2  # the largest number of a float image: other ranges than [0, 1] and [-1, 1] go far beyond


def predict_image(
    model, image, *, tile=None, overlap=0.25, flip=False, output="classes", batch_size=1
):
    """The class of every pixel of one image, of any size.

    What the model's output means is read off its graph (`kerasseg.anatomy.output_of`): a softmax or
    a sigmoid is applied only to logits. Of several outputs the main one counts.

    With `tile`, the image is cut into overlapping tiles. A tile counts nothing near its inner
    edges, where its own padding has an effect; from there its weight rises linearly to one while
    its neighbour's falls to zero, so no seam shows (Ronneberger et al. 2015, figure 2,
    "overlap-tile"). Tiles start at multiples of 32 pixels on the grid on which the whole image
    would be pooled: away from the edges of the image, and where the quarter of the overlap that
    does not count is at least as wide as half the receptive field, the answer is that of the whole
    image. Where a tile is larger than the image or a network loses its border (`unet(padding=
    "valid")`), the image continues as its own mirror image.

    Memory does not grow with the image beyond what is returned: one row of tiles is held at a time.

    Args:
        model: A `keras.Model` from a batch of images, `channels_last` or `channels_first`, to
            logits, probabilities or images of the same height and width.
        image: (height, width, channels) for every model, float in [0, 1], or uint8 in 0 to 255,
            which is divided by 255 tile by tile. A `numpy.memmap` stays on disk.
        tile: Pixels of the answer that one tile gives, an integer or (height, width), rounded up to
            multiples of 32. `None` for the whole image at once, or for the size of a model that
            takes only one.
        overlap: Share of a tile that its neighbour covers too, from 0 up to 0.9, rounded so that
            tiles start at multiples of 32: with tiles of 64 pixels it is 0 or a half. (The tiles
            of a model that takes only smaller ones start at multiples of a smaller power of two.)
        flip: Whether to average with the answer for the mirrored image, mirrored back.
        output: "classes", "probabilities", or "raw", the model's own output, blended as it is.
        batch_size: Tiles a step.

    Returns:
        A NumPy array of exactly the height and width of the image. Classes are uint8 ids (height,
        width), int32 beyond 256 classes; 0 or 1, by the threshold 0.5, of a model with one channel;
        of a multi-label model uint8 (height, width, labels), 1 where a label applies.
        Probabilities are float32 (height, width, channels), those of the model itself.

    Raises:
        TypeError: if `model` is not a model.
        ValueError: if the model does not take the image, if its output is not a map of the size of
            the image or holds NaN, or if an argument is out of range.

    Example: a model that returns its input, in tiles of 32 pixels.

    >>> same = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Identity()])
    >>> image = np.linspace(0, 1, 3500, dtype="float32").reshape(50, 70, 1)
    >>> bool(np.abs(predict_image(same, image, tile=32, output="raw") - image).max() < 1e-6)
    True
    """
    result = None
    bands = predicted_bands(
        model,
        image,
        tile=tile,
        overlap=overlap,
        flip=flip,
        output=output,
        batch_size=batch_size,
    )
    for top, bottom, band in bands:
        if result is None:
            result = np.empty((*np.shape(image)[:2], *band.shape[2:]), band.dtype)
        result[top:bottom] = band
    return result


def predicted_bands(
    model, image, *, tile=None, overlap=0.25, flip=False, output="classes", batch_size=1
):
    """What `predict_image` returns, a band of rows at a time, from the top of the image down.

    Yields:
        `(top, bottom, rows)`: `rows` are those from `top` up to, not including, `bottom`. An error
        is raised before the first.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: model={model!r}. Load a saved one with "
            "keras.saving.load_model(path)."
        )
    if not isinstance(overlap, Real) or not 0 <= overlap <= 0.9:
        raise ValueError(f"`overlap` must be from 0 to 0.9. Received: overlap={overlap!r}")
    if output not in OUTPUTS:
        raise ValueError(f"`output` must be one of {OUTPUTS}. Received: output={output!r}")
    if not isinstance(flip, (bool, np.bool_)):
        raise ValueError(f"`flip` must be True or False. Received: flip={flip!r}")
    if not is_count(batch_size):
        raise ValueError(f"`batch_size` must be a positive integer. Received: {batch_size=}")
    *fixed, channels = fixed_shape(model)
    image = check_image(image, channels)
    rows, columns = tilings(model, image.shape[:2], tuple(fixed), tile, overlap)
    predict, meaning = predictor(model, activation=None if output == "raw" else "auto")

    def answer(tiles):
        predicted = predict(tiles)
        return predicted if output == "raw" else to_probabilities(predicted, meaning)

    for top, bottom, band in blended_bands(image, rows, columns, answer, flip, batch_size):
        if output == "classes":
            band = to_classes(band, meaning)
            band = band.astype("uint8" if meaning.num_classes <= 256 else "int32")
        yield top, bottom, band


def predictor(model, multi_label=None, activation="auto"):
    """A model as a function of batches of images, whatever its data format and its outputs.

    Args:
        model: A built `keras.Model` of one input.
        multi_label, activation: What is known of the output, as in `output_of`.

    Returns:
        `(predict, meaning)`. `predict(images)` takes NumPy images (batch, height, width, channels)
        and returns the main output, not yet activated, (batch, height, width, channels) too;
        `meaning` is what `output_of` says of it, with the classes on the last axis.
    """
    meaning = output_of(model, activation, multi_label)
    first = input_format(model) == "channels_first"

    def predict(images):
        predicted = predict_batch(model, np.moveaxis(images, -1, 1) if first else images, meaning)
        return np.moveaxis(predicted, meaning.axis, -1)

    return predict, meaning._replace(axis=-1)


def predict_batch(model, images, meaning):
    """The main output of a model for a batch of images, as a NumPy array without NaN.

    Args:
        model: A `keras.Model`.
        images: (batch, height, width, channels), or as the model's data format has it.
        meaning: What `output_of(model)` says.

    Raises:
        ValueError: if the output holds NaN.
    """
    predicted = np.asarray(main_output(model.predict_on_batch(images), meaning))
    if np.isnan(predicted).any():
        raise ValueError(
            f"The output of a model must be numbers. Received: those of model={model.name} hold "
            "NaN: its training has diverged, or its weights are damaged. Load an older file of it."
        )
    return predicted


class Tiling:
    """Where tiles start along one axis, and how much each position of a tile counts.

    Attributes:
        length: Pixels of the image.
        tile: Pixels of the answer that a tile gives.
        starts: First such pixel of every tile; tiles may reach beyond the image at both ends.
        lost: How many pixels more the model must be given.
    """

    def __init__(self, length, tile, overlap, offset=0, lost=0):
        self.length, self.tile, self.lost = length, tile, lost
        if tile >= length:
            self.starts = [-((tile - length) // 2)]
            return
        grid, step = STRIDE, int(tile * (1 - overlap))
        while grid > max(step, 1) and tile < STRIDE:
            grid //= 2
        step = max(grid, step // grid * grid)
        offset %= grid
        last = -(-(length - tile + offset) // grid) * grid - offset
        self.starts = [*range(-offset, last, step), last]
        self.shared = tile - step

    def weights(self, index):
        """Of the positions of tile `index`: zero, rising, one, falling, zero at inner edges."""
        weights = np.ones(self.tile, "float32")
        if len(self.starts) > 1:
            distance = np.arange(self.tile) + 0.5 - self.shared / 4
            rise = np.clip(distance / max(self.shared / 2, 1e-6), 0, 1)
            if index > 0:
                weights *= rise
            if index < len(self.starts) - 1:
                weights *= rise[::-1]
        return weights


def tilings(model, shape, fixed, tile, overlap):
    """The `Tiling`s of rows and columns: as asked for, as the model wants it, or one whole tile."""
    wanted = check_tile(tile, shape, fixed)
    given = tuple(size or free for size, free in zip(fixed, fitting_size(model, wanted)))
    borders = border_of(model, given)
    tiles = [size - border.lost for size, border in zip(given, borders)]
    offsets = (0, 0)
    if fixed == (None, None) and any(size < length for size, length in zip(tiles, shape)):
        whole = fitting_size(model, shape)
        offsets = [
            theirs.in_front + (size - theirs.lost - length) // 2 - ours.in_front
            for size, length, theirs, ours in zip(whole, shape, border_of(model, whole), borders)
        ]
    return [
        Tiling(length, size, overlap, offset, border.lost)
        for length, size, offset, border in zip(shape, tiles, offsets, borders)
    ]


def check_tile(tile, shape, fixed):
    """(height, width) that the tiles' answers should at least have."""
    if tile is None:
        return tuple(size or length for size, length in zip(fixed, shape))
    tile = (tile, tile) if np.ndim(tile) == 0 else tuple(tile)
    if len(tile) != 2 or not all(map(is_count, tile)):
        raise ValueError(
            f"`tile` must be a positive integer or (height, width). Received: tile={tile}"
        )
    if any(size not in (None, asked) for size, asked in zip(fixed, tile)):
        raise ValueError(
            f"This model takes images of {fixed} only. Received: tile={tile}. Leave `tile` out, or "
            "build the model with height and width None."
        )
    return tuple(
        size or min(length, -(-asked // STRIDE) * STRIDE)
        for size, asked, length in zip(fixed, tile, shape)
    )


def is_count(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and value > 0


def blended_bands(image, rows, columns, answer, flip, batch_size):
    """Yields (top, bottom, blended output) from the top of the image to its bottom."""
    total = weight = None
    done = 0
    for i, y in enumerate(rows.starts):
        row_weights = rows.weights(i)[:, None]
        for first in range(0, len(columns.starts), batch_size):
            batch = columns.starts[first : first + batch_size]
            tiles = np.stack([cut(image, y, x, rows, columns) for x in batch])
            predicted = checked(answer(tiles), rows, columns)
            if flip:
                mirrored = answer(np.ascontiguousarray(tiles[:, :, ::-1]))[:, :, ::-1]
                predicted = (predicted + mirrored) / 2
            if total is None:
                shape = (rows.tile, image.shape[1])
                total = np.zeros((*shape, predicted.shape[-1]), "float32")
                weight = np.zeros((*shape, 1), "float32")
            for j, (x, scores) in enumerate(zip(batch, predicted), start=first):
                inside = slice(max(0, -x), min(columns.tile, image.shape[1] - x))
                there = slice(x + inside.start, x + inside.stop)
                counts = (row_weights * columns.weights(j))[:, inside, None]
                total[:, there] += counts * scores[:, inside]
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


def checked(predicted, rows, columns):
    """A batch of answers, after a look at its shape."""
    if predicted.ndim != 4 or predicted.shape[1:3] != (rows.tile, columns.tile):
        raise ValueError(
            "The output of `model` must be a map of the height and width of the image. "
            f"Received: an output of shape {predicted.shape} for images of "
            f"{rows.tile + rows.lost}x{columns.tile + columns.lost}"
        )
    return predicted


def cut(image, y, x, rows, columns):
    """What the model is given for a tile, float32 in [0, 1]; the image goes on as its mirror."""
    parts = []
    for start, tiling in ((y, rows), (x, columns)):
        start -= tiling.lost // 2
        stop = start + tiling.tile + tiling.lost
        is_inside = start >= 0 and stop <= tiling.length
        places = np.arange(start, stop)
        parts.append(slice(start, stop) if is_inside else mirror(places, tiling.length))
    tile = np.asarray(image[parts[0]][:, parts[1]])
    if tile.dtype == np.uint8:
        return tile.astype("float32") / 255
    extreme = np.abs(tile).max()  # NaN if there is one
    if not extreme <= MOST:
        remedy = "Divide by the largest possible value." if extreme < np.inf else "Replace it."
        raise ValueError(
            f"`image` must be float in [0, 1], or uint8. Received: a value of {extreme:g}. {remedy}"
        )
    return tile.astype("float32")


def fixed_shape(model):
    """(height, width, channels) that a model takes, `None` where it takes any."""
    if not has_graph(model):
        return None, None, None
    shapes = [tuple(x.shape) for x in graph_of(model).inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ValueError(
            "`model` must have one input, a batch of images (batch, height, width, channels). "
            f"Received: model={model.name} with inputs of shapes {shapes}"
        )
    _, *shape = shapes[0]
    first = input_format(model) == "channels_first"
    return (*shape[1:], shape[0]) if first else tuple(shape)


def check_image(image, channels):
    image = image if isinstance(image, np.ndarray) else np.asarray(image)
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
