"""Tables as plain text."""

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasseg_command.terminal import escaped


def table(rows, right=()):
    """Rows of cells as aligned text, with two spaces between columns.

    Lines are as long as the cells need: nothing is wrapped, and there are neither colour codes nor
    trailing spaces, so the text can be printed, logged and compared.

    Args:
        rows: The header, then the other rows; any number of equally long sequences. A cell may be
            any object; `str` turns it into text, and control characters are spelled out.
        right: The indices of the columns that are aligned to the right, such as numbers.

    Returns:
        The text, without a newline at its end.

    Raises:
        ValueError: If the rows differ in length.

    Example:

    >>> print(table([("class", "IoU"), ("road", "0.91"), ("sky", "10.4")], right=[1]))
    class   IoU
    road   0.91
    sky    10.4
    """
    rows = [[Text(escaped(cell)) for cell in row] for row in rows]
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ValueError(f"All rows need the same number of cells. Received: numbers={lengths}")
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    for i in range(lengths[0] if lengths else 0):
        grid.add_column(no_wrap=True, justify="right" if i in right else "left")
    for row in rows:
        grid.add_row(*row)
    widths = (max(cell.cell_len for cell in column) for column in zip(*rows))
    page = io.StringIO()
    console = Console(
        file=page,
        width=sum(4 + width for width in widths) + 4,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
    )
    console.print(grid)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())
