"""The `kerasseg` script: reads the command line first, and imports Keras after that.

`import kerasseg` imports Keras and its backend: seconds, and under TensorFlow lines of its own.
Neither belongs in front of `kerasseg --help`. So the package is put in place here without what its
`__init__` does, which follows when there is a command to run.
"""

import contextlib
import importlib.util
import os
import sys


def main():
    """Runs the command that the process was started with, and returns its exit code."""
    spec = importlib.util.find_spec("kerasseg")
    sys.modules["kerasseg"] = package = importlib.util.module_from_spec(spec)
    from kerasseg import cli

    options = cli.parse(None)
    with contextlib.nullcontext() if "TF_CPP_MIN_LOG_LEVEL" in os.environ else without_stderr():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        spec.loader.exec_module(package)
    return cli.run(options)


@contextlib.contextmanager
def without_stderr():
    """TensorFlow 2.21 writes a few lines as it loads that no setting hides."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
