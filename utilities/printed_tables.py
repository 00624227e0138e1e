"""Prints tables: with rules in a terminal, as plain aligned columns of any width into a pipe."""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

# A pipe has no width; without this one rich would fold lines at 80 columns.
_PIPE_WIDTH = 1000


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> None:
    """Print a table; the first `texts` columns are aligned left, the others, which hold numbers, right."""
    ruled = sys.stdout.isatty()
    # Names are printed literally, and escape codes into a terminal only.
    console = Console(width=None if ruled else _PIPE_WIDTH, markup=False, emoji=False, highlight=False)
    table = Table(box=box.SIMPLE_HEAD if ruled else None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < texts else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if not ruled:
        console.print()
