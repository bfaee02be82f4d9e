"""The page of a training run: one HTML file that needs no network.

Curves are Matplotlib's, as inline SVG in the page's own ink; tables and bars are HTML, so that
they can be read on a phone, in the dark and on paper. No script, no font, no picture is fetched.
"""

import base64
import csv
import io
import json
import mimetypes
import re
from html import escape
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np

from kerasseg.figures import learning_curves
from kerasseg.training.files import write_text_whole

# What stands in Matplotlib's SVG for a colour of the page, which is another one in the dark.
INK, TRAINING, HELD_OUT = "#010203", "#010204", "#010205"
PAGE_COLOURS = {INK: "currentColor", TRAINING: "var(--training)", HELD_OUT: "var(--held-out)"}
CURVES = {
    "svg.fonttype": "none",
    "axes.prop_cycle": matplotlib.cycler(color=[TRAINING, HELD_OUT]),
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
}


def write_report(folder):
    """Writes `report.html` from what a training run left in its folder.

    Reads, each where it is there, `run.json` (`settings`, `versions`, `epoch`, `best`), `log.csv`
    (a row an epoch, counted from 1) and `evaluation.json` (`split`, `mean_iou`, `pixel_accuracy`,
    `class_names`, `colours`, `per_class_iou` with `None` for a class that does not occur,
    `confusion_matrix` with the truth in its rows, `best_pictures` and `worst_pictures`: lists of
    the paths of `image`, `truth` and `prediction`, void striped in both, and their `iou`). The
    page does without what is not there.

    Args:
        folder: The run's folder.

    Returns:
        The page's path. It is written whole or not at all.

    Raises:
        ValueError: If the folder holds no run, or a file of it cannot be read.

    Example:

    >>> write_report("runs/a")  # doctest: +SKIP
    PosixPath('runs/a/report.html')
    """
    folder = Path(folder)
    run = read(folder / "run.json", read_entries)
    log = read(folder / "log.csv", read_log)
    evaluation = read(folder / "evaluation.json", read_entries)
    if not (run or log or evaluation):
        raise ValueError(
            "`folder` must hold a training run: run.json, log.csv or evaluation.json. "
            f"Received: folder={str(folder)!r}. `kerasseg train` makes one"
        )
    name = escape(folder.resolve().name)
    sections = (
        f"<header><h1>Training run <q>{name}</q></h1>{headline(run, evaluation)}</header>",
        curves(log, run) if log else "",
        classes(evaluation),
        confusion(evaluation),
        pictures(folder, evaluation),
        settings(run),
    )
    parts = {"title": name, "body": "\n".join(filter(None, sections))}
    page = re.sub("{(title|body)}", lambda gap: parts[gap[1]], PAGE)
    path = folder / "report.html"
    write_text_whole(path, page.encode("utf-8", "replace").decode())  # some names are no Unicode
    return path


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


def headline(run, evaluation):
    """The mean IoU in large, and what belongs to it."""
    best = run.get("best") or {}
    score, of = evaluation.get("mean_iou"), f"on the {evaluation.get('split', 'validation')} split"
    if score is None:
        score, of = best.get("val_mean_iou"), "on held out pictures, the best while training"
    facts = {
        "pixel accuracy": number(evaluation.get("pixel_accuracy")),
        "best epoch": number(best.get("epoch"), ""),
        "epochs trained": number(run.get("epoch"), ""),
        "classes": len(evaluation.get("class_names", ())) or "–",
    }
    listed = "".join(f"<div><dt>{name}</dt><dd>{fact}</dd></div>" for name, fact in facts.items())
    return (
        f'<p class="score"><strong>{number(score)}</strong> mean IoU {escape(of)}</p>'
        f'<dl class="facts">{listed}</dl>'
    )


def number(value, form=".3f"):
    return "–" if value is None or not np.isfinite(value) else f"{value:{form}}"


