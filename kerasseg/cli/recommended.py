"""The options of a training that the user leaves open, from what suits the folder."""

from pathlib import Path

from kerasseg.datasets.recommend import recommend
from kerasseg_command.terminal import show

# Of a run of before there was a recommendation, whose settings do not name the later ones.
BEFORE = {
    "image_size": (256, 256),
    "patch": None,
    "batch_size": 8,
    "steps": None,
    "epochs": 50,
    "flips": False,
    "turns": False,
}


def output_of(options):
    """The folder of a run: the one that is named, else one in runs/ with the name of the data."""
    return options.output or str(Path("runs", Path(options.folder).resolve().name))


def complete(options, earlier=None):
    """Gives a value to the options that are `None`, in place.

    Args:
        options: Of `kerasseg train`.
        earlier: The `run.json` of the run that goes on, which keeps its options; or `None`.
    """
    if earlier:
        fill(options, {**BEFORE, **earlier["settings"]})
        return
    given = {name: value for name, value in vars(options).items() if value is not None}
    if "epochs" in given and given.keys() & {"image_size", "patch"}:
        fill(options, {**BEFORE, "image_size": None})  # chosen: no file is read for advice
        return
    try:
        advice = recommend(options.folder, given)
    except (OSError, ValueError):  # `load` says what is wrong
        fill(options, BEFORE)
        return
    if advice:
        show("Recommended for these images, as no option says otherwise:")
        for each in advice:
            show(f"  {each.words()}: {each.reason}")
    fill(options, {**BEFORE, "image_size": None, **{each.option: each.value for each in advice}})


def fill(options, values):
    for name in BEFORE:
        if getattr(options, name) is None:
            setattr(options, name, values[name])
