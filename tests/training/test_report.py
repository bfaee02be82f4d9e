"""The page of a run is whole, needs nothing from outside, and says what was measured."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasseg.training.report import write_report

NAMES = ["road", '<b>"cat" & dog</b>', "sky"]
MATRIX = [[60, 3, 17], [5, 0, 15], [0, 0, 0]]
VOID_ELEMENTS = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """What a browser would make of the page: elements with attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and "svg" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)

    def values(self, *names):
        return [value for _, all_ in self.elements for name, value in all_.items() if name in names]

    def classes(self, name):
        return [all_ for _, all_ in self.elements if name in (all_.get("class") or "").split()]


@pytest.fixture
def folder(tmp_path):
    """A run of three classes, one with a name that would break a page, one that never occurs."""
    run = tmp_path / "a <run>"
    (run / "pictures").mkdir(parents=True)
    pictures = {"best": [], "worst": []}
    for i, (group, chosen) in enumerate(pictures.items()):
        paths = {part: f"pictures/{group}_{part}.png" for part in ("image", "truth", "prediction")}
        for j, path in enumerate(paths.values()):
            Image.fromarray(np.full((4, 5, 3), 10 * i + j, "uint8")).save(run / path)
        chosen.append({**paths, "iou": 0.875 - i / 2})
    evaluation = {
        "split": "validation",
        "chosen_on": "held-out training",
        "mean_iou": 0.3529,
        "pixel_accuracy": 0.6,
        "class_names": NAMES,
        "per_class_iou": [0.7059, 0.0, None],
        "confusion_matrix": MATRIX,
        "colours": [[1, 2, 3], [40, 50, 60], [255, 0, 0]],
        "best_pictures": pictures["best"],
        "worst_pictures": pictures["worst"],
    }
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    details = {
        "settings": {"data": "<a&b>", "image_size": [96, 128], "balance": None, "mixed": False},
        "versions": {"keras": "3.15.1"},
        "epoch": 3,
        "best": {"epoch": 2, "val_mean_iou": 0.3529},
    }
    (run / "run.json").write_text(json.dumps(details))
    (run / "log.csv").write_text(
        "epoch,learning_rate,loss,mean_iou,val_loss,val_mean_iou\n"
        "1,0.1,2.5,0.1,2.0,0.2\n2,0.05,1.5,0.3,1.25,0.3529\n3,0.01,1.0,0.4,1.75,0.3\n"
    )
    return run


def page_of(folder):
    return Page(write_report(folder).read_text(encoding="utf-8"))


def change(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_the_page_needs_nothing_from_outside(folder):
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert not page.open
    references = page.values("src", "srcset", "href", "xlink:href", "data", "action", "poster")
    assert len(references) > 6
    assert all(reference.startswith(("data:", "#")) for reference in references)
    assert not {"script", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    assert "://" not in html
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert "default-src 'none'" in html  # and the browser would fetch nothing if there were


def test_every_id_is_there_once_and_every_reference_to_one_is_answered(folder):
    html = write_report(folder).read_text(encoding="utf-8")
    ids = Page(html).values("id")
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r'(?:url\(|xlink:href=")#([^)"]*)', html)) <= set(ids)


def test_names_are_words_on_the_page_never_its_markup(folder):
    page = page_of(folder)
    assert "<a&b>" in page.text
    assert "a <run>" in page.text
    assert page.text.count('<b>"cat" & dog</b>') >= 4
    assert f"3.8 % of road: {NAMES[1]}" in page.values("title")
    assert [tag for tag, _ in page.elements].count("b") == 2  # of "is taken for", the page's own


def test_numbers_stand_where_they_belong(folder):
    page = page_of(folder)
    words = "0.353 mean IoU on the validation images; the best epoch was chosen on the held-out"
    assert words in page.text
    for words in ("pixel accuracy0.600", "best epoch2", "epochs trained3", "classes3"):
        assert words in page.text
    bars = [all_["style"] for _, all_ in page.elements if "--iou" in (all_.get("style") or "")]
    assert bars == ["--iou:0.7059", "--iou:0.0000", "--iou:0.0000"]
    assert "0 road80\u00a0%0.706sky 21\u00a0%".replace("0 road", "0\u00a0road") in page.text
    assert "sky0.0\u00a0%––" in page.text
    assert "96, 128" in page.text
    assert "loss, held out: lowest in epoch 2 (1.250)" in page.text
    assert "mean IoU, held out: highest in epoch 2 (0.353)" in page.text


