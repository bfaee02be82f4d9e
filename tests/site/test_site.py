"""What the site's build takes from the repository; no browser is needed."""

import sys
from pathlib import Path

import pytest

from tests.site.browser import HTML

pytestmark = pytest.mark.site

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))


def test_every_public_object_has_a_page():
    from tests.test_docstrings import public_objects

    documented = {path.stem for path in (HTML / "reference").glob("kerasseg.*.html")}
    from generate.reference import entries

    names = {
        f"{e.value.__module__}.{e.value.__qualname__}": e.path
        for e in entries().values()
        if e.kind != "data"
    }
    hidden = {name for name in public_objects() if "keras_internals" in name}
    missing = {name for name in public_objects() if names.get(name) not in documented} - hidden
    assert missing == set()


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    from generate.checks import problems

    (tmp_path / "a.html").write_text('<a href="b.html#x">b</a> <img src="c.png" alt="">')
    (tmp_path / "b.html").write_text('<p id="y">')
    assert problems(tmp_path) == [
        "a.html: c.png has no alternative text",
        "a.html: b.html#x leads to a page without this anchor",
        "a.html: c.png leads nowhere",
    ]


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".a .b, .a { top: 0 }", ".a{top: 0}"),
        (".b { top: 0 } p > i { top: 1px }", "p > i{top: 1px}"),
        ("@media print { .b { top: 0 } } .a{}", ".a{}"),
        (
            '@charset "utf-8"; .a:not(.b)::after { content: "}" }',
            '@charset "utf-8";.a:not(.b)::after{content: "}"}',
        ),
        (":is(.a, .b) i { top: 0 }", ":is(.a, .b) i{top: 0}"),
        ("@keyframes b { from { top: 0 } }", "@keyframes b{from { top: 0 }}"),
    ],
)
def test_rules_that_no_page_can_use_are_left_out(css, kept):
    from generate.lean import without_unused

    assert without_unused(css, {"a"}) == kept


def test_the_table_of_models_has_the_papers_numbers():
    from generate import models

    entry = models.row("unet")
    assert (entry.year, entry.parameters, entry.stride, entry.field) == (2015, 31_030_658, 16, 140)
    assert entry.deviations.startswith("batch normalization after each 3x3 convolution")
    assert (models.row("segnet").stride, models.row("segnet").field) == (32, 212)
    assert (models.row("dilatednet").field, models.row("deeplab_v1").field) == (908, 435)


@pytest.mark.parametrize("name", ["deeplab_v3", "pspnet"])
def test_operations_are_half_of_what_tensorflow_counts(name):
    """TensorFlow counts two operations for each multiplication of a convolution."""
    import keras
    import tensorflow as tf
    from tensorflow.python.profiler import model_analyzer, option_builder

    from generate import models
    from kerasseg import models as networks

    model = getattr(networks, name)((97, 129, 3), 11, width=0.25)
    function = tf.function(model).get_concrete_function(tf.TensorSpec((1, 97, 129, 3)))
    options = option_builder.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    nodes = model_analyzer.profile(function.graph, options=options)
    counted = nodes.total_float_ops
    ours = sum(models.operations(call) for call in models.all_calls(model))
    assert keras.backend.backend() == "tensorflow"
    assert counted == pytest.approx(2 * ours, rel=0.02)
