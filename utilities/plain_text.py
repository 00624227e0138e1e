"""Turns the HTML of product and review texts into plain text."""

import html
import re

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)


def plain_text(text: str) -> str:
    """Return a text with characters for HTML entities and a space for each tag.

    An entity without a semicolon stays, as in "B&notes", and so does "<" before anything but a tag's name.
    """
    if "&" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return _TAG.sub(" ", text) if "<" in text else text
