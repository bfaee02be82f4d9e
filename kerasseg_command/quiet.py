"""Imports without the lines that TensorFlow writes as it starts."""

import contextlib
import importlib
import logging
import os


@contextlib.contextmanager
def quiet_imports(tensorflow=True):
    """Hides what the imports in the block write to standard error; later only errors are shown.

    TensorFlow writes several lines as it is imported, some of which no setting hides. It is
    imported at the end of the block, so that nothing imports it later; not so with
    `tensorflow=False`, for what can do without it. With `TF_CPP_MIN_LOG_LEVEL` in the environment,
    that setting decides and nothing else is hidden. Exceptions pass.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with hidden_stderr():
        yield
        if tensorflow:
            with contextlib.suppress(ImportError):
                importlib.import_module("tensorflow")


@contextlib.contextmanager
def hidden_stderr():
    """Sends standard error nowhere, that of C++ code included."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
