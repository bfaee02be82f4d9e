"""What the weights of a street-scenes model bring on cell nuclei, in five epochs.

    python benchmarks/fine_tuning.py --start chapters/results/street_scenes/model.keras \\
        --data-dir ../shared/data/nuclei

Each training is that of `kerasseg train`: Adam with warm-up and cosine, class weights, augmented
images. It starts from scratch and from the file, each with steps of 0.002 and 0.0005, and from the
file with an encoder that is frozen in the first epoch. It prints the foreground IoU on the
validation images after every epoch; they are the same for all.
"""

import argparse
import time

import keras

from kerasseg import datasets, models, training
from kerasseg.cli.compiling import compile_for, compiled
from kerasseg.training.selection import sample

EPOCHS = 5
WIDTH = 1 / 8  # of the network from scratch: that of the kept street-scenes model
RUNS = {  # the settings that differ
    "from scratch, steps of 0.002": {"start": None, "learning_rate": 2e-3},
    "from the file, steps of 0.002": {"learning_rate": 2e-3},
    "from the file, steps of 0.0005": {"learning_rate": 5e-4},
    "from scratch, steps of 0.0005": {"start": None, "learning_rate": 5e-4},
    "from the file, 0.0005, encoder frozen in epoch 1": {"learning_rate": 5e-4, "frozen": 1},
}


class Foreground(keras.callbacks.Callback):
    """Keeps the foreground IoU of the validation images after each epoch."""

    def __init__(self):
        super().__init__()
        self.scores = []

    def on_epoch_end(self, epoch, logs=None):
        (metric,) = self.model.metrics[1].metrics
        self.scores.append(float(metric.per_class()[1]))


def train(data, settings, frozen):
    """The foreground IoU after each epoch."""
    steps = EPOCHS * len(data.train)
    settings = {**settings, "freeze": "encoder" if frozen else None}
    model, kept = compiled(data, settings, steps), Foreground()
    for first, last in ((0, frozen), (frozen, EPOCHS)):
        if first == last:
            continue
        if first:
            models.unfreeze(model)
            compile_for(model, data, settings, steps, first * len(data.train))
        model.fit(
            data.train,
            validation_data=data.validation,
            initial_epoch=first,
            epochs=last,
            callbacks=[training.UpdateBatchNorm(sample(data)), kept],
            shuffle=False,
            verbose=0,
        )
    return kept.scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", required=True, help="a .keras file of another task")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--image-size", type=int, nargs=2, default=(64, 64))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    known = {"model": "unet", "width": WIDTH, "encoder": None, "encoder_weights": None}
    known |= {"loss": "crossentropy", "balance": 0.6, "mixed_precision": False}
    for seed in options.seeds:
        for name, changes in RUNS.items():
            data = datasets.load(
                "nuclei", data_dir=options.data_dir, image_size=options.image_size, seed=seed
            )
            frozen = changes.get("frozen", 0)
            settings = {**known, "seed": seed, "start": options.start, **changes}
            begin = time.monotonic()
            scores = train(data, settings, frozen)
            words = " ".join(f"{score:.3f}" for score in scores)
            print(f"seed {seed}  {name:50} {words}  {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
