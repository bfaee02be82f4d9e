"""Docstrings are written in Markdown's manner; autodoc reads reStructuredText."""

import re


def to_rst(app, what, name, obj, options, lines):
    """Turns code in backticks, fences and indented formulas into what Sphinx understands."""
    text = "\n".join(lines)
    parts = re.split(r"^( *)```\w*\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    rst = [prose(parts[0])]
    for indent, code, after in zip(parts[1::3], parts[2::3], parts[3::3]):
        rst.append(f"{indent}.. code-block:: text\n\n")
        rst += [f"   {line}\n" if line.strip() else "\n" for line in code.splitlines()]
        rst.append(prose(after))
    lines[:] = "".join(rst).splitlines()


def prose(text):
    text = re.sub(r"(?<![`\w])`([^`\n]+(?:\n[^`\n]+)?)`(?!`)", r"``\1``", text)
    # Of two lines that begin with "Input shape:" and "Output shape:", each is a paragraph.
    return re.sub(r"\n( *)(?=(Output shape|Input shape|Returns|Call): ``)", r"\n\n\1", text)
