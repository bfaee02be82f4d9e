"""Whether `import kerasseg` imports Keras as well.

It does everywhere but in the process of a command that needs no Keras: `kerasseg check` without a
model would wait several seconds for a backend that it never uses. `main` decides before it imports
`kerasseg`; called with arguments, from a program that may load a model later, it leaves Keras in.
"""

with_keras = True


def needs_keras(command, options):
    """Whether a command builds, loads or trains a model.

    Args:
        command: Its name.
        options: What was parsed of the command line.

    Example:

    >>> needs_keras("convert", None)
    False
    """
    if command == "check":
        return options.model is not None
    lists_chapters = command == "chapters" and options.action is None
    return command != "convert" and not lists_chapters
