"""The page of a training run, of an evaluation or of a check of labels: one HTML file.

`report.html` beside this file is the template. Curves are Matplotlib's, as inline SVG in the page's
own ink; tables and bars are HTML, so that they can be read on a phone, in the dark and on paper. No
script, font or image is fetched, so that it needs no network.
"""

import base64
import csv
import io
import json
import mimetypes
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jinja2
import matplotlib
import numpy as np

from kerasseg.figures import learning_curves, reliability_diagram
from kerasseg.training.evaluation import class_shares
from kerasseg.training.files import write_text_whole

# Placeholders in Matplotlib's SVG for colours of the page, which differ in dark mode.
INK, TRAINING, HELD_OUT = "#010203", "#010204", "#010205"
PAGE_COLOURS = {INK: "currentColor", TRAINING: "var(--training)", HELD_OUT: "var(--held-out)"}
STYLE = {
    "svg.fonttype": "none",
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
}


def write_report(folder):
    """Writes `report.html` from what a training run, or an evaluation, left in its folder.

    Reads these files, each if it is there: `run.json` (`settings`, `versions`, `epoch`, `best`),
    `log.csv` (a row an epoch, counted from 1), `progress.json` (what `training.progress` writes),
    `evaluation.json` (`split`, `chosen_on` and what `evaluate` returns; under "label_errors", what
    `save_label_errors` returns) or, of a check of labels, `label_errors.json` with the latter. The
    page leaves out what is not there.

    Args:
        folder: The folder of the run.

    Returns:
        The page's path. It is written whole or not at all.

    Raises:
        ValueError: if the folder holds no run, or one of its files cannot be read.

    Example:

    >>> write_report("runs/a")  # doctest: +SKIP
    PosixPath('runs/a/report.html')
    """
    folder = Path(folder)
    run = read(folder / "run.json", read_entries)
    log = read(folder / "log.csv", read_log)
    evaluation = read(folder / "evaluation.json", read_entries)
    suspects = evaluation.get("label_errors") or read(folder / "label_errors.json", read_entries)
    if not (run or log or evaluation or suspects):
        raise ValueError(
            "`folder` must hold a training run: run.json, log.csv or evaluation.json. "
            f"Received: folder={str(folder)!r}. `kerasseg train` makes one"
        )
    progress = progress_of(folder)
    named = evaluation if evaluation.get("class_names") else suspects
    tables = {"Settings": run.get("settings"), "Versions": run.get("versions")}
    page = TEMPLATES.get_template("report.html").render(
        name=folder.resolve().name,
        subject="Training run" if run or log else "Evaluation" if evaluation else "Labels",
        **headline(run, evaluation, progress),
        progress=progress,
        curves=curves(log, run) if log else [],
        **scores(evaluation, named),
        reliability=reliability(evaluation),
        pictures=pictures(folder, evaluation),
        suspects=[{**each, "parts": parts(folder, each)} for each in suspects.get("regions", [])],
        looked_at=suspects.get("images"),
        tables={title: entries for title, entries in tables.items() if entries},
    )
    path = folder / "report.html"
    write_text_whole(path, page.encode("utf-8", "replace").decode())  # some names are no Unicode
    return path


def number(value, form=".3f"):
    return "–" if value is None or not np.isfinite(value) else f"{value:{form}}"


def per_cent(share):
    return "–" if share is None else f"{100 * share:.{1 if share < 0.0995 else 0}f}\u00a0%"


def plain(value):
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return {"None": "–", "True": "yes", "False": "no"}.get(str(value), str(value))


TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
TEMPLATES.filters.update(number=number, per_cent=per_cent, plain=plain)


