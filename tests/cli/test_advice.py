"""What the library advises, in the words of the command line."""

import importlib

import pytest

from kerasseg.models import unet
from kerasseg.models.downloads import download

main = importlib.import_module("kerasseg_command.main")


def test_a_failed_download_speaks_of_the_option(capsys):
    def build(**arguments):
        raise TimeoutError("timed out")

    with pytest.raises(ConnectionError) as failed:
        download(build, "VGG16", include_top=False)
    main.say("error", failed.value)
    told = capsys.readouterr().err
    assert "error: `--encoder-weights 'imagenet'` is a download, which failed: timed out." in told
    assert told.endswith("and pass --encoder-weights 'vgg16.keras'.\n")


def test_weights_without_an_encoder_speak_of_the_options(capsys):
    with pytest.raises(ValueError, match="need an `encoder`") as failed:
        unet((32, 32, 3), 2, encoder_weights="imagenet")
    main.say("error", failed.value)
    told = capsys.readouterr().err
    assert "encoder_weights" not in told
    assert "--encoder-weights 'imagenet'" in told
    assert "Pass --encoder vgg16" in told
