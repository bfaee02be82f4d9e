"""The models against the same architectures in plain PyTorch: training, inference, memory.

    python benchmarks/models.py                        every model at width 0.25 and 1
    python benchmarks/models.py --models unet segnet --widths 0.25 --xla

Pictures a second in training (forward, backward, plain gradient descent) and in inference, float32,
two threads, small batches of small pictures. Ours run as Keras compiles them on a CPU, and, for
inference alone, exported to ONNX Runtime as by `kerasseg export`; with `--xla` compiled by XLA too.
PyTorch's are the plain definitions that the tests compare outputs with, in both memory formats.
Every contender has a process of its own; a round asks each in turn, and the table shows medians
over the rounds with their quartiles. Memory is the largest resident size of the process beyond that
after its imports, training and inference together, without the export. A last table has the ratios
to the faster of PyTorch's formats, of which each round gives one.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["OMP_NUM_THREADS"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

THREADS = 2
BATCH = 2
CLASSES = 11

# Height and width that need no padding, so that both sides compute the same maps.
SIZES = {
    "unet": (96, 128),
    "segnet": (96, 128),
    "segnet_basic": (96, 128),
    "deconvnet": (224, 224),
    "fcn8s": (96, 128),
    "fc_densenet56": (96, 128),
    "deeplab_v1": (97, 129),
    "deeplab_v2": (97, 129),
    "dilatednet": (192, 224),  # PyTorch reflects no more than a picture's size
    "pspnet": (97, 129),
    "deeplab_v3": (97, 129),
}
PLAIN, XLA, EXPORTED = "ours", "ours, XLA", "ours, ONNX Runtime"
THEIRS = ("PyTorch, channels first", "PyTorch, channels last")
EXPORTABLE = 100e6  # weights: for FCN-8s's 134 million, tf2onnx takes more than 24 GiB


def keras_steps(name, width, jit_compile):
    """`(parameters, train, infer)`: a number and two functions of nothing."""
    import keras
    import tensorflow as tf

    import kerasseg

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    baseline = resident()
    images, labels = pictures(name)
    model = getattr(kerasseg.models, name)((*SIZES[name], 3), CLASSES, width=width)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss, jit_compile=jit_compile)
    return (
        baseline,
        trainable(model),
        lambda: model.train_on_batch(images, labels),
        lambda: model.predict_on_batch(images),
    )


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def export(name, width, folder):
    """Writes the model as ONNX, its pictures and Keras's answer; needs far more memory than it."""
    import keras

    import kerasseg

    images, _ = pictures(name)
    model = getattr(kerasseg.models, name)((*SIZES[name], 3), CLASSES, width=width)
    Path(folder, "parameters").write_text(str(trainable(model)))
    if trainable(model) <= EXPORTABLE:
        np.save(f"{folder}/expected.npy", keras.ops.convert_to_numpy(model(images, training=False)))
        model.export(f"{folder}/model.onnx", format="onnx", verbose=False)


def exported_steps(name, width):
    """As `keras_steps`, of the exported model: it does not train."""
    import onnxruntime

    baseline = resident()
    images, _ = pictures(name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    with tempfile.TemporaryDirectory() as folder:
        words = ["--export", name, str(width), folder]
        subprocess.run([sys.executable, __file__, *words], check=True)
        parameters = int(Path(folder, "parameters").read_text())
        if parameters > EXPORTABLE:
            return baseline, parameters, None, None
        session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options)
        expected = np.load(f"{folder}/expected.npy")
    feed = {session.get_inputs()[0].name: images}
    # Not the largest: rounding may turn a tie of argmax pooling, and with it one place of a map.
    error = np.quantile(abs(session.run(None, feed)[0] - expected), 0.99)
    assert error <= 1e-4 * max(1, abs(expected).max()), f"the exported {name} differs by {error}"
    return baseline, parameters, None, lambda: session.run(None, feed)


def torch_network(name, width):
    from tests.models import torch_encoder_decoders, torch_resnet_family, torch_vgg_family

    def scaled(*counts):
        return tuple(max(1, round(count * width)) for count in counts)

    vgg, resnet = torch_vgg_family, torch_resnet_family
    if name == "unet":
        return torch_encoder_decoders.UNet(3, CLASSES, scaled(64, 128, 256, 512, 1024))
    if name == "segnet":
        return torch_encoder_decoders.SegNet(3, CLASSES, scaled(64, 128, 256, 512, 512))
    if name == "fc_densenet56":
        first, growth = scaled(48, 12)
        return torch_encoder_decoders.FCDenseNet(3, CLASSES, first, growth)
    build = {
        "segnet_basic": lambda: vgg.SegNetBasic(CLASSES, width),
        "deconvnet": lambda: vgg.DeconvNet(CLASSES, width),
        "fcn8s": lambda: vgg.FCN8s(CLASSES, width),
        "deeplab_v1": lambda: vgg.LargeFOV(CLASSES, width),
        "deeplab_v2": lambda: resnet.DeepLabV2VGG(CLASSES, width),
        "dilatednet": lambda: vgg.DilatedNet(CLASSES, width, 7 * (CLASSES,)),
        "pspnet": lambda: resnet.PSPNet(50, CLASSES, width, bias=True),
        "deeplab_v3": lambda: resnet.DeepLabV3(50, CLASSES, width=width, bias=True),
    }
    return build[name]()


