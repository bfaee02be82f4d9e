"""How many labels that were corrupted on purpose `kerasseg check --model` finds.

    python benchmarks/label_errors.py --data-dir ../shared/data/camvid

Twenty masks, drawn at random from all splits, are changed in a copy of the folder: in ten, two
large classes are swapped; ten are shifted by a tenth of the width, or of both sides. A U-Net trains
on the corrupted training images, as a user's would, or a model that was trained so is given. Then
the regions are listed where it disagrees most with the labels. It prints how many of the twenty
masks have a region among the first twenty, forty and eighty. After twelve epochs on CamVid, with a
mean IoU of 0.33 on the validation images: 17, 19 and 20 of 20 (seed 0).
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from kerasseg import datasets, losses, metrics, models, training
from kerasseg.training.label_errors import find_label_errors

LEAST_SHARE = 0.05  # of the pixels, of a class that is swapped
SHIFT = 0.1  # of the height and of the width


def corrupt(folder, count, seed):
    """Changes masks in CamVid's layout; {image stem: what was done}."""
    rng = np.random.default_rng(seed)
    masks = sorted(folder.glob("*annot/*.png"))
    drawn = [masks[i] for i in rng.choice(len(masks), count, replace=False)]
    done = {}
    for i, path in enumerate(drawn):
        mask = np.asarray(Image.open(path)).copy()
        if i % 2:
            axes = (1, 0) if rng.random() < 0.5 else (1,)
            steps = [int(rng.choice([-1, 1]) * SHIFT * mask.shape[axis]) for axis in axes]
            changed = np.roll(mask, steps, axes)
            done[path.stem] = f"shifted by {dict(zip(('columns', 'rows'), steps))}"
        else:
            ids, counts = np.unique(mask[mask < 11], return_counts=True)
            first, second = rng.choice(ids[counts >= LEAST_SHARE * mask.size], 2, replace=False)
            changed = np.where(mask == first, second, np.where(mask == second, first, mask))
            done[path.stem] = f"classes {first} and {second} swapped"
        Image.fromarray(changed.astype("uint8")).save(path)
    return done


def train(data, epochs, seed):
    """A narrow U-Net after some epochs."""
    keras.utils.set_random_seed(seed)
    model = models.unet((None, None, 3), data.num_classes, width=0.25, dropout=0.2)
    steps = epochs * len(data.train)
    model.compile(
        keras.optimizers.Adam(training.cosine_with_warmup(2e-3, steps)),
        loss=losses.CrossEntropy(),
        metrics=[metrics.MeanIoU(data.num_classes)],
    )
    model.fit(
        data.train,
        validation_data=data.validation,
        epochs=epochs,
        callbacks=[training.UpdateBatchNorm(data.train.take(10))],
        shuffle=False,
        verbose=2,
    )
    return models.with_classes(
        model, data.class_names, data.colours, data.ignore_class, data.image_size
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--image-size", type=int, nargs=2, default=(96, 128))
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="a .keras file instead of a training")
    parser.add_argument("--save", type=Path, help="where to save the trained model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        shutil.copytree(options.data_dir, folder)
        done = corrupt(folder, options.count, options.seed)
        data = datasets.load("folder", data_dir=folder, image_size=options.image_size)
        if options.model:
            model = keras.saving.load_model(options.model)
        else:
            model = train(data, options.epochs, options.seed)
        if options.save:
            model.save(options.save)
        regions, images = find_label_errors(model, data, limit=80)
    stems = [Path(region.file).stem for region in regions]
    for stem, words in done.items():
        places = [i + 1 for i, other in enumerate(stems) if other == stem]
        print(f"{stem:24} {words:40} {'first at ' + str(places[0]) if places else 'not found'}")
    for first in (20, 40, 80):
        print(f"{len({*done} & {*stems[:first]})} of {len(done)} among the first {first} regions")
    print(f"{images} images looked at")


if __name__ == "__main__":
    main()
