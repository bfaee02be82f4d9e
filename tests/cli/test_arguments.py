"""Numbers on the command line: read, or refused with what was expected."""

import argparse

import pytest

from kerasseg import models
from kerasseg.inference import export
from kerasseg_command import arguments, train
from kerasseg_command.export import FORMATS


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (arguments.positive_integer, "8", 8),
        (arguments.positive_number, "0.25", 0.25),
        (arguments.share, "0", 0.0),
        (arguments.seed, "0", 0),
    ],
)
def test_what_fits_is_read(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (arguments.positive_integer, "0", "a whole number of at least 1"),
        (arguments.positive_integer, "1.5", "a whole number of at least 1"),
        (arguments.positive_number, "inf", "a number above 0"),
        (arguments.positive_number, "nan", "a number above 0"),
        (arguments.share, "1.01", "a number from 0 to 1"),
        (arguments.seed, "4294967296", "a whole number from 0, below 2"),
    ],
)
def test_the_rest_is_refused_with_what_was_expected(read, text, expected):
    with pytest.raises(argparse.ArgumentTypeError, match=rf"expected {expected}.*Received: {text}"):
        read(text)


def test_every_model_that_can_be_trained_exists():
    assert set(train.MODELS) <= set(models.__all__)


def test_the_formats_are_those_of_export_model():
    assert set(FORMATS) == set(export.FORMATS)
