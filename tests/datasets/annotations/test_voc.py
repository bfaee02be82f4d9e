"""Pascal VOC: palettes, colours and ids, lists, and values of no class."""

import numpy as np
import pytest
from PIL import Image

from kerasseg.datasets.annotations import voc
from kerasseg.datasets.annotations.conversion import convert
from kerasseg.datasets.masks import voc_colours
from tests.datasets.annotations import sources


def rewrite(source, how):
    for path in sorted((source / "SegmentationClass").iterdir()):
        how(np.asarray(Image.open(path))).save(path)


def grey(ids):
    return Image.fromarray(ids)


def coloured(ids):
    return Image.fromarray(np.array(voc_colours(256), "uint8")[ids])


@pytest.mark.parametrize("how", [grey, coloured])
def test_masks_may_be_grey_or_in_colours(tmp_path, how):
    source = sources.voc(tmp_path / "s")
    rewrite(source, how)
    assert convert(source, tmp_path / "out").findings == []
    for name in sources.SIZES:
        mask = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{name}.png"))
        np.testing.assert_array_equal(mask, sources.label_map(name))


def test_without_a_list_the_classes_are_those_of_voc(tmp_path):
    source = sources.voc(tmp_path / "s")
    (source / "labelmap.txt").unlink()
    result = convert(source, tmp_path / "out")
    assert result.names == voc.NAMES
    assert len(voc.NAMES) == 21


def test_255_stays_void(tmp_path):
    source = sources.voc(tmp_path / "s")

    def with_outline(ids):
        ids = ids.copy()
        ids[0] = 255
        return grey(ids)

    rewrite(source, with_outline)
    result = convert(source, tmp_path / "out")
    assert result.pixels[255] == sum(width for _, width in sources.SIZES.values())
    assert result.findings == []


@pytest.mark.parametrize("how", [grey, coloured])
def test_values_of_no_class_are_void_and_reported(tmp_path, how):
    source = sources.voc(tmp_path / "s")

    def with_nine(ids):
        ids = ids.copy()
        ids[0, :2] = 9
        return how(ids)

    rewrite(source, with_nine)
    result = convert(source, tmp_path / "out")
    assert {finding.title for finding in result.findings} == {
        "names that are not on the list of classes"
    }
    assert result.pixels[255] == 6


def test_lists_are_splits_and_what_is_on_none_is_left_out(tmp_path):
    source = sources.voc(tmp_path / "s")
    lists = source / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    (lists / "trainval.txt").write_text("a\nb\n")
    result = convert(source, tmp_path / "out")
    assert result.images == {"train": 1, "validation": 1}
    assert [finding.path.name for finding in result.findings] == ["c.png"]


def test_names_on_a_list_without_files_are_an_error(tmp_path):
    source = sources.voc(tmp_path / "s")
    (source / "ImageSets" / "Segmentation").mkdir(parents=True)
    (source / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nz\n")
    result = convert(source, tmp_path / "out")
    assert "has no mask of z" in result.errors[0].message
    assert convert(source, tmp_path / "out", skip_damaged=True).images == {"train": 1}


def test_every_pixel_has_a_class_so_no_background_is_added(tmp_path):
    source = sources.voc(tmp_path / "s")
    (source / "labelmap.txt").write_text("road:0,0,0::\ncell:128,0,0::\ndebris:0,128,0::\n")
    assert convert(source, tmp_path / "out").names == ("road", "cell", "debris")