def read(path, parse):
    """What a file of the run says; an empty dictionary if the file is not there."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ValueError(
            f"A run's {path.name} must be as the run wrote it. Received: path={str(path)!r}, "
            f"{error}. Remove the file to make the page without it"
        ) from error


def read_entries(text):
    entries = json.loads(text)
    if not isinstance(entries, dict):
        raise ValueError("which holds no named entries")
    return entries


def read_log(text):
    """The columns of a log whose entries are numbers; what is not there yet is NaN."""
    rows = list(csv.DictReader(io.StringIO(text)))
    log = {}
    for name in rows[0] if rows else ():
        try:
            log[name] = np.array([float(row[name] or "nan") for row in rows])
        except (TypeError, ValueError):
            continue
    return log


def headline(run, evaluation, progress):
    """The mean IoU, which is shown large, and the facts beside it."""
    best = run.get("best") or {}
    score, scored_on = evaluation.get("mean_iou"), evaluation.get("split", "validation")
    chosen_on = evaluation.get("chosen_on")
    scored_on = f"on the {scored_on} images"
    if chosen_on:
        scored_on += f"; the best epoch was chosen on the {chosen_on} images"
    if score is None:
        score, scored_on = best.get("val_mean_iou"), "on held out images, the best while training"
    facts = {}
    if interval := evaluation.get("mean_iou_interval"):
        facts["95\u00a0% interval of the mean IoU"] = " to ".join(map(number, interval))
    if "boundary_iou" in evaluation:
        facts["boundary IoU"] = number(evaluation["boundary_iou"])
    facts |= {
        "pixel accuracy": number(evaluation.get("pixel_accuracy")),
        "classes": len(evaluation.get("class_names", ())) or "–",
    }
    if run:
        facts["best epoch"] = number(best.get("epoch"), "")
        facts["epochs trained"] = epochs_of(run, progress)
    if progress["left"]:
        facts["time left"] = progress["left"]
    if evaluation.get("labels") == "multilabel":
        facts["labels"] = facts.pop("classes")
    return {"score": score, "scored_on": scored_on, "facts": facts}


def epochs_of(run, progress):
    """How many epochs are kept, and of how many where there are to be more."""
    kept, all_of_them = run.get("epoch"), progress["epochs"]
    return f"{kept} of {all_of_them}" if all_of_them not in (None, kept) else number(kept, "")


def progress_of(folder):
    """What `progress.json` says: how far a training has come, and images of its last epoch."""
    state = read(folder / "progress.json", read_entries)
    names, colours = state.get("class_names") or [], state.get("colours") or []
    return {
        "epoch": state.get("epoch"),
        "epochs": state.get("epochs"),
        "left": state.get("left"),
        "stopped": state.get("stopped"),
        "classes": [{"name": name, "colour": each} for name, each in zip(names, colours)],
        "pictures": [
            {
                part: (Path(entry[part]).name, embedded(folder / entry[part]))
                for part in ("image", "truth", "prediction")
                if part in entry
            }
            for entry in state.get("pictures", ())
        ],
    }


def curves(log, run):
    """(caption, SVG) of each column of the log, held-out images in one plot with the training's."""
    epochs = log.get("epoch", np.arange(1, 1 + len(next(iter(log.values())))))
    history = SimpleNamespace(epoch=epochs - 1, history=log)
    best = (run.get("best") or {}).get("epoch")
    names = [name for name in log if name.removeprefix("val_") not in log.keys() - {name}]
    names = sorted(names, key=lambda name: name not in ("loss", "mean_iou"))

    def draw(name):
        return learning_curves(history, [name], [""], best, (TRAINING, HELD_OUT))

    return [
        (finding(name, epochs, log), inline_svg(partial(draw, name), name))
        for name in names
        if name != "epoch"
    ]


def finding(name, epochs, log):
    """The name of a curve and where it was best, if it is known what is good."""
    words = name.replace("_", " ").replace(" iou", " IoU")
    held_out = log.get(f"val_{name}", np.array([np.nan]))
    if name not in ("loss", "mean_iou") or not np.isfinite(held_out).any():
        return words
    place = np.nanargmin(held_out) if name == "loss" else np.nanargmax(held_out)
    extreme = "lowest" if name == "loss" else "highest"
    return f"{words}, held out: {extreme} in epoch {epochs[place]:.0f} ({held_out[place]:.3f})"


