"""`kerasseg export MODEL --format FORMAT`: a saved model for another runtime."""

from pathlib import Path

from kerasseg.cli import model_files
from kerasseg.inference.export import FORMATS, check_format, check_target, export_model
from kerasseg_command.terminal import show


def run(options):
    source = Path(options.model)
    target = Path(options.output or source.with_name(source.stem + FORMATS[options.format].suffix))
    check_target(target)
    check_format(options.format)
    model = model_files.load(options.model)
    model_files.channels_of(model, options.model)
    done = export_model(model, target, options.format)
    height, width = done.image_size
    show(
        f"{done.path}: {megabytes(done.path):.1f} MB. On a random image of {height}x{width} its "
        f"output differs from that of Keras by at most {done.difference:.1g}, and "
        f"{done.same_classes:.2%} of the pixels have the same class."
    )
    return 0


def megabytes(path):
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
