"""What the command line tells the readers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ReadingOptions:
    """Which rows of a file are read, and how.

    Attributes:
        split: the part of a data set, for formats that have parts.
        setting: ECInstruct's kind of instruction; the same row is there once for each.
        locale: the shop's language and country, for formats that have several.
        products: files with the titles of judged products.
        columns: fields of star reviews, `text` and `stars`, to the columns that hold them.
        seed: of what a reader draws.
    """

    split: str = "train"
    setting: str = "IND_Diverse_Instruct"
    locale: str = "us"
    products: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
