"""Trains a model on a folder of images and masks.

The folder is one that `kerasseg check` understands. Without options, the training is the one that
`kerasseg check` recommends for these images and this machine; each option that is given replaces
one of it. Training images are flipped, scaled, rotated and recoloured at random. The learning
rate rises over the first twentieth of the steps and falls along a cosine. Without a validation
split, a fifth of the pairs is drawn for it.

The best epoch is chosen on images that it is not scored on. With a test split, the validation
images choose and the test images score. Without, a tenth of the training images is held out to
choose, and the validation images score. With fewer than ten training images the validation
images do both, so that the score is a little too good.

Killed at any moment and started again with the same command, training goes on from the last
finished epoch, with the same result. Ctrl-C ends it, and the same command goes on. The same
command with more --epochs goes on too, with the learning rate of a training of that length: it
rises again to where that one would be, and falls to zero at the new end.

With --from, training starts from the weights of a model, with smaller steps: 0.0005 at the peak.
Architecture and width are the model's own. If it has other classes, its head is new. With --freeze
encoder, the encoder keeps its weights for the first fifth of the epochs, until the new head is of
use, and then learns too.

With --distribute, several devices share each batch and train as one would. Under JAX they may
be those of several machines, each of which starts the same command, and sees both folders. Its
environment says KERAS_DISTRIBUTION_JOB_ADDRESSES, host:port of the first machine, which alone
writes; KERAS_DISTRIBUTION_NUM_PROCESSES; and KERAS_DISTRIBUTION_PROCESS_ID, from 0.

example:
  kerasseg train data/cells
  kerasseg train data/camvid --model unet --image-size 96 128 --epochs 30 --output runs/a

The output folder must be new or empty, or hold a run, and lie outside the folder of images. --force
removes the files of a run, which its run.json lists, and nothing else. While it trains, report.html
shows the curves and four validation images after the last epoch; a browser reloads it.

leaves in the output folder:
  best.keras, last.keras   the best and the last epoch, with names and colours of the classes
  report.html              the run on one page; curves.png, JSON files and pictures/ for it
  log.csv, run.json        a row an epoch; the settings and what is kept
  tensorboard/             for `tensorboard --logdir`, where TensorBoard is installed

exit code:
  0    trained, or trained before
  2    wrong arguments or data, a loss that became NaN, a folder that cannot be written
  130  interrupted
"""

import argparse

from kerasseg_command.arguments import path, positive_integer, positive_number, seed, share

MODELS = (
    "unet",
    "segnet",
    "segnet_basic",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fc_densenet56",
    "fc_densenet67",
    "fc_densenet103",
    "deconvnet",
    "dilatednet",
    "deeplab_v1",
    "deeplab_v2",
    "deeplab_v3",
    "pspnet",
    "hypercolumn",
)
LOSSES = ("crossentropy", "dice", "both")


def add_arguments(parser):
    parser.add_argument("folder", type=path, help="images/ and masks/, or as `kerasseg check` says")
    parser.add_argument(
        "--output",
        type=path,
        help="folder of the run, made if need be; default: runs/ and the folder's name",
    )
    parser.add_argument(
        "--skip-damaged", action="store_true", help="leave out pairs that cannot be used"
    )
    add_model_arguments(parser)
    add_training_arguments(parser)
    add_variation_arguments(parser)
    parser.add_argument(
        "--force", action="store_true", help="remove another run that lies in the output folder"
    )


def add_model_arguments(parser):
    parser.add_argument(
        "--from",
        dest="start",
        type=path,
        metavar="FILE",
        help="a .keras file whose weights to start from; its head is new if the classes differ",
    )
    parser.add_argument(
        "--freeze",
        choices=("encoder",),
        help="what keeps its weights for the first fifth of the epochs",
    )
    parser.add_argument("--model", choices=MODELS, default="unet", help="default: unet")
    parser.add_argument(
        "--image-size",
        type=positive_integer,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="images are resized to it; default: recommended",
    )
    parser.add_argument(
        "--patch",
        type=positive_integer,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="parts of this size are cut from training images at random; validation and test "
        "images stay whole; default: recommended",
    )
    parser.add_argument(
        "--width",
        type=positive_number,
        help="scales all filter counts; default: 0.25, or 1 with weights",
    )
    parser.add_argument(
        "--encoder",
        metavar="NAME",
        help="of unet: vgg16, resnet50, mobilenetv3small or another network of keras.applications; "
        "of deeplab_v2, deeplab_v3 and pspnet: as their documentation says",
    )
    parser.add_argument(
        "--encoder-weights",
        metavar="WEIGHTS",
        help="imagenet (a download), or a file of keras.applications, for models with an encoder",
    )
    parser.add_argument(
        "--mixed-precision", action="store_true", help="compute in float16: faster on recent GPUs"
    )


def add_training_arguments(parser):
    parser.add_argument("--epochs", type=positive_integer, help="default: recommended")
    parser.add_argument(
        "--steps",
        type=positive_integer,
        metavar="N",
        help="batches in an epoch, whatever the number of images; default: recommended, or with "
        "--epochs alone as many as show each image once",
    )
    parser.add_argument("--batch-size", type=positive_integer, help="default: recommended")
    parser.add_argument(
        "--learning-rate",
        type=positive_number,
        help="peak of the schedule, for Adam; default: 0.002, or 0.0005 with --from, 0.0002 with "
        "encoder weights",
    )
    parser.add_argument(
        "--loss", choices=LOSSES, default="crossentropy", help="default: crossentropy"
    )
    parser.add_argument(
        "--balance",
        type=share,
        default=0.6,
        metavar="POWER",
        help="of median-frequency class weights: 0 gives all classes the same weight, 1 gives rare "
        "classes weights in proportion to how rare they are; default: 0.6",
    )
    parser.add_argument(
        "--patience",
        type=positive_integer,
        default=20,
        help="epochs without a better score after which to stop; default: 20",
    )
    parser.add_argument(
        "--distribute",
        choices=("mirrored", "jax"),
        help="mirrored: all GPUs of this machine, under TensorFlow; jax: all devices of this or "
        "several machines, under JAX; default: one device",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of everything random; default: 0")


def add_variation_arguments(parser):
    parser.add_argument(
        "--augment",
        type=share,
        default=1.0,
        metavar="STRENGTH",
        help="of the random variation, 0 to 1; default: 1",
    )
    for name, what in (("--flips", "upside down"), ("--turns", "by any angle")):
        parser.add_argument(
            name,
            action=argparse.BooleanOptionalAction,
            help=f"training images are also turned {what}, for cells or satellite images; default: "
            "recommended",
        )
