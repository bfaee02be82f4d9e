"""Where a command may write: nothing goes into a folder that it reads."""

from pathlib import Path


def check_outside(output, folder):
    """Raises `ValueError` if an output lies in a folder of inputs, or is that folder.

    What is written there would be an input of the next command. Links are followed.

    Args:
        output: A path, of something that need not exist.
        folder: The folder that is read.
    """
    inside, outer = Path(output).resolve(), Path(folder).resolve()
    if inside.is_relative_to(outer):
        raise ValueError(
            f"--output must not lie in a folder that is read, here {folder}. Received: {output}. "
            "Choose a folder beside it."
        )
