"""Downloads that fail: in time, and with one line. No test touches the network."""

import socket
import time
import urllib.request

import keras
import pytest

from kerasseg import models
from kerasseg.models import downloads
from kerasseg.models.downloads import deadline, download


@pytest.fixture
def silent_server(monkeypatch, tmp_path):
    """The address of a server that accepts every connection and never answers."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/weights.h5"


def vgg16_from(origin):
    """A function like `keras.applications.VGG16`, whose weights lie elsewhere."""

    def build(weights, include_top):
        return keras.utils.get_file("weights.h5", origin, cache_subdir="models")

    return build


def test_a_server_that_never_answers_ends_in_a_line_that_says_what_to_do(
    silent_server, monkeypatch, tmp_path
):
    monkeypatch.setattr(downloads, "SECONDS", 0.3)
    monkeypatch.setattr(keras.applications, "VGG16", vgg16_from(silent_server))
    start = time.monotonic()
    with pytest.raises(ConnectionError) as failed:
        models.segnet((32, 32, 3), 2, encoder_weights="imagenet")
    assert time.monotonic() - start < 5
    message = str(failed.value)
    assert "\n" not in message
    assert "is a download, which failed: URL fetch failure on http://127.0.0.1" in message
    assert "keras.applications.VGG16(include_top=False).save('vgg16.keras')" in message
    assert not list(tmp_path.rglob("weights.h5*"))


def test_the_deadline_is_below_ten_seconds():
    assert downloads.SECONDS < 10


def test_a_name_that_is_looked_up_for_too_long_counts_as_no_answer(monkeypatch):
    class Slow:
        def open(self, *args):
            time.sleep(3)

    monkeypatch.setattr(urllib.request, "build_opener", Slow)
    with deadline(0.2), pytest.raises(OSError, match=r"no answer in 0\.2 seconds"):
        urllib.request.urlopen("http://kerasseg.invalid")


@pytest.mark.parametrize(
    "error", [TimeoutError("timed out"), Exception("URL fetch failure on x: None -- refused")]
)
def test_a_download_that_breaks_off_says_the_same(error):
    def build(weights, include_top):
        raise error

    with pytest.raises(ConnectionError, match=f"failed: {error}. Where there.*ResNet50") as failed:
        download(build, "ResNet50", include_top=False)
    assert failed.value.__cause__ is error


def test_other_errors_pass():
    def build(weights, include_top):
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        download(build, "VGG16", include_top=False)


def test_the_opener_of_before_is_back_afterwards():
    before = urllib.request._opener
    with deadline(1):
        assert urllib.request._opener is not before
    assert urllib.request._opener is before


def test_an_answer_in_time_is_passed_on(tmp_path):
    (tmp_path / "file").write_bytes(b"weights")
    with deadline(5):
        assert urllib.request.urlopen((tmp_path / "file").as_uri()).read() == b"weights"


def test_the_file_that_the_line_asks_for_is_taken(tmp_path, monkeypatch):
    theirs = keras.applications.VGG16(weights=None, include_top=False)
    theirs.save(tmp_path / "vgg16.keras")
    monkeypatch.chdir(tmp_path)
    model = models.segnet((32, 32, 3), 2, encoder_weights="vgg16.keras")
    kernels = (
        m.get_layer(name).get_weights()[0]
        for m, name in ((model, "encoder5_conv3"), (theirs, "block5_conv3"))
    )
    first, second = kernels
    assert (first == second).all()
