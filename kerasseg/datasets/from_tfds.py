"""Data sets that TensorFlow Datasets prepares."""

import logging
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests
import tensorflow_datasets as tfds

PATIENCE = 5  # seconds to wait for a server's first answer
USE_DATA_DIR = "`data_dir`, a TensorFlow Datasets folder that holds it"


@contextmanager
def only_errors():
    """Hides the warnings of TensorFlow Datasets about a folder that it is going to fill."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@only_errors()
def prepared(name, data_dir, download):
    """The builder of a data set that is prepared in `data_dir`, downloaded first if allowed.

    Raises:
        FileNotFoundError: the data set is not there, and `download=False`, its server cannot be
            reached, or preparing it failed.
    """
    builder = tfds.builder(name, data_dir=data_dir)
    if builder.is_prepared():
        return builder
    if not download:
        raise FileNotFoundError(
            f"{name} is not prepared in {builder.data_dir}. Pass download=True to fetch it, or "
            f"{USE_DATA_DIR}."
        )
    url = next(iter(urls_to_fetch(builder)), None)
    if url and not answers(url):  # TensorFlow Datasets would ask ten times, for minutes

        def refuse(dl_manager):
            raise ConnectionError(
                f"{urlsplit(url).netloc} cannot be reached. Connect to the network, or pass "
                f"{USE_DATA_DIR}."
            )

        builder._split_generators = refuse
    try:
        builder.download_and_prepare()
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise FileNotFoundError(
            f"{name} could not be prepared in {builder.data_dir}: {reason}"
        ) from error
    return builder


def urls_to_fetch(builder):
    """The addresses of the files that have not been downloaded yet, told by their sizes."""
    downloads = Path(builder.data_dir_root, "downloads")
    there = {path.stat().st_size for path in downloads.rglob("*") if path.is_file()}
    return [url for url, info in (builder.url_infos or {}).items() if info.size not in there]


def answers(url):
    """Whether a server says anything, whatever it is, within `PATIENCE`.

    In a thread, as looking up a name has no time limit of its own.
    """
    heard = []

    def ask():
        with suppress(requests.RequestException):
            heard.append(requests.head(url, timeout=PATIENCE))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return bool(heard)


def records(builder, split):
    """One split as a `tf.data.Dataset` of dicts, always in the same order."""
    return builder.as_dataset(split=split, shuffle_files=False)


def encoded_records(builder, split, names):
    """Like `records`, with these images alone, still encoded: small enough to be shuffled."""
    decoders = tfds.decode.PartialDecoding(
        dict.fromkeys(names, True), decoders=dict.fromkeys(names, tfds.decode.SkipDecoding())
    )
    return builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)


def decode(record, builder, names):
    """The images of an encoded record, in this order."""
    return [builder.info.features[name].decode_example(record[name]) for name in names]
