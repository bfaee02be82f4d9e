"""Batch normalization in short trainings: what a model scores, and what it could score.

    python benchmarks/batch_norm.py --nuclei-dir ../shared/data/nuclei
    python benchmarks/batch_norm.py --camvid-dir ../shared/data/camvid

Trains with `kerasseg train`: a U-Net on thirty images of nuclei, 96x96, six epochs, and a SegNet on
CamVid, 96x128, twelve epochs. It prints the mean IoU of each epoch on the images that choose the
best one, as it was logged and with statistics that are estimated anew from all training images, not
augmented, with the same weights, and the same of the saved model on the images that score. "before"
is Keras's momentum of 0.99, "after" is `UpdateBatchNorm`, as `kerasseg train` uses it.
"""

import argparse
import json
import tempfile
from pathlib import Path
from unittest import mock

import keras
import numpy as np
from PIL import Image

from kerasseg import datasets, training
from kerasseg.training.evaluation import evaluate
from kerasseg.training.selection import select, with_source
from kerasseg_command.main import main as kerasseg

NEEDED = 0.03  # how far scores may lie apart


class Measured(training.UpdateBatchNorm):
    """Notes each epoch's score, and the score with statistics estimated anew."""

    before = False
    plain = validation = rows = None

    def on_train_begin(self, logs=None):
        if not self.before:
            super().on_train_begin(logs)

    def on_test_begin(self, logs=None):
        if not self.before:
            super().on_test_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.get_weights()
        training.update_batch_norm(self.model, self.plain)
        scores = self.model.evaluate(self.validation, verbose=0, return_dict=True)
        self.model.set_weights(weights)
        self.rows.append((logs["val_mean_iou"], scores["mean_iou"]))


def thirty_nuclei(source, folder):
    """The first thirty training images, with masks of 0 and 1."""
    stems = sorted(path.stem for path in (source / "images").iterdir())
    rest = [stem for i, stem in enumerate(stems) if i % 5 != 4]  # every fifth is for the test
    for stem in [stem for i, stem in enumerate(rest) if i % 5 != 4][:30]:
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        image = Image.open(source / "images" / f"{stem}.png")
        image.save(folder / "images" / f"{stem}.png")
        instances = np.array(Image.open(source / "instances" / f"{stem}.png"))
        Image.fromarray((instances > 0).astype("uint8")).save(folder / "masks" / f"{stem}.png")
    return folder


def measure(folder, output, model, size, epochs, seed, before):
    """A row for each epoch: (logged, estimated anew); a last one for the saved model."""
    settings = {"image_size": size, "seed": seed}
    data = select(datasets.load("folder", data_dir=folder, **settings)).data
    plain = with_source(data, augment=0).train
    Measured.before, Measured.rows = before, []
    Measured.plain, Measured.validation = plain, data.validation
    words = ["train", folder, "--output", output, "--model", model, "--epochs", epochs]
    words += ["--seed", seed, "--image-size", *size]
    with mock.patch("kerasseg.training.UpdateBatchNorm", Measured):
        if kerasseg([*map(str, words)]):
            raise SystemExit(f"kerasseg {words} failed")
    saved = json.loads((output / "evaluation.json").read_text())["mean_iou"]
    model = keras.saving.load_model(output / "best.keras")
    training.update_batch_norm(model, plain)
    return [*Measured.rows, (saved, evaluate(model, data.test, data)["mean_iou"])]


def show(name, rows):
    *epochs, (saved, anew) = rows
    for what, column in zip(("logged", "estimated anew"), zip(*epochs)):
        print(f"{name}  {what:<15}", *(f"{score:.3f}" for score in column))
    last, best = epochs[-1][0], max(logged for logged, _ in epochs)
    print(
        f"{name}  saved model {saved:.3f}, estimated anew {anew:.3f}: "
        f"{'within' if abs(saved - anew) <= NEEDED else 'NOT within'} {NEEDED}; "
        f"last epoch {last:.3f}, best {best:.3f}: "
        f"{'within' if last >= best - NEEDED else 'NOT within'} {NEEDED}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nuclei-dir", type=Path, help="images/ and instances/")
    parser.add_argument("--camvid-dir", type=Path, help="train/, trainannot/, val/, valannot/")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2), help="of the nuclei")
    parser.add_argument("--only", choices=("before", "after"))
    options = parser.parse_args()
    sides = [side for side in ("before", "after") if options.only in (None, side)]
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        lines = []
        if options.nuclei_dir:
            nuclei = thirty_nuclei(options.nuclei_dir, temporary / "nuclei")
            for seed in options.seeds:
                for side in sides:
                    output = temporary / f"nuclei_{seed}_{side}"
                    arguments = ("unet", (96, 96), 6, seed, side == "before")
                    rows = measure(nuclei, output, *arguments)
                    lines.append((f"nuclei, seed {seed}, {side:<6}", rows))
                    show(*lines[-1])
        if options.camvid_dir:
            for side in sides:
                arguments = ("segnet", (96, 128), 12, 0, side == "before")
                rows = measure(options.camvid_dir, temporary / f"camvid_{side}", *arguments)
                lines.append((f"CamVid, {side:<6}", rows))
                show(*lines[-1])
    print()
    for line in lines:
        show(*line)


if __name__ == "__main__":
    main()
