"""Writing a file whole or not at all."""


def write_atomically(path, text):
    """Writes a text file under a passing name, then gives it its own."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
