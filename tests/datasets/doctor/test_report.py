"""The page of a report: what is shown, and how wide."""

import subprocess
import sys

from kerasseg import check_dataset
from tests.datasets.doctor.examples import damage, found, make_folder


def test_many_findings_of_a_kind_are_counted_on_the_page_and_listed_in_the_report(tmp_path, rng):
    folder = make_folder(tmp_path, rng, pairs=12)
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    report = check_dataset(folder)
    assert len(found(report, "unreadable files")) == 12
    page = str(report)
    assert "ERROR  unreadable files (12)" in page
    assert "... and 7 more; `report.findings` has them all" in page
    assert page.count("cannot be read") == 5


def test_the_page_keeps_to_100_columns(split_folder):
    (split_folder / "classes.txt").write_text("road\ncar\n")
    damage(split_folder / "train" / "images" / "0.png", "text")
    assert max(map(len, str(check_dataset(split_folder)).splitlines()[1:])) <= 100


def test_the_modules_of_the_doctor_are_there_before_they_are_used():
    script = (
        "from kerasseg.datasets import doctor\n"
        "for name in ('batch', 'dataset', 'judge', 'report'):\n"
        "    assert name in dir(doctor), name\n"
        "    assert getattr(doctor, name).__name__.endswith(name), name\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
