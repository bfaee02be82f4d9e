"""Data sets of TensorFlow Datasets: its real code, on random images or on the real MNIST."""

import http.server
import re
import socket
import threading
import time
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasseg import datasets
from kerasseg.datasets import cityscapes, from_tfds, pets

SMALL = {"image_size": (24, 32), "batch_size": 4, "augment": False}


@pytest.mark.parametrize("name", ["oxford_iiit_pet", "cityscapes"])
def test_batches_have_the_types_and_ranges_of_the_conventions(name, no_network):
    with no_network(num_examples=6):
        images, labels = next(iter(datasets.load(name, **SMALL).train))
    assert images.shape == (4, 24, 32, 3)
    assert labels.shape == (4, 24, 32)
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int32)
    assert 0 <= images.numpy().min() <= images.numpy().max() <= 1


@pytest.mark.parametrize("module", [pets, cityscapes])
def test_every_class_has_a_name_and_a_colour_of_its_own(module):
    assert len(set(module.CLASS_NAMES)) == len({tuple(c) for c in module.COLOURS.tolist()})
    assert module.COLOURS.shape == (len(module.CLASS_NAMES), 3)


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("oxford_iiit_pet", {"train", "test"}),
        ("cityscapes", {"train", "validation"}),
        ("mnist", {"train", "test"}),
        ("fashion_mnist", {"train", "test"}),
    ],
)
def test_whole_splits_of_tfds_are_read_and_none_twice(name, splits, no_network):
    builder = tfds.core.DatasetBuilder
    with (
        no_network(num_examples=12),
        mock.patch.object(
            builder, "as_dataset", autospec=True, side_effect=builder.as_dataset
        ) as as_dataset,
    ):
        datasets.load(name, image_size=(24, 32))
    asked = [call.kwargs["split"] for call in as_dataset.call_args_list]
    assert sorted(asked) == sorted(splits)


@pytest.mark.parametrize("name", ["fashion_mnist", "oxford_iiit_pet", "cityscapes"])
def test_a_data_set_that_is_not_there_and_not_to_be_downloaded_says_so(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{name}.* is not prepared in .*download=True"):
        datasets.load(name, data_dir=tmp_path, download=False)


def test_encoded_records_decode_to_the_pictures_of_the_plain_ones(real_tfds):
    builder = from_tfds.prepared("mnist", real_tfds, download=False)
    plain = from_tfds.records(builder, "test").take(20)
    encoded_records = from_tfds.encoded_records(builder, "test", ("image",)).take(20)
    for record, encoded_record in zip(plain, encoded_records):
        assert list(encoded_record) == ["image"]
        (image,) = from_tfds.decode(encoded_record, builder, ("image",))
        np.testing.assert_array_equal(image, record["image"])


def test_an_absent_server_is_told_in_one_line_within_ten_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(from_tfds, "answers", lambda url: False)
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as caught:
        datasets.load("oxford_iiit_pet", data_dir=tmp_path)
    assert time.monotonic() - start < 10
    message = str(caught.value)
    assert re.search("thor.robots.ox.ac.uk cannot be reached.*or pass `data_dir`, a", message)
    assert "\n" not in message


def test_a_server_that_is_silent_is_waited_for_no_longer_than_patience(monkeypatch):
    monkeypatch.setattr(from_tfds, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        start = time.monotonic()
        assert not from_tfds.answers(f"http://127.0.0.1:{server.getsockname()[1]}/file")
        assert time.monotonic() - start < 3
    assert not from_tfds.answers("http://127.0.0.1:1/file")


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_error(403)

    def log_message(self, *arguments):
        pass


def test_a_server_that_answers_anything_is_there():
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert from_tfds.answers(f"http://127.0.0.1:{server.server_port}/file")


def test_files_that_were_downloaded_before_need_no_server(tmp_path):
    builder = tfds.builder("oxford_iiit_pet", data_dir=tmp_path)
    images, annotations = ("images.tar.gz", "annotations.tar.gz")
    urls = {url.rpartition("/")[2]: url for url in from_tfds.urls_to_fetch(builder)}
    assert urls.keys() == {images, annotations}
    folder = tmp_path / "downloads" / "oxford_iiit_pet"
    folder.mkdir(parents=True)
    with open(folder / "any_name", "wb") as file:
        file.truncate(builder.url_infos[urls[images]].size)
    assert from_tfds.urls_to_fetch(builder) == [urls[annotations]]