def torch_steps(name, width, channels_last):
    import torch

    from tests.models import torch_encoder_decoders, torch_resnet_family, torch_vgg_family  # noqa: F401

    torch.set_num_threads(THREADS)
    baseline = resident()
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    images, labels = pictures(name)
    images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    labels = torch.from_numpy(labels)
    network = torch_network(name, width).to(memory_format=memory_format)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)

    def train():
        network.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    def infer():
        network.eval()
        with torch.inference_mode():
            return network(images)

    return baseline, sum(weight.numel() for weight in network.parameters()), train, infer


def pictures(name):
    rng = np.random.default_rng(0)
    shape = (BATCH, *SIZES[name])
    return rng.random((*shape, 3), "float32"), rng.integers(0, CLASSES, shape)


def resident():
    """MiB of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def largest_resident():
    """MiB of this process at its largest."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def serve(contender, name, width):
    """Answers every line of input, the least seconds to measure, with pictures a second."""
    if contender == EXPORTED:
        steps = exported_steps(name, width)
    elif contender in (PLAIN, XLA):
        steps = keras_steps(name, width, jit_compile=contender == XLA)
    else:
        steps = torch_steps(name, width, channels_last=contender.endswith("last"))
    baseline, parameters, *calls = steps
    started = [seconds(call) for call in calls]  # compiles
    print(json.dumps({"parameters": parameters, "first": started}), flush=True)
    for line in sys.stdin:
        rates = [rate(call, float(line)) for call in calls]
        print(json.dumps({"rates": rates, "memory": largest_resident() - baseline}), flush=True)


def seconds(call):
    if call is None:
        return math.nan
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rate(call, least):
    if call is None:
        return math.nan
    call()  # warms the caches
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < least:
        call()
        calls += 1
    return calls * BATCH / (time.perf_counter() - start)


class Contender:
    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts = self.answer()  # one starts after the other
        self.rates = []

    def measure(self, least):
        self.process.stdin.write(f"{least}\n")
        self.process.stdin.flush()
        answer = self.answer()
        self.rates.append(answer["rates"])
        self.facts["memory"] = answer["memory"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a contender ended early; its error is above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(name, width, ours, rounds, least):
    """Prints the table of one model; returns its ratios."""
    # The exported one first: while it is exported, the memory is its own.
    started = {words: Contender(words, name, width) for words in (*reversed(ours), *THEIRS)}
    contenders = {words: started[words] for words in (*ours, *THEIRS)}
    for _ in range(rounds):
        for contender in contenders.values():
            contender.measure(least)
    for contender in contenders.values():
        contender.close()
    print(f"\n{name}, width {width}, {BATCH} x {SIZES[name]}")
    head = f"{'':26}{'parameters':>12}{'MiB':>7}{'start':>8}"
    print(f"{head}   {'training/s':>24}   {'inference/s':>24}")
    for words, contender in contenders.items():
        facts = contender.facts
        cells = [
            f"{middle:8.2f} ({low:6.2f} … {high:6.2f})" if middle == middle else "-"
            for low, middle, high in np.percentile(contender.rates, (25, 50, 75), axis=0).T
        ]
        start = np.nansum(facts["first"])
        print(
            f"{words:26}{facts['parameters']:12,}{facts['memory']:7.0f}{start:7.1f}s"
            f"   {cells[0]:>24}   {cells[1]:>24}"
        )
    sys.stdout.flush()
    rates = {words: np.array(contender.rates) for words, contender in contenders.items()}
    medians = [np.median(rates[words], axis=0) for words in THEIRS]
    faster = np.argmax(medians, axis=0)
    theirs = np.stack([rates[THEIRS[which]][:, i] for i, which in enumerate(faster)], axis=1)
    return {words: np.percentile(rates[words] / theirs, (25, 50, 75), axis=0) for words in ours}


def print_ratios(ratios):
    print("\nOurs / the faster PyTorch, median of the rounds' ratios (quartiles)")
    for (name, width), ratio in ratios.items():
        cells = [
            f"{task}{words.removeprefix('ours')} {middle:.2f} ({low:.2f} … {high:.2f})"
            for i, task in enumerate(("training", "inference"))
            for words, (low, middle, high) in ((words, r[:, i]) for words, r in ratio.items())
            if middle == middle
        ]
        print(f"{name:14}{width:5}  " + "   ".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--widths", nargs="+", type=float, default=[0.25, 1.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a measurement, at least")
    parser.add_argument("--xla", action="store_true", help="ours compiled by XLA too: takes long")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--export", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        contender, name, width = arguments.serve
        serve(contender, name, float(width))
        return
    if arguments.export:
        name, width, folder = arguments.export
        export(name, float(width), folder)
        return
    ours = (PLAIN, XLA, EXPORTED) if arguments.xla else (PLAIN, EXPORTED)
    print_ratios(
        {
            (name, width): compare(name, width, ours, arguments.rounds, arguments.seconds)
            for width in arguments.widths
            for name in arguments.models
        }
    )


if __name__ == "__main__":
    main()