def test_a_row_of_the_confusion_matrix_is_what_became_of_a_class(folder):
    page = page_of(folder)
    cells = [all_ for tag, all_ in page.elements if tag == "td" and "--share" in str(all_)]
    shares = [float(all_["style"].removeprefix("--share:")) for all_ in cells]
    expected = [[count / sum(row) for count in row] for row in MATRIX[:2]]
    np.testing.assert_allclose(np.reshape(shares, (2, 3)), expected, atol=5e-4)
    kinds = [all_["class"] for all_ in cells]
    assert kinds == ["hit", "miss", "miss", "miss", "hit", "miss"]
    assert "road is taken for sky: 17\u00a0% of all" in page.text


def test_pictures_are_in_the_page_to_the_byte_the_best_first(folder):
    sources = [all_["src"] for tag, all_ in page_of(folder).elements if tag == "img"]
    embedded = [base64.b64decode(x.removeprefix("data:image/png;base64,")) for x in sources]
    parts = ("image", "truth", "prediction")
    paths = [
        folder / f"pictures/{group}_{part}.png" for group in ("best", "worst") for part in parts
    ]
    assert embedded == [path.read_bytes() for path in paths]


def test_a_chip_shows_the_colour_of_its_class(folder):
    chips = [all_["style"] for all_ in page_of(folder).classes("chip") if "style" in all_]
    assert chips[:3] == ["--colour:rgb(1 2 3)", "--colour:rgb(40 50 60)", "--colour:rgb(255 0 0)"]


@pytest.mark.parametrize("missing", ["run.json", "log.csv", "evaluation.json"])
def test_a_run_without_one_of_its_files_still_has_a_page(folder, missing):
    (folder / missing).unlink()
    headings = {
        "run.json": "How it was made",
        "log.csv": "Learning curves",
        "evaluation.json": "Confusion matrix",
    }
    text = page_of(folder).text
    assert [file for file, heading in headings.items() if heading not in text] == [missing]
    assert "0.353 mean IoU on" in text


@pytest.mark.parametrize(
    "key", ["best_pictures", "class_names", "colours", "confusion_matrix", "per_class_iou"]
)
def test_an_evaluation_without_one_of_its_entries_still_has_a_page(folder, key):
    path = folder / "evaluation.json"
    entries = json.loads(path.read_text())
    del entries[key]
    path.write_text(json.dumps(entries))
    assert "0.353 mean IoU on the validation images" in page_of(folder).text


def test_a_picture_that_is_gone_is_named(folder):
    (folder / "pictures/best_truth.png").unlink()
    assert "best_truth.png is not there" in page_of(folder).text


def test_one_epoch_and_losses_that_are_no_numbers_still_have_curves(folder):
    (folder / "log.csv").write_text("epoch,loss,val_loss,time\n1,nan,nan,noon\n")
    page = page_of(folder)
    assert len([tag for tag, _ in page.elements if tag == "svg"]) == 1
    (folder / "log.csv").write_text("epoch,loss,val_loss\n1,2.0,3.0\n2,1.")  # killed while writing
    assert "loss, held out: lowest in epoch 1 (3.000)" in page_of(folder).text
    (folder / "log.csv").write_text("epoch,loss,val_loss\n")
    assert "Learning curves" not in page_of(folder).text


@pytest.mark.parametrize("classes", [2, 32])
def test_few_and_many_classes_have_a_cell_for_each_pair(folder, classes):
    matrix = np.random.default_rng(classes).integers(1, 90, (classes, classes))
    change(
        folder / "evaluation.json",
        class_names=[f"class {i}" for i in range(classes)],
        per_class_iou=[i / classes for i in range(classes)],
        colours=[[i, i, i] for i in range(classes)],
        confusion_matrix=matrix.tolist(),
    )
    page = page_of(folder)
    assert sum("--share" in all_.get("style", "") for all_ in page.classes("hit")) == classes
    assert len([x for x in page.values("title") if "%" in x]) == classes**2


def test_a_perfect_model_loses_no_pixel(folder):
    change(folder / "evaluation.json", confusion_matrix=np.diag([5, 6, 7]).tolist())
    assert "Every pixel is right." in page_of(folder).text


