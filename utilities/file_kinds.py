"""The kind of a file by its first bytes, for files that hold other content than their names promise."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from string import whitespace

HEAD = 512
"""The number of first bytes that decide."""
POINTER, HTML, XML, ZIP, GZIP, BZIP2, XZ, ZSTD = "pointer", "html", "xml", "zip", "gzip", "bzip2", "xz", "zstd"
UTF16, GGUF, HDF5, PICKLE = "utf-16", "gguf", "hdf5", "pickle"
OLD_WORKBOOK, SEVEN_ZIP, RAR, PDF = "old workbook", "7z", "rar", "pdf"
_BEGINNINGS: Mapping[bytes, str] = {
    b"version https://git-lfs": POINTER,
    b"<!doctype": HTML,
    b"<html": HTML,
    b"<?xml": XML,
    b"pk\x03\x04": ZIP,
    b"\x1f\x8b": GZIP,
    b"bzh": BZIP2,
    b"\xfd7zxz": XZ,
    b"\x28\xb5\x2f\xfd": ZSTD,
    BOM_UTF16_LE: UTF16,
    BOM_UTF16_BE: UTF16,
    b"gguf": GGUF,
    b"\x89hdf": HDF5,
    b"\xd0\xcf\x11\xe0": OLD_WORKBOOK,
    b"7z\xbc\xaf": SEVEN_ZIP,
    b"rar!": RAR,
    b"%pdf-": PDF,
    b"\x80\x02\x8a\nl\xfc\x9cf": PICKLE,
}
"""Beginnings of files, in lower case."""
_BEFORE = BOM_UTF8 + whitespace.encode()


def kind_of(head: bytes) -> str:
    """Return the kind of a file that begins with `head`, one of the names above; empty for any other content."""
    folded = head.lstrip(_BEFORE).lower()
    return next((kind for start, kind in _BEGINNINGS.items() if folded.startswith(start)), "")
