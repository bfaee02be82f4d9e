"""`kerasseg export MODEL --format FORMAT`: a saved model for another runtime."""

from pathlib import Path

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "savedmodel": "_savedmodel"}


def export(parser):
    """Writes a saved model for another runtime, and checks that it answers as Keras does.

    litert is for phones (formerly TensorFlow Lite), onnx for most runtimes, savedmodel (a folder)
    for TensorFlow Serving. The exported model takes float32 pictures in [0, 1] and returns logits.

    example:
      kerasseg export runs/a/best.keras --format litert

    writes runs/a/best.tflite.
    """
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("--format", required=True, choices=SUFFIXES, help=", ".join(SUFFIXES))
    parser.add_argument(
        "--output", metavar="PATH", help="where to (default: beside the model, by the format)"
    )
    return run


def run(options):
    from kerasseg.cli import model_files
    from kerasseg.inference.export import check_format, check_target, export_model

    source = Path(options.model)
    target = Path(options.output or source.with_name(source.stem + SUFFIXES[options.format]))
    check_target(target)
    check_format(options.format)
    model = model_files.load(options.model)
    model_files.channels_of(model, options.model)
    done = export_model(model, target, options.format)
    height, width = done.image_size
    print(
        f"{done.path}: {megabytes(done.path):.1f} MB. On a random picture of {height}x{width} its "
        f"logits differ from those of Keras by at most {done.difference:.1g}, and "
        f"{done.same_classes:.2%} of the pixels have the same class."
    )
    return 0


def megabytes(path):
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