@pytest.mark.parametrize("place", ["empty", "nowhere", "file.txt"])
def test_a_folder_without_a_run_is_refused(tmp_path, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("no folder")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=f"must hold a training run.*Received: folder='.*{place}"):
        write_report(tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ['{"epoch": ', "", "[1, 2]"])
def test_a_damaged_file_is_named_with_the_remedy(folder, text):
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run.json must be.*Received: path='.*Remove the file"):
        write_report(folder)


def test_a_page_that_cannot_be_written_leaves_the_one_before(folder, monkeypatch):
    before = write_report(folder).read_text(encoding="utf-8")
    change(folder / "evaluation.json", mean_iou=0.9)

    def full(path, text, **options):
        path.write_bytes(text.encode()[:100])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == before


def test_curves_of_loss_and_mean_iou_come_first_then_all_others(folder):
    (folder / "log.csv").write_text("epoch,rate,val_only,mean_iou,val_mean_iou,loss\n1,1,2,3,4,5\n")
    captions = re.findall(
        "<figcaption>(.*?)</figcaption><svg", write_report(folder).read_text(encoding="utf-8")
    )
    assert captions == [
        "mean IoU, held out: highest in epoch 1 (4.000)",
        "loss",
        "rate",
        "val only",
    ]


def test_a_folder_whose_name_is_a_gap_of_the_page_fills_none(folder):
    page = page_of(folder.rename(folder.with_name("{body} {title}")))
    assert page.text.count("{body} {title}") == 2
    assert page.text.count("Confusion matrix") == 1


def test_labels_have_a_row_each_and_no_confusion_matrix(folder):
    matrices = [[[50, 10], [5, 35]], [[100, 0], [0, 0]], [[60, 20], [20, 0]]]
    change(folder / "evaluation.json", labels="multilabel", confusion_matrix=matrices)
    page = page_of(folder)
    assert "IoU of each label" in page.text
    assert "Confusion matrix" not in page.text
    assert "road40\u00a0%0.70612\u00a0%" in page.text
    assert "sky20\u00a0%–100\u00a0%" in page.text
    assert page.text.count("Missed: the share of the label's pixels") == 1


CALIBRATION = {
    "error": 0.084,
    "confidence": 0.924,
    "accuracy": 0.84,
    "bins": [
        {"pixels": 30, "confidence": 0.4, "accuracy": 0.5},
        {"pixels": 70, "confidence": 0.95, "accuracy": 0.85},
    ],
}


def test_how_far_the_score_can_be_trusted_stands_beside_it_and_in_a_diagram(folder):
    before = len([tag for tag, _ in page_of(folder).elements if tag == "svg"])
    change(
        folder / "evaluation.json",
        mean_iou_interval=[0.301, 0.402],
        boundary_iou=0.25,
        per_class_boundary_iou=[0.5, 0.0, None],
        calibration=CALIBRATION,
    )
    page = page_of(folder)
    assert "95\u00a0% interval of the mean IoU0.301 to 0.402" in page.text
    assert "boundary IoU0.250" in page.text
    assert "0.7060.500sky 21" in page.text
    assert "The model is 92\u00a0% sure on average, and right in 84\u00a0%" in page.text
    assert "it is too sure of itself" in page.text
    assert "differ by 8.4 points on average" in page.text
    assert len([tag for tag, _ in page.elements if tag == "svg"]) == before + 1
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_regions_where_a_label_may_be_wrong_are_shown_with_their_place(folder):
    regions = [
        {
            "file": "train/<x>.png",
            "box": [10, 20, 30, 45],
            "labelled": NAMES[1],
            "predicted": "sky",
            "confidence": 0.97,
            **{part: f"pictures/best_{part}.png" for part in ("image", "truth", "prediction")},
        }
    ]
    found = {"images": 12, "regions": regions, "class_names": NAMES, "colours": [[1, 2, 3]] * 3}
    change(folder / "evaluation.json", label_errors=found)
    page = page_of(folder)
    assert "Of 12 images, these are the regions" in page.text
    assert "1 train/<x>.pngrows 10 to 30, columns 20 to 45labelled" in page.text
    assert f"labelled {NAMES[1]}, predicted sky (97\u00a0% sure)" in page.text
    for path in ("run.json", "log.csv", "evaluation.json"):
        (folder / path).unlink()
    (folder / "label_errors.json").write_text(json.dumps(found))
    alone = page_of(folder)
    assert "Labels a <run>" in alone.text
    assert "mean IoU" not in alone.text
    assert "predicted sky (97" in alone.text
