"""Small files and builds for the tests of the catalogue."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrieval.products.build import Request, build
from retrieval.products.catalogue import Catalog
from retrieval.products.columns import JUDGEMENT_COLUMNS, PRODUCT_COLUMNS, read_columns
from retrieval.products.manifest import BuildSettings

PRODUCTS = (
    {"id": "p1", "title": "Cordless Drill 18 V with two batteries", "locale": "us", "brand": "Borex"},
    {"id": "p2", "title": "Corded Drill, 500 W", "locale": "us", "brand": "Makto"},
    {"id": "p3", "title": "Garden Hose 25 ft", "locale": "us", "brand": "Wasserli"},
    {"id": "p4", "title": "Manguera de jardín 10 m", "locale": "es", "brand": "Wasserli"},
    {"id": "p5", "title": "電子レンジ ホワイト 700 W", "locale": "jp", "brand": "Kita"},
    {"id": "p6", "title": "Protein bars 12 x 57 g", "locale": "us", "brand": "Kraft"},
    {"id": "p7", "title": "Camera XT-30 black", "locale": "us", "brand": "Fotona"},
)
JUDGEMENTS = (
    {"query": "cordless drill set", "product_id": "p2", "esci_label": "S", "product_locale": "us", "split": "train"},
    {"query": "cordless drill set", "product_id": "p1", "esci_label": "E", "product_locale": "us", "split": "train"},
    {"query": "cordless drill set", "product_id": "p3", "esci_label": "I", "product_locale": "us", "split": "train"},
    {"query": "hose for gardens", "product_id": "p3", "esci_label": "E", "product_locale": "us", "split": "test"},
    {"query": "unknown thing", "product_id": "p99", "esci_label": "E", "product_locale": "us", "split": "train"},
)
SETTINGS = BuildSettings(stemming="plural", indexed=("title",), locales=(), split="")


def write_lines(path: Path, rows: Iterable[object]) -> Path:
    """Write rows as JSON Lines, packed where the name ends in .gz."""
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def request(
    output: Path,
    sources: Sequence[Path],
    judgements: Sequence[Path] = (),
    *,
    columns: str = "",
    judgement_columns: str = "",
    settings: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Request:
    """Return a request with the given settings in place of the usual ones."""
    return Request(
        output=output,
        sources=tuple(sources),
        judgements=tuple(judgements),
        columns=read_columns(PRODUCT_COLUMNS, columns, "--map"),
        judgement_columns=read_columns(JUDGEMENT_COLUMNS, judgement_columns, "--map-judgements"),
        settings=replace(SETTINGS, **(settings or {})),
        **fields,
    )


def sample(folder: Path, **fields: Any) -> Request:
    """Write the products and judgements above and return a request to build them."""
    sources = [write_lines(folder / "products.jsonl", PRODUCTS)]
    judgements = [write_lines(folder / "judgements.jsonl", JUDGEMENTS)]
    return request(folder / "catalog", sources, judgements, **fields)


def opened(wanted: Request) -> Catalog:
    """Build and open a catalogue."""
    build(wanted)
    return Catalog.open(wanted.output)


def titles(catalog: Catalog, query: str, k: int = 10) -> list[str]:
    """Return the titles found for a query."""
    return [hit.title for hit in catalog.products(query, k)]
