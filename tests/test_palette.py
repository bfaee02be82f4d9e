"""Colours that share a figure can be told apart, by the colour-blind too."""

from itertools import combinations

import numpy as np
import pytest

from kerasseg import palette
from kerasseg.datasets import camvid, cityscapes, digits, nuclei, pets, street_drawing

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE TVCG 2009, severity 1.0; they apply to linear RGB.
SIMULATIONS = {
    "normal": np.eye(3),
    "protanopia": [
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ],
    "deuteranopia": [
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ],
}
# IEC 61966-2-1 (sRGB) to CIE XYZ with the white point D65.
TO_XYZ = np.array(
    [
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    ]
)
NEEDED = 12
VOID = ("void", (0, 0, 0))


def lab(colours, simulation="normal"):
    """CIELAB 1976 of colours 0 to 255, as somebody sees them."""
    srgb = np.asarray(colours, float) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SIMULATIONS[simulation]), 0, 1)
    t = seen @ TO_XYZ.T / TO_XYZ.sum(1)
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def too_near(named, simulation):
    return [
        (one, other, round(float(np.linalg.norm(a - b)), 1))
        for (one, a), (other, b) in combinations(
            zip([name for name, _ in named], lab([colour for _, colour in named], simulation)), 2
        )
        if np.linalg.norm(a - b) < NEEDED
    ]


def from_hex(text):
    return tuple(bytes.fromhex(text[1:]))


FIGURES = {
    "street classes": [*palette.CLASSES.items(), VOID],
    "cityscapes": [*zip(cityscapes.CLASS_NAMES, cityscapes.COLOURS), VOID],
    "camvid": [*zip(camvid.CLASS_NAMES, camvid.COLOURS), VOID],
    "street_scenes": [*zip(street_drawing.CLASS_NAMES, street_drawing.COLOURS), VOID],
    "pets": [*enumerate(pets.COLOURS)],
    "nuclei": [*enumerate(nuclei.COLOURS)],
    "digits": [*enumerate(digits.COLOURS)],
    "curves": [(text, from_hex(text)) for text in palette.CURVES],
}


@pytest.mark.parametrize("simulation", SIMULATIONS)
@pytest.mark.parametrize("figure", FIGURES)
def test_any_two_colours_of_a_figure_can_be_told_apart(figure, simulation):
    assert too_near(FIGURES[figure], simulation) == []


@pytest.mark.parametrize(
    ("names", "colours"),
    [
        (cityscapes.CLASS_NAMES, cityscapes.COLOURS),
        (camvid.CLASS_NAMES, camvid.COLOURS),
        (street_drawing.CLASS_NAMES, street_drawing.COLOURS),
    ],
)
def test_a_class_has_one_colour_whatever_the_data_set(names, colours):
    for name, colour in zip(names, colours):
        assert tuple(colour) == palette.CLASSES[palette.SYNONYMS.get(name, name)]


def test_colours_as_they_were_published_cannot_all_be_told_apart():
    """What the test above is for, and that it can fail."""
    wall, sky, vegetation, person = (102, 102, 156), (70, 130, 180), (107, 142, 35), (220, 20, 60)
    near = [
        float(np.linalg.norm(np.subtract(*lab(pair, "deuteranopia"))))
        for pair in ((wall, sky), (vegetation, person))
    ]
    assert max(near) < NEEDED


def test_lab_is_that_of_the_standard():
    np.testing.assert_allclose(
        lab([(255, 255, 255), (0, 0, 0)]), [(100, 0, 0), (0, 0, 0)], atol=0.1
    )
    np.testing.assert_allclose(lab([(255, 0, 0)]), [(53.24, 80.09, 67.20)], atol=0.05)


def test_grey_is_grey_to_everybody():
    for simulation in SIMULATIONS:
        np.testing.assert_allclose(
            lab([(120, 120, 120)], simulation), lab([(120, 120, 120)]), atol=0.1
        )


def test_a_class_without_a_colour_is_refused():
    with pytest.raises(ValueError, match=r"Received: \['cloud'\]"):
        palette.class_colours(["sky", "cloud"])
