"""Weights from the network, or one line that says what to do without one."""

import contextlib
import queue
import socket
import threading
import urllib.error
import urllib.request

SECONDS = 4  # until a server must have answered, and between two pieces of a file
OF_THE_NETWORK = (urllib.error.URLError, TimeoutError, ConnectionError, socket.gaierror)
ONE_AT_A_TIME = threading.RLock()  # `urllib` has one opener for all threads


def download(build, application, **arguments):
    """A `keras.applications` model with ImageNet weights, from Keras's cache or from the network.

    Args:
        build: The function of `keras.applications`.
        application: Its name.
        arguments: What else it takes.

    Raises:
        ConnectionError: if the weights cannot be downloaded, with another way to get them; after
            a few seconds if there is no answer.
    """
    try:
        with deadline(SECONDS):
            return build(weights="imagenet", **arguments)
    except Exception as error:  # Keras raises plain ones
        if not is_failed_download(error):
            raise
        call = f"{application}(include_top={arguments['include_top']})"
        file = f"{application.lower()}.keras"
        raise ConnectionError(
            f"`encoder_weights='imagenet'` is a download, which failed: {reason(error)}. Where "
            f"there is a network, run keras.applications.{call}.save('{file}'), bring it here "
            f"and pass encoder_weights='{file}'."
        ) from error


def is_failed_download(error):
    """Whether an error comes from the network: `get_file` of Keras hides it in a plain one."""
    return isinstance(error, OF_THE_NETWORK) or "URL fetch failure" in str(error)


def reason(error):
    """The first line of what went wrong, without a full stop."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error) else type(error).__name__


@contextlib.contextmanager
def deadline(seconds):
    """Every answer to `urllib` in this thread must begin within some seconds, name resolution too.

    A timeout of the socket would not do: it starts anew for every address of a server, and does not
    include the search for its address.
    """
    with ONE_AT_A_TIME:
        before, thread = urllib.request._opener, threading.get_ident()
        opener = before or urllib.request.build_opener()

        class Opener:
            def open(self, url, data=None, timeout=None):
                if threading.get_ident() != thread:
                    return opener.open(url, data, timeout)
                return within(seconds, lambda: opener.open(url, data, seconds))

        urllib.request.install_opener(Opener())
        try:
            yield
        finally:
            urllib.request.install_opener(before)


def within(seconds, ask):
    """What `ask()` returns or raises, or a `URLError` after some seconds."""
    answers, silence = queue.Queue(), urllib.error.URLError(f"no answer in {seconds} seconds")

    def put():
        try:
            answers.put((ask(), None))
        except TimeoutError:  # the socket's, which ends at the same time
            answers.put((None, silence))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=put, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        answer, error = None, silence
    if error is not None:
        raise error
    return answer
