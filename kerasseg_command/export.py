"""Writes a saved model for another runtime, and checks that it answers as Keras does.

litert is for phones (formerly TensorFlow Lite), onnx for most runtimes, savedmodel (a folder)
for TensorFlow Serving. The exported model takes float32 images in [0, 1] and returns what the
model returns, logits or probabilities.

example:
  kerasseg export runs/a/best.keras --format litert

writes runs/a/best.tflite.
"""

from kerasseg_command.arguments import path

FORMATS = ("litert", "onnx", "savedmodel")


def add_arguments(parser):
    parser.add_argument("model", type=path, help="a .keras file")
    parser.add_argument("--format", required=True, choices=FORMATS, help=", ".join(FORMATS))
    parser.add_argument(
        "--output",
        type=path,
        metavar="PATH",
        help="where to write it (default: beside the model, named after the format)",
    )
