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
    """Return the width of a text in points; wide letters, which DejaVu Sans lacks, are as wide as high."""
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
    _rename(root, name)
    return Markup(_as_html(root))


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
        elif key == "font":
            element.attrib |= _font(value)
        else:
            element.set(key, value)
    if classes:
        element.set("class", " ".join(classes))


def _font(shorthand: str) -> dict[str, str]:
    """Return size and weight; the family is the page's."""
    if not (found := _FONT.match(shorthand)):
        return {}
    weight = {"font-weight": found["weight"]} if found["weight"] else {}
    return {"font-size": found["size"], **weight}


def _rename(root: ElementTree.Element, name: str) -> None:
    """Drop unused ids and make the others unique; Matplotlib gives every figure the same ones."""
    reference, clip = f"{{{_XLINK}}}href", "clip-path"
    used = {value for element in root.iter() for value in (element.get(reference, ""), element.get(clip, "")) if value}
    for element in root.iter():
        found = element.get("id")
        if found and f"#{found}" not in used and f"url(#{found})" not in used:
            del element.attrib["id"]
        elif found:
            element.set("id", f"{name}-{found}")
        if element.get(reference):
            element.set(reference, f"#{name}-{element.get(reference, '')[1:]}")
        if element.get(clip):
            element.set(clip, f"url(#{name}-{element.get(clip, '')[5:-1]})")


def _as_html(root: ElementTree.Element) -> str:
    """Write the element for HTML: without namespaces, comments or a declaration."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if (target := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            element.set("href", target)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
