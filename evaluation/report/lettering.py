"""Names in the page's plots: how much room they take, and how they are cut to the room there is.

The page sets them in the reader's font. Matplotlib's own, DejaVu Sans, is wider than those that systems set pages in,
so what fits by its letters fits the page.
"""

import unicodedata

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

_LONGEST = 100


def width_of(text: str, size: float) -> float:
    """Return the width of a text in points; wide letters, which DejaVu Sans lacks, are as wide as high."""
    known = "".join(character for character in text if not _is_wide(character))
    width, _, _ = text_to_path.get_text_width_height_descent(known, FontProperties(size=size), ismath=False)
    return float(width) + size * (len(text) - len(known))


def shortened(name: str, size: float, widest: float) -> str:
    """Return a name no wider than so many points, cut in its middle: names often differ at one end only.

    What cannot be printed becomes a space, and so does an underscore.
    """
    ends = name if len(name) <= _LONGEST else name[: _LONGEST // 2] + name[-_LONGEST // 2 :]
    printable = "".join(character if character.isprintable() else " " for character in ends)
    text = printable.replace("_", " ").strip() or "-"
    if len(name) <= _LONGEST and width_of(text, size) <= widest:
        return text
    cuts = (f"{text[: -(-kept // 2)]}…{text[len(text) - kept // 2 :]}" for kept in range(len(text) - 1, 0, -1))
    return next((cut for cut in cuts if width_of(cut, size) <= widest), "…")


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