def reliability(evaluation):
    """The reliability diagram as SVG, and what it says; `None` if it was not measured."""
    calibration = evaluation.get("calibration") or {}
    if calibration.get("error") is None:
        return None

    def draw():
        return reliability_diagram(calibration, (HELD_OUT, TRAINING), INK)

    excess = calibration["confidence"] - calibration["accuracy"]
    return {**calibration, "excess": excess, "svg": inline_svg(draw, "reliability")}


def inline_svg(draw, name):
    """A figure as inline SVG, in the page's ink and with ids of its own.

    Args:
        draw: A function that returns it.
        name: Of the figure, different for each on the page.
    """
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        buffer = io.StringIO()
        figure = draw()
        figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for stand_in, colour in PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # Matplotlib repeats them in every figure
    return re.sub(r'^<svg .*?viewBox="([^"]*)".*?>', r'<svg role="img" viewBox="\1">', svg, count=1)


def scores(evaluation, named):
    """What the template shows of each class: colour, IoU, share of the pixels, what was lost.

    `named` is what names the classes: the evaluation, or what was found of the labels.
    """
    names = named.get("class_names") or []
    colours = named.get("colours") or [(128, 128, 128)] * len(names)
    multi_label = evaluation.get("labels") == "multilabel"
    matrix = np.array((names and evaluation.get("confusion_matrix")) or [], float)
    if multi_label:
        shown = label_counts(matrix, len(names))
    else:
        shown = class_counts(matrix, len(names))
    return {
        "classes": [
            {"name": str(name), "colour": [int(level) for level in colour]}
            for name, colour in zip(names, colours)
        ],
        "labels": multi_label,
        "kind": "label" if multi_label else "class",
        "mean_iou": evaluation.get("mean_iou"),
        "ious": evaluation.get("per_class_iou") if names else None,
        "edges": evaluation.get("per_class_boundary_iou"),
        **shown,
    }


def class_counts(matrix, count):
    """From a confusion matrix, truth in rows: shares, the likeliest mistakes, and its rows in %."""
    nothing = [None] * count
    if not matrix.any():
        return {"shares": nothing, "mistakes": nothing, "confusion": [], "most_lost": None}
    wrong = matrix * (1 - np.eye(len(matrix)))
    totals = matrix.sum(axis=1)
    truth, prediction = np.unravel_index(np.argmax(wrong), wrong.shape)
    return {
        "shares": class_shares(matrix),
        "mistakes": [
            (int(row.argmax()), row.max() / total) if row.any() else None
            for row, total in zip(wrong, totals)
        ],
        "confusion": [
            row / total if total else [None] * len(row) for row, total in zip(matrix, totals)
        ],
        "most_lost": (truth, prediction, wrong.max() / matrix.sum()) if wrong.any() else None,
    }


def label_counts(matrices, count):
    """The same from one matrix a label, [[true no, false yes], [false no, true yes]]."""
    if not matrices.any():
        return class_counts(matrices, count)
    positives = matrices[:, 1].sum(axis=1)
    return {
        "shares": class_shares(matrices),
        "mistakes": [
            missed / total if total else None for missed, total in zip(matrices[:, 1, 0], positives)
        ],
        "confusion": [],
        "most_lost": None,
    }


def pictures(folder, evaluation):
    """The images with the highest and the lowest IoU, as parts of the page."""
    groups = {"Best": "best_pictures", "Worst": "worst_pictures"}
    return {
        title: [{"iou": e.get("iou"), "parts": parts(folder, e)} for e in evaluation[key]]
        for title, key in groups.items()
        if evaluation.get(key)
    }


def parts(folder, entry):
    """{part: (file name, data URL)} of an image, its label map and its prediction."""
    return {
        part: (Path(entry[part]).name, embedded(folder / entry[part]))
        for part in ("image", "truth", "prediction")
        if part in entry
    }


def embedded(path):
    """An image file as a data URL; `None` if it is not there."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not kind.startswith("image/") or not path.is_file():
        return None
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
