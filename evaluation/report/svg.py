"""Turns Matplotlib's figures into SVG elements of the page, and measures and shortens names for them.

The page's Content-Security-Policy forbids style attributes, so each of their properties becomes an SVG attribute, and
each colour a class, which the page's style sheet defines for light and dark. The page sets text in the reader's font.
Matplotlib's DejaVu Sans is wider than system fonts, so that a name that fits by its widths fits the page.
"""

import io
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

INK, FAINT, GRID = "#010101", "#020202", "#030303"
RUNS = ("#110000", "#110001", "#110002", "#110003", "#110004", "#110005")
"""Placeholders of the page's colours: of text, of secondary text, of lines, and of each run."""

_CLASSES: Mapping[str, str] = {INK: "ink", FAINT: "faint", GRID: "grid"} | {
    colour: f"run{number}" for number, colour in enumerate(RUNS)
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"(?:(?P<weight>bold|\d{3})\s+)?(?P<size>[\d.]+)px\b.*")
_DROPPED = {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}
_LONGEST_NAME = 100


def width_of(text: str, size: float) -> float:
    """Return the width of a text in points; wide letters, which DejaVu Sans lacks, count as square."""
    known = "".join(character for character in text if unicodedata.east_asian_width(character) not in "WF")
    width, _, _ = text_to_path.get_text_width_height_descent(known, FontProperties(size=size), ismath=False)
    return float(width) + size * (len(text) - len(known))


def shortened(name: str, size: float, widest: float) -> str:
    """Return a name of at most `widest` points, cut in its middle: names often differ at one end only.

    Characters that cannot be printed and underscores become spaces.
    """
    half = _LONGEST_NAME // 2
    ends = name if len(name) <= _LONGEST_NAME else name[:half] + name[-half:]
    printable = "".join(character if character.isprintable() else " " for character in ends)
    text = printable.replace("_", " ").strip() or "-"
    if len(name) <= _LONGEST_NAME and width_of(text, size) <= widest:
        return text
    cuts = (f"{text[: -(-kept // 2)]}…{text[len(text) - kept // 2 :]}" for kept in range(len(text) - 1, 0, -1))
    return next((cut for cut in cuts if width_of(cut, size) <= widest), "…")


def markup(figure: Figure, name: str, label: str) -> Markup:
    """Return a figure as an `svg` element, an image with this label for screen readers.

    `name` begins its ids, which makes them unique in the page. ElementTree has escaped the figure's texts.
    """
    written = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata={"Date": None, "Creator": None, "Format": None})
    root = ElementTree.fromstring(written.getvalue())
    _clean(root)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": label, "class": "plot", "data-plot": name}
    _for_html(root, name)
    return Markup(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))


def _clean(element: ElementTree.Element) -> None:
    for child in list(element):
        if child.tag in _DROPPED:
            element.remove(child)
        else:
            _clean(child)
    properties = dict(part.split(":", 1) for part in element.attrib.pop("style", "").split(";") if ":" in part)
    classes = []
    for key, value in ((key.strip(), value.strip()) for key, value in properties.items()):
        if key in ("fill", "stroke") and value in _CLASSES:
            classes.append(f"{key}-{_CLASSES[value]}")
        elif key == "font" and (font := _FONT.match(value)):
            # The font family is the page's.
            element.attrib |= {f"font-{part}": found for part, found in font.groupdict().items() if found}
        elif key != "font":
            element.set(key, value)
    if classes:
        element.set("class", " ".join(classes))


def _for_html(root: ElementTree.Element, name: str) -> None:
    """Strip namespaces, which HTML lacks; drop unused ids and make the others unique, as every figure has the same."""
    used = set()
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        for key in (f"{{{_XLINK}}}href", "clip-path"):
            if reference := element.attrib.pop(key, ""):
                before, _, target = reference.partition("#")
                used.add(target.removesuffix(")"))
                element.set(key.removeprefix(f"{{{_XLINK}}}"), f"{before}#{name}-{target}")
    for element in root.iter():
        if (found := element.attrib.pop("id", "")) in used:
            element.set("id", f"{name}-{found}")
