"""Matplotlib's drawings as markup of the page: without styles of their own, in the page's colours for light and dark.

A page whose policy allows no style attribute would drop matplotlib's; every property that it writes into one is also an
attribute of SVG. Colours become classes, so that the page's style sheet says what they look like.
"""

import io
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, FAINT, GRID = "#010101", "#020202", "#030303"
RUNS = ("#110000", "#110001", "#110002", "#110003", "#110004", "#110005")
"""Stand-ins for the page's colours: of text, of secondary text, of lines, and of each run."""

_CLASSES: Mapping[str, str] = {INK: "ink", FAINT: "faint", GRID: "grid"} | {
    colour: f"run{number}" for number, colour in enumerate(RUNS)
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"(?:(?P<weight>bold|\d{3})\s+)?(?P<size>[\d.]+)px\b.*")
_DROPPED = {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}


def markup(figure: Figure, name: str, label: str) -> str:
    """Return a figure as an `svg` element that screen readers read as an image with this label.

    `name` keeps its ids apart from those of the page's other figures.
    """
    written = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata={"Date": None, "Creator": None, "Format": None})
    root = ElementTree.fromstring(written.getvalue())  # what matplotlib has just written
    _clean(root)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": label, "class": "plot", "data-plot": name}
    _rename(root, name)
    return _as_html(root)


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
    found = _FONT.match(shorthand)
    if not found:
        return {}
    weight = {"font-weight": found["weight"]} if found["weight"] else {}
    return {"font-size": found["size"], **weight}


def _rename(root: ElementTree.Element, name: str) -> None:
    """Drop ids that nothing refers to; matplotlib gives every figure the same ones."""
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
    """Write the element as HTML knows it: without namespaces, comments or a declaration."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if (target := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            element.set("href", target)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
