"""Small files, builds and evaluation questions for the tests of the catalogue."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from retrieval.products.build import Request, build
from retrieval.products.catalogue import Catalog
from retrieval.products.columns import JUDGEMENT_COLUMNS, PRODUCT_COLUMNS, read_columns
from retrieval.products.exclusion_list import EvaluationFile, Exclusions, QuestionParts
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
LONG_TITLE = "Wasserli Expanding Garden Hose with Brass Fittings and Ten Function Spray Nozzle"
SPELLINGS = (
    ("Garden-Hose 25 ft", "garden hose 25 ft"),
    ("Garden hose/reel set", "Garden Hose-Reel-Set"),
    ("Nut &amp; Bolt&#39;s box", "Nut & Bolt's Box"),
    ("Caf\u00e9 cr\u00e8me cups", "Cafe Creme Cups"),
    ("Cafe creme cups", "Cafe\u0301 cr\u00e8me cups"),
    ("Tubing 1\u00bd in. wide", "tubing 1 1/2 inch wide"),
    ("Long steel ruler", "Long steel ruler with cork back"),
    ("Long steel ruler with co\u2026", "Long steel ruler with cork back"),
    ("Long steel ruler with co...", "Long steel ruler with cork back"),
)
"""List items of a question, each with a title that counts as the same."""

SHA256 = "5e" * 32
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


def ranking_text(query: str, items: Sequence[str]) -> str:
    """Return a ranking question in the evaluator's words."""
    listed = "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
    return (
        f"Rank the products by relevance with the query '{query}'.\nProduct List:\n{listed}\n"
        f"Answer with a permutation of 1 to {len(items)}.\nOutput: "
    )


def ranking_parts(query: str, items: Sequence[str]) -> QuestionParts:
    """Return the parts of this question."""
    return QuestionParts((ranking_text(query, items),), tuple(items), (query,))


TRANSLATION = (
    "Translate the title into German.\nTitle: Protein bars 12 x 57 g with nuts\nOutput: ",
    "Eiwei\u00dfriegel 12 x 57 g mit N\u00fcssen",
)
"""A question and its reference answer."""

RANKING_PARTS = ranking_parts("cordless drill set", ("Corded Drill, 500 W", LONG_TITLE, "Camera"))
TRANSLATION_PARTS = QuestionParts(TRANSLATION, (), ())


def exclusions(*questions: QuestionParts, file: str = "evaluation.jsonl") -> Exclusions:
    """Return what an exclusion list has of an evaluation file."""
    return Exclusions(EvaluationFile(file, SHA256, len(questions)), list(questions))


def write_exclusions(path: Path, *listed: Exclusions) -> Path:
    """Write an exclusion list."""
    rows: list[object] = []
    for each in listed:
        rows += [asdict(each.source), *map(asdict, each.questions)]
    return write_lines(path, rows)
