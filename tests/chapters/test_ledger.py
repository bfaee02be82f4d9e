"""Tables, claims and the results page of an experiment."""

import datetime
import json
import runpy
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.chapters.page import CHAPTERS

LEDGER = runpy.run_path(str(CHAPTERS / "experiments" / "ledger.py"))
Experiment = LEDGER["Experiment"]
CARD = {"data": "d", "licence": "CC0", "recipe": "r", "scores": "0.5", "seed": 3}


@pytest.fixture
def make(tmp_path, monkeypatch):
    def make(*words):
        monkeypatch.setattr(sys, "argv", ["x.py", *words, "--output", str(tmp_path / "out")])
        settings = {"image_size": (96, 128), "data_dir": None}
        return Experiment("ch00_test", "A test", quick={}, full={}, **settings)

    return make


def test_a_measurement_that_is_no_number_is_null_in_the_file(make, tmp_path):
    chapter = make()
    chapter.empirical("none", measured=float("nan"), expected="a score", holds=False, source="")
    chapter.finish()
    assert json.loads((tmp_path / "out" / "claims.json").read_text())[0]["measured"] is None


def test_claims_are_written_as_the_design_says(make, tmp_path):
    chapter = make()
    chapter.exact("a count", measured=np.int64(3), expected=3, source="paper", unit="weights")
    chapter.empirical(
        "a score",
        measured=np.float32(0.5),
        expected="above 0.9",
        holds=False,
        spread=0.1,
        source="book",
    )
    chapter.finish()
    exact, empirical = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert exact == {
        "chapter": "ch00_test",
        "claim": "a count",
        "kind": "exact",
        "expected": 3,
        "measured": 3,
        "spread": None,
        "unit": "weights",
        "holds": True,
        "source": "paper",
    }
    assert (empirical["holds"], empirical["spread"], empirical["kind"]) == (False, 0.1, "empirical")


def test_a_results_page_says_how_it_was_made_and_shows_claims_and_figures(make, tmp_path):
    chapter = make("--quick", "--image-size", "5", "7", "--data-dir", "/home/somebody/data")
    chapter.figure(Figure(), "picture", "What it shows.")
    chapter.table(("net", "IoU"), [("a", 0.5)], "What it says.")
    chapter.exact("|a|, a count", measured=3000, expected=3000, source="paper", unit="weights")
    chapter.finish()
    page = (tmp_path / "out" / "results.md").read_text()
    command = "python chapters/experiments/ch00_test.py --quick --image-size 5 7 --data-dir PATH"
    for line in (
        "# A test",
        f"- command: `{command}`",
        f"- date: {datetime.date.today().isoformat()}",
        "| a | 0.5 |",
        "What it says.",
        "| holds | /a/, a count | 3,000 | 3,000 weights |",
        "![picture](picture.png)",
        "What it shows.",
    ):
        assert line in page.splitlines()
    assert f"keras {keras.__version__}" in page


def test_an_exact_claim_that_does_not_hold_fails_the_script_after_writing(make, tmp_path, capsys):
    chapter = make()
    chapter.exact("two and two", measured=5, expected=4, source="arithmetic")
    with pytest.raises(SystemExit, match="does not hold: two and two"):
        chapter.finish()
    assert json.loads((tmp_path / "out" / "claims.json").read_text())[0]["holds"] is False
    assert "FAILS" in capsys.readouterr().out


def test_a_tolerance_lets_a_measurement_differ_by_as_much(make):
    chapter = make()
    for measured in (1.05, 1.2, float("nan")):
        chapter.exact("near", measured=measured, expected=1.0, tolerance=0.1, source="")
    assert [claim["holds"] for claim in chapter.claims] == [True, False, False]


def test_a_page_begins_with_the_question_and_its_answer(make, tmp_path):
    chapter = make()
    chapter.conclude("Does it hold?", "It does.")
    chapter.finish()
    lines = (tmp_path / "out" / "results.md").read_text().splitlines()
    assert lines[:3] == ["# A test", "", "**Does it hold?** It does."]


def test_a_kept_model_has_no_optimizer_and_a_card(make, tmp_path, rng):
    chapter = make("--data-dir", "/home/somebody/data")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    chapter.keep(model, **CARD)
    kept = keras.saving.load_model(tmp_path / "out" / "model.keras")
    x = rng.uniform(size=(4, 3)).astype("float32")
    np.testing.assert_array_equal(kept(x), model(x))
    assert not kept.compiled
    card = (tmp_path / "out" / "card.md").read_text()
    for line in (
        "# A test: the model",
        "- licence: CC0",
        "- seed: 3",
        "- command: `python chapters/experiments/ch00_test.py --data-dir PATH`",
        "- weights: 8 float32",
    ):
        assert line in card.splitlines()


def test_a_card_without_a_licence_is_refused(make):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    card = {key: value for key, value in CARD.items() if key != "licence"}
    with pytest.raises(ValueError, match=r"`card` needs data, licence.* Received: data, recipe"):
        make().keep(model, **card)


def test_cpu_seconds_are_logged_and_added_up():
    seconds = LEDGER["CpuSeconds"]()
    logs = {}
    seconds.on_epoch_begin(0)
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass
    seconds.on_epoch_end(0, logs)
    assert 0.2 <= logs["cpu_seconds"] < 0.5
    run = SimpleNamespace(state={"history": [{"cpu_seconds": 90.0}, {"cpu_seconds": 30.0}]})
    assert LEDGER["cpu_minutes"](run) == 2.0
