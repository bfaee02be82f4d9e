"""`kerasseg convert SOURCE --to FOLDER`: annotations of other tools as a folder of label maps."""

from functools import partial

from tqdm import tqdm

from kerasseg.datasets.annotations import convert
from kerasseg_command.terminal import show


def run(options):
    result = convert(
        options.source,
        options.to,
        format=options.format,
        images=options.images,
        classes=options.classes,
        unlabelled=options.unlabelled,
        skip_damaged=options.skip_damaged,
        progress=partial(tqdm, desc="converting", unit=" images", leave=False, disable=None),
    )
    show(result)
    return 0 if result.written else 2
