"""Docstrings are written in Markdown's manner; autodoc reads reStructuredText."""

import re

from generate import reference

FENCE = re.compile(r"^( *)```\w*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<![`\w\\])`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
TABLE = re.compile(r"(?:^ *\|.*\|\n?)+", re.MULTILINE)
SECTION = re.compile(r"^(Args|Call arguments|Returns|Raises|Attributes|Yields):$")


def to_rst(app, what, name, obj, options, lines):
    """Turns code in backticks, fences, tables and formulas into what Sphinx understands."""
    if what == "data":  # its docstring is that of dict
        lines[:] = []
        return
    text = TABLE.sub(table, "\n".join(lines))
    parts = FENCE.split(text)
    rst = [prose(parts[0], name)]
    for indent, code, after in zip(parts[1::3], parts[2::3], parts[3::3]):
        rst.append(f"{indent}.. code-block:: text\n\n")
        rst += [f"   {line}\n" if line.strip() else "\n" for line in code.splitlines()]
        rst.append(prose(after, name))
    lines[:] = "".join(rst).splitlines()


def table(match):
    """A table of Markdown as one of reStructuredText."""
    lines = match[0].splitlines()
    indent = " " * (len(lines[0]) - len(lines[0].lstrip()))
    rst = [".. list-table::", "   :header-rows: 1", ""]
    for line in [lines[0], *lines[2:]]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        rst += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
    return "".join(f"{indent}{line}\n" for line in rst)


def prose(text, name):
    """Code becomes literal, or a link if it names a public object; formulas keep their lines."""

    def code(match):
        words = " ".join(match[1].split())
        target = reference.linked_names().get(words.removesuffix("()"))
        is_link = target and target != name
        markup = f":py:obj:`{words} <{target}>`" if is_link else f"``{words}``"
        behind = match.string[match.end() : match.end() + 1]
        return markup + ("\\ " if behind.isalnum() else "")  # `Region`s

    blocks, in_section = [], False
    for block in re.split(r"(\n *\n)", text):
        lines = [line for line in block.splitlines() if line.strip()]
        if lines and not lines[0].startswith(" "):
            in_section = bool(SECTION.match(lines[0]))
        if lines and all(line.startswith("    ") for line in lines) and not in_section:
            blocks.append("::\n\n" + block)
        elif lines and lines[0].lstrip().startswith(">>>"):
            blocks.append(block)
        else:
            parts = re.split(r"(``.*?``|:py:obj:`[^`]*`)", CODE.sub(code, block))
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]  # an absolute value
            blocks.append("".join(parts))
    text = "".join(blocks)
    # Of lines that begin with "Input shape:" and "Output shape:", each is a paragraph.
    return re.sub(r"\n( *)(?=(Output shape|Input shape): )", r"\n\n\1", text)