def curves(log, run):
    """One curve a column of the log, those of the held out pictures beside those trained on."""
    epochs = log.get("epoch", np.arange(1, 1 + len(next(iter(log.values())))))
    history = SimpleNamespace(epoch=epochs - 1, history=log)
    best = (run.get("best") or {}).get("epoch")
    names = [name for name in log if name.removeprefix("val_") not in log.keys() - {name}]
    names = sorted(names, key=lambda name: name not in ("loss", "mean_iou"))
    figures = "".join(
        f"<figure><figcaption>{escape(finding(name, epochs, log))}</figcaption>"
        f"{inline_svg(history, name, best)}</figure>"
        for name in names
        if name != "epoch"
    )
    return f'<section><h2>Learning curves</h2><div class="curves">{figures}</div></section>'


def finding(name, epochs, log):
    """The name of a curve and where it was best, if it is known what is good."""
    words = name.replace("_", " ").replace(" iou", " IoU")
    held_out = log.get(f"val_{name}", np.array([np.nan]))
    if name not in ("loss", "mean_iou") or not np.isfinite(held_out).any():
        return words
    place = np.nanargmin(held_out) if name == "loss" else np.nanargmax(held_out)
    extreme = "lowest" if name == "loss" else "highest"
    return f"{words}, held out: {extreme} in epoch {epochs[place]:.0f} ({held_out[place]:.3f})"


def inline_svg(history, name, best):
    """A learning curve as SVG to stand in a page: its ink the page's, its ids its own."""
    with matplotlib.rc_context({**CURVES, "svg.hashsalt": name}):
        buffer = io.StringIO()
        learning_curves(history, [name], [""], best).savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for stand_in, colour in PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # Matplotlib repeats them in every figure
    return re.sub(r'^<svg .*?viewBox="([^"]*)".*?>', r'<svg role="img" viewBox="\1">', svg, count=1)


def classes(evaluation):
    """A row a class: its share of the pixels, its IoU as a bar, what it is mostly taken for."""
    names, scores = evaluation.get("class_names"), evaluation.get("per_class_iou")
    if not names or not scores:
        return ""
    chips, matrix = class_chips(evaluation), counts(evaluation)
    rows = "".join(
        f'<tr><th scope="row">{chips[i]}</th>'
        f'<td class="share">{share_of_pixels(matrix, i)}</td>'
        f'<td class="bar"><span style="--iou:{np.nan_to_num(score or 0):.4f}"></span></td>'
        f"<td>{number(score)}</td><td>{mistaken_for(matrix, i, names)}</td></tr>"
        for i, score in enumerate(scores)
    )
    mean = number(evaluation.get("mean_iou"))
    return (
        f'<section style="--mean:{0 if mean == "–" else mean}"><h2>IoU of each class</h2>'
        '<div class="wide"><table class="classes"><thead><tr><th scope="col">class</th>'
        '<th scope="col" class="share">pixels</th><th scope="col" colspan="2">IoU</th>'
        f'<th scope="col">mistaken for</th></tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="note">The line across the bars is their mean, {mean}. Mistaken for: where most '
        "of the class's missed pixels went, as a share of all it has. A dash: there is none."
        "</p></section>"
    )


def class_chips(evaluation):
    """Every class as a chip of its colour, its id and its name."""
    colours = evaluation.get("colours") or [(128, 128, 128)] * len(evaluation["class_names"])
    return [
        f'<span class="chip" style="--colour:rgb({int(r)} {int(g)} {int(b)})">'
        f"<small>{i}</small>&nbsp;{escape(str(name))}</span>"
        for i, (name, (r, g, b)) in enumerate(zip(evaluation["class_names"], colours))
    ]


def counts(evaluation):
    """The confusion matrix, truth in rows; empty if there is none."""
    return np.array(evaluation.get("confusion_matrix") or np.zeros((0, 0)), float)


def share_of_pixels(matrix, i):
    return per_cent(matrix[i].sum() / matrix.sum()) if matrix.any() else "–"


def per_cent(share):
    return f"{100 * share:.{1 if share < 0.0995 else 0}f}\u00a0%"


