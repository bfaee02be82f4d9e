"""`predict` of whole models against the same graphs of Keras's own layers.

    python benchmarks/predict.py                     all rows, and results/predict.json
    python benchmarks/predict.py --rows segnet

In the other graph plain layers of the same shapes and weights stand for ours: pooling and
upsampling, `BatchNormalization`, `Conv2D(dilation_rate=…)`, `ZeroPadding2D` and `Cropping2D`. Two
threads, float32. `rounds.py` says how ratios are taken.
"""

import argparse

import numpy as np
import rounds

OURS, ANY_SIZE, PLAIN = "ours", "ours, of any size", "Keras's layers"
IMAGES, BATCH, CALLS = 8, 4, 2
ROWS = {  # the image size of each model, and the limit of the ratio
    "segnet": ((96, 128), 1.15),
    "segnet_basic": ((96, 128), None),
    "deconvnet": ((224, 224), None),
    "unet": ((90, 120), None),
    "fc_densenet56": ((96, 128), None),
    "deeplab_v3": ((97, 129), None),
    "dilatednet": ((96, 128), None),
}


def plain_layers():
    """{layer of ours: what stands for it}; each takes the layer and makes the other."""
    import keras

    from kerasseg import layers

    class Pool(keras.layers.MaxPooling2D):
        def call(self, x):
            pooled = super().call(x)
            return pooled, pooled

        def compute_output_spec(self, x):
            pooled = keras.KerasTensor(self.compute_output_shape(x.shape), dtype=x.dtype)
            return pooled, pooled

    class Unpool(keras.layers.UpSampling2D):
        def call(self, values, argmax=None, like=None):
            unpooled = super().call(values)
            return unpooled if like is None else unpooled[:, : like.shape[1], : like.shape[2]]

        def compute_output_spec(self, values, argmax=None, like=None):
            shape = self.compute_output_shape(values.shape)
            like = values if like is None else like
            shape = shape if like is values else (shape[0], *like.shape[1:3], shape[3])
            return keras.KerasTensor(shape, dtype=values.dtype)

    class Crop(keras.layers.Cropping2D):
        def call(self, x, like=None):
            return super().call(x)

        def compute_output_spec(self, x, like=None):
            return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=x.dtype)

    def around(size, other):
        """What padding or cropping adds or takes on each side, the odd row behind."""
        return [((a - b) // 2, a - b - (a - b) // 2) for a, b in zip(size, other)]

    def pad(layer):
        rows = around(layer.output.shape[1:3], layer.input.shape[1:3])
        return keras.layers.ZeroPadding2D(rows, name=layer.name)

    def crop(layer):
        rows = around(layer.input[0].shape[1:3], layer.output.shape[1:3])
        return Crop(rows, name=layer.name)

    def convolution(layer):
        config = layer.get_config()
        config["dilation_rate"] = config.pop("rate")
        return keras.layers.Conv2D.from_config(config)

    return {
        layers.MaxPoolingWithArgmax2D: lambda layer: Pool(padding=layer.padding, name=layer.name),
        layers.MaxUnpooling2D: lambda layer: Unpool(name=layer.name),
        layers.FusedBatchNormalization: lambda layer: keras.layers.BatchNormalization.from_config(
            layer.get_config()
        ),
        layers.AtrousConv2D: convolution,
        layers.PadToMultiple: pad,
        layers.ReflectionPadding2D: pad,
        layers.CenterCropLike: crop,
    }


def contenders(name):
    import keras

    import kerasseg

    size, _ = ROWS[name]
    make = getattr(kerasseg.models, name)
    models = {OURS: make((*size, 3), 11, width=0.25)}
    models[ANY_SIZE] = make((None, None, 3), 11, width=0.25)
    plain = plain_layers()

    def clone(layer):
        make = plain.get(type(layer))
        return make(layer) if make else type(layer).from_config(layer.get_config())

    models[PLAIN] = keras.models.clone_model(models[OURS], clone_function=clone)
    for model in models.values():
        model.set_weights(models[OURS].get_weights())
    images = np.random.default_rng(0).random((IMAGES, *size, 3), "float32")
    return {
        name: lambda model=model: model.predict(images, batch_size=BATCH, verbose=0)
        for name, model in models.items()
    }


def measure(server, name, count):
    times = rounds.rounds_of([server], [name], count)
    others = [other for other in times if other != PLAIN]
    return {
        "row": name,
        "size": list(ROWS[name][0]),
        "milliseconds": {other: rounds.quartiles(1000 * times[other]) for other in times},
        "ratios": {other: rounds.quartiles(times[other] / times[PLAIN]) for other in others},
    }


def show(result):
    size = "x".join(map(str, result["size"]))
    print(f"\n{result['row']}, {size}: {result['milliseconds'][OURS][1]:.0f} ms, {IMAGES} images")
    for ours, (low, middle, high) in result["ratios"].items():
        check = rounds.verdict(middle, ROWS[result["row"]][1])
        print(
            f"  {ours:18} over {PLAIN} {middle:6.2f} ({low:.2f} … {high:.2f})  {check}", flush=True
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        rounds.set_threads(arguments.serve)
        rounds.serve(contenders, CALLS)
        return
    server = rounds.Server(__file__, "tensorflow")
    results = []
    for name in arguments.rows:
        results.append(measure(server, name, arguments.rounds))
        show(results[-1])
    server.close()
    if arguments.rows == list(ROWS):
        rounds.write("predict", results)


if __name__ == "__main__":
    main()
