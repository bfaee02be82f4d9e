"""`kerasseg check DIR --model FILE`: where a model says that a label may be wrong."""

import sys
from types import SimpleNamespace

from kerasseg.cli.crops import as_text
from kerasseg.cli.evaluate import loaded
from kerasseg.tables import table
from kerasseg.training.files import write_json_whole
from kerasseg.training.label_errors import find_label_errors, save_label_errors
from kerasseg.training.page_folder import clear_folder, record_files
from kerasseg.training.report import write_report
from kerasseg_command.terminal import escaped, show

RECORD = "label_errors.json"
SHOWN = 10  # regions whose crops are drawn in a terminal


def look_for_label_errors(options, folder):
    """Lists the suspects, and makes their page in a folder."""
    asked = SimpleNamespace(**{**vars(options), "skip_damaged": True})
    model, data = loaded(asked)
    clear_folder(folder, RECORD)
    regions, images = find_label_errors(model, data, options.regions)
    found = save_label_errors(folder, regions, images, data, options.folder)
    files = [*record_files(folder), RECORD, "report.html"]
    write_json_whole(folder / RECORD, {**found, "files": files})
    write_report(folder)
    if not regions:
        show(f"Model and labels agree in all {images} images, but for thin contours.")
    else:
        show(f"Of {images} images, the regions where model and label disagree most:")
        show()
        show(suspect_table(found["regions"]))
        if sys.stdout.isatty():
            draw(regions, found["regions"])
    show()
    show(f"The page is {folder / 'report.html'}.")


def suspect_table(entries):
    """A line for each region: its image, its place, and what the label and the model say."""
    rows = [("", "image", "rows", "columns", "labelled", "predicted", "sure", "of the image")]
    for number, entry in enumerate(entries, start=1):
        top, left, bottom, right = entry["box"]
        place = (f"{top}-{bottom}", f"{left}-{right}")
        words = (escaped(entry["labelled"]), escaped(entry["predicted"]))
        shares = (f"{entry['confidence']:.0%}", f"{entry['share']:.1%}")
        rows.append((number, escaped(entry["file"]), *place, *words, *shares))
    return table(rows, right=(0, 2, 3, 6, 7))


def draw(regions, entries):
    """The first regions as coloured cells: image, label and prediction."""
    for number, (region, entry) in enumerate(zip(regions[:SHOWN], entries), start=1):
        show(f"\n{number}  {entry['file']}: image, label, prediction")
        print(as_text(region.image, region.truth, region.prediction))