def mistaken_for(matrix, i, names):
    """The class that most of the pixels that were missed went to, and their share of all."""
    if not len(matrix):
        return "–"
    wrong = np.where(np.arange(len(matrix)) == i, 0, matrix[i])
    if not wrong.any():
        return "–"
    other = np.argmax(wrong)
    return f"{escape(str(names[other]))} {per_cent(wrong[other] / matrix[i].sum())}"


def confusion(evaluation):
    """The confusion matrix: what became of every class's pixels, in per cent."""
    matrix, names = counts(evaluation), evaluation.get("class_names")
    if not matrix.any() or not names:
        return ""
    chips, names = class_chips(evaluation), [escape(str(name)) for name in names]
    columns = "".join(f'<th scope="col"><div>{chip}</div></th>' for chip in chips)
    rows = "".join(
        f'<tr><th scope="row">{chip}</th>{confusion_row(i, row, names)}</tr>'
        for i, (chip, row) in enumerate(zip(chips, matrix))
    )
    return (
        f"<section><h2>Confusion matrix</h2><p>{most_lost(matrix, names)} A row is a class in "
        "truth: of 100 of its pixels, so many were predicted as the class of the column.</p>"
        '<div class="wide"><table class="confusion"><thead><tr>'
        f"<td>prediction →<br>truth ↓</td>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="note"><i class="hit"></i> right <i class="miss"></i> wrong; the fuller the '
        "colour, the larger the share. Empty: less than half a pixel in 100. A dash: the class "
        "does not occur in the truth.</p></section>"
    )


def confusion_row(i, row, names):
    if not row.any():
        return "<td>–</td>" * len(row)
    return "".join(
        f'<td class="{"hit" if i == j else "miss"}" style="--share:{share:.3f}" '
        f'title="{100 * share:.1f} % of {names[i]}: {names[j]}">'
        f"{f'{100 * share:.0f}' if share >= 0.005 else ''}</td>"
        for j, share in enumerate(row / row.sum())
    )


def most_lost(matrix, names):
    """In words, the confusion that costs the most pixels."""
    wrong = matrix * (1 - np.eye(len(matrix)))
    if not wrong.any():
        return "Every pixel is right."
    truth, prediction = np.unravel_index(np.argmax(wrong), wrong.shape)
    share = wrong[truth, prediction] / matrix.sum()
    return (
        f"Most pixels are lost where <b>{names[truth]}</b> is taken for "
        f"<b>{names[prediction]}</b>: {per_cent(share)} of all."
    )


def pictures(folder, evaluation):
    """The pictures with the highest and the lowest IoU: image, truth and prediction."""
    groups = {"Best": "best_pictures", "Worst": "worst_pictures"}
    shown = {title: evaluation.get(key) for title, key in groups.items() if evaluation.get(key)}
    if not shown:
        return ""
    rows = "".join(
        f"<h3>{title}</h3>" + "".join(picture_row(folder, picture) for picture in chosen)
        for title, chosen in shown.items()
    )
    legend = "".join(class_chips(evaluation)) if evaluation.get("class_names") else ""
    void = '<span class="chip void">void (not scored)</span>'
    return (
        "<section><h2>Best and worst pictures</h2>"
        f'<p class="legend">{legend}{void}</p>{rows}</section>'
    )


def picture_row(folder, picture):
    cells = "".join(
        f"<div>{embedded(folder / picture[part], part)}<small>{part}</small></div>"
        for part in ("image", "truth", "prediction")
        if part in picture
    )
    return (
        f'<figure class="picture"><figcaption>IoU {number(picture.get("iou"))}</figcaption>'
        f"{cells}</figure>"
    )


