"""Downloads that fail: in time, and with one line. No test touches the network."""

import functools
import socket
import threading
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


@pytest.mark.parametrize(
    "error", [ValueError("something else"), OSError(28, "No space left on device")]
)
def test_other_errors_pass(error):
    def build(weights, include_top):
        raise error

    with pytest.raises(type(error), match=str(error.args[-1])) as passed:
        download(build, "VGG16", include_top=False)
    assert passed.value is error


def test_a_wrong_encoder_is_refused_before_any_download(monkeypatch):
    monkeypatch.setattr(downloads, "download", lambda *args, **kwargs: pytest.fail("downloads"))
    arguments = {"encoder_weights": "imagenet"}
    with pytest.raises(ValueError, match=r"must be .*'vgg16', 'resnet101'.*encoder='resnet50'"):
        models.deeplab_v2((65, 65, 3), 2, encoder="resnet50", **arguments)
    with pytest.raises(ValueError, match="Received: encoder='vgg16'"):
        models.pspnet((65, 65, 3), 2, encoder="vgg16", **arguments)


def test_the_opener_of_before_is_back_afterwards():
    before = urllib.request._opener
    with deadline(1):
        assert urllib.request._opener is not before
    assert urllib.request._opener is before


def test_two_threads_at_once_leave_the_opener_of_before():
    before = urllib.request._opener
    entered, left = threading.Event(), threading.Event()

    def first():
        with deadline(1):
            entered.set()
            left.wait(0.2)  # the other one waits meanwhile

    def second():
        entered.wait()
        with deadline(1):
            left.set()

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert urllib.request._opener is before


def test_the_deadline_is_not_for_other_threads(monkeypatch):
    asked = []

    class Recorder:
        def open(self, url, data, timeout):
            asked.append(timeout)

    monkeypatch.setattr(urllib.request, "build_opener", Recorder)
    monkeypatch.setattr(urllib.request, "_opener", None)
    with deadline(1):
        ask = functools.partial(urllib.request.urlopen, "http://kerasseg.invalid", timeout=60)
        other = threading.Thread(target=ask)
        other.start()
        other.join()
        ask()
    assert asked == [60, 1]


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
