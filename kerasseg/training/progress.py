"""What people look at while a model is trained: the time that is left, and a few images."""

import time

import keras
import numpy as np

from kerasseg.anatomy.outputs import main_output, output_of
from kerasseg.anatomy.padding import input_format
from kerasseg.losses.label_maps import predicted_ids
from kerasseg.training.evaluation import save_pictures
from kerasseg.training.files import write_json_whole
from kerasseg.training.report import write_report

__all__ = ["Progress"]

IMAGES = 4
SHARE = 0.2  # of the time of a training that may go into the page


class Progress(keras.callbacks.Callback):
    """Says after each epoch how long the training will take, and draws the page of the run anew.

    The page shows the learning curves so far and what the model makes of four validation images,
    always the same. `progress.json` holds them, and the time that is left. Where an epoch takes no
    longer than a few pages, the images are drawn after each epoch, and the page after some.

    Args:
        run: The `Run`, which comes before it in the list of callbacks.
        draws: Whether images are drawn.
        show: A function that prints a line.

    Raises:
        OSError: if the page or an image cannot be written.
    """

    async_safe = True  # it does nothing between epochs

    def __init__(self, run, draws=True, show=print):
        super().__init__()
        self.kept = run
        self.draws = draws
        self.show = show

    def on_train_begin(self, logs=None):
        self._first, self._began, self._second = self.kept.epoch, time.monotonic(), None
        self._drawn, self._cost, self._left = None, 0.0, None
        if self.draws:
            self._images, self._truths = first_images(self.kept.data.validation, IMAGES)
        # What an earlier end of the run says of its best epoch no longer holds.
        for name in ("evaluation.json", "curves.png"):
            (self.kept.folder / name).unlink(missing_ok=True)

    def on_epoch_begin(self, epoch, logs=None):
        if self._left is not None:  # not at the end of an epoch, where Keras still writes a line
            others = self.kept.epochs - self.kept.epoch
            self.show(f"About {spoken(self._left)} for the other {others} epochs.")

    def on_epoch_end(self, epoch, logs=None):
        now, kept = time.monotonic(), self.kept
        done, left = kept.epoch - self._first, kept.epochs - kept.epoch
        seconds = (now - self._began) / done
        if self._second is None:
            self._second = now  # the first epoch compiles, and does not count any more
        elif done > 1:
            seconds = (now - self._second) / (done - 1)
        self._left = None if kept.over else seconds * left
        state = {
            "epoch": kept.epoch,
            "epochs": kept.epochs,
            "left": None if kept.over else spoken(self._left),
            "stopped": kept.why_stopped(),
            "class_names": kept.data.class_names,
            "colours": colours_of(kept.data),
            "pictures": self._draw() if self.draws else [],
        }
        with kept.writing():
            write_json_whole(kept.folder / "progress.json", state)
            if self._drawn is None or self._cost <= SHARE * (now - self._drawn):
                start = time.monotonic()
                write_report(kept.folder)
                self._drawn = time.monotonic()
                self._cost = self._drawn - start

    def _draw(self):
        """What `save_pictures` returns of each image."""
        data = self.kept.data
        ids = label_maps(self.model, self._images, data.multi_label)
        colours = colours_of(data)
        with self.kept.writing():
            return [
                save_pictures(self.kept.folder, f"now{i}", colours, data.ignore_class, None, *three)
                for i, three in enumerate(zip(self._images, self._truths, ids))
            ]


def colours_of(data):
    return None if data.colours is None else np.asarray(data.colours).tolist()


def first_images(batches, count):
    """`(images, labels)`, the first ones of a `tf.data.Dataset` of batches."""
    images, labels = [], []
    for some, more in batches.as_numpy_iterator():
        images += [*some]
        labels += [*more]
        if len(images) >= count:
            break
    return np.stack(images[:count]), np.stack(labels[:count])


def label_maps(model, images, multi_label):
    """The ids, or masks of labels, that a model being trained gives images of one size."""
    meaning = output_of(model, multi_label=multi_label)
    if input_format(model) == "channels_first":
        images = np.moveaxis(images, -1, 1)
    if keras.backend.backend() == "jax":  # which compiles each operation that runs alone
        raw = model.predict_on_batch(images)
    else:
        raw = model(images, training=False)
    scores = keras.ops.convert_to_tensor(main_output(raw, meaning))
    is_logits = meaning.activation is None
    ids = predicted_ids(scores, meaning.axis, is_logits, meaning.labels == "multilabel")
    return keras.ops.convert_to_numpy(ids)


def spoken(seconds):
    """A time in words, as exact as an estimate is.

    Example:

    >>> spoken(12.3), spoken(200), spoken(12000)
    ('12 s', '3 min', '3 h 20 min')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