def embedded(path, name):
    """A picture as part of the page, or a word in its place."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not kind.startswith("image/") or not path.is_file():
        return f"<p>{escape(path.name)} is not there</p>"
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img src="data:{kind};base64,{data}" alt="{name}">'


def settings(run):
    """Settings and versions, as they were given."""
    tables = "".join(
        f"<div><h3>{title}</h3><table>{settings_rows(run[key])}</table></div>"
        for title, key in (("Settings", "settings"), ("Versions", "versions"))
        if run.get(key)
    )
    if not tables:
        return ""
    return f'<section><h2>How it was made</h2><div class="settings">{tables}</div></section>'


def settings_rows(entries):
    return "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(plain(value))}</td></tr>'
        for name, value in entries.items()
    )


def plain(value):
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return {"None": "–", "True": "yes", "False": "no"}.get(str(value), str(value))


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}: training run</title>
<style>
:root {
  --page: #fff; --ink: #1b1f24; --soft: #5b6570; --line: #d5dae0; --track: #eceff2;
  --held-out: #0072b2; --training: #d55e00; --hit: 86 180 233; --miss: 230 159 0;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --ink: #e6e9ed; --soft: #a0a9b3; --line: #39414a; --track: #272d34;
    --held-out: #56b4e9; --training: #e69f00; --hit: 0 114 178; --miss: 176 80 0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 66rem;
  background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
}
h1 { margin: 0; font-size: 1.2rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.3rem; }
h3 { margin: 1rem 0 .3rem; font-size: 1rem; }
p { margin: .5rem 0; }
figure { margin: 0; }
small, .note, figcaption { color: var(--soft); font-size: .85rem; }
.score { font-size: 1.2rem; }
.score strong { font-size: 3.2rem; line-height: 1.1; font-variant-numeric: tabular-nums; }
.facts { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 0; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.2rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1rem; }
.curves figure { max-width: 32rem; align-self: end; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif !important; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 400; text-align: left; }
thead th, thead td { color: var(--soft); font-size: .85rem; vertical-align: bottom; }
.classes, .settings table { width: 100%; }
.classes td, .classes th, .settings td, .settings th {
  padding: .2rem .75rem .2rem 0; border-bottom: 1px solid var(--line);
}
.share { text-align: right; white-space: nowrap; }
.bar { width: 40%; min-width: 6rem; }
.bar span { display: block; position: relative; height: 1rem; background: var(--track); }
.bar span::before {
  content: ""; position: absolute; inset: 0 auto 0 0; width: calc(100% * var(--iou));
  background: var(--held-out);
}
.bar span::after {
  content: ""; position: absolute; inset: -.2rem auto -.2rem calc(100% * var(--mean));
  border-left: 2px solid var(--ink);
}
.chip { position: relative; padding-inline-start: 1.25rem; }
.chip::before {
  content: ""; position: absolute; inset-block-start: .15em; inset-inline-start: 0;
  width: .9rem; height: .9rem; border: 1px solid var(--soft); background: var(--colour);
}
.chip.void::before {
  background: repeating-linear-gradient(135deg, #ccc 0 .15rem, #1a1a1a 0 .3rem);
}
.confusion td, .confusion th { border: 1px solid var(--line); }
.confusion tbody td {
  min-width: 1.7rem; height: 1.7rem; padding: 0 .1rem; text-align: center; font-size: .8rem;
}
.confusion tbody th {
  position: sticky; left: 0; max-width: 9rem; padding: 0 .4rem; background: var(--page);
  font-size: .85rem;
}
.confusion th, .confusion div { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.confusion thead th { padding: .4rem 0; }
.confusion thead div {
  max-height: 9rem; margin: auto; writing-mode: vertical-rl; transform: rotate(180deg);
}
.confusion thead td { border: 0; padding: .4rem; }
.hit { background: rgb(var(--hit) / var(--share)); }
.miss { background: rgb(var(--miss) / var(--share)); }
i.hit, i.miss { --share: 1; display: inline-block; width: .8rem; height: .8rem; }
.picture {
  display: grid; grid-template-columns: repeat(3, 1fr); gap: .2rem .4rem; margin-bottom: 1rem;
}
.picture figcaption { grid-column: 1 / -1; color: var(--ink); }
.picture img { display: block; width: 100%; image-rendering: pixelated; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
.settings {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 0 3rem;
}
.settings td { text-align: right; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  table { font-size: .9rem; }
  .classes .share { display: none; }
  .bar span { min-width: 4.5rem; }
  .confusion tbody th { max-width: 6rem; }
}
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 12px; }
  .wide { overflow: visible; }
  figure, tr, .facts { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
</style>
</head>
<body>
{body}
</body>
</html>
"""
