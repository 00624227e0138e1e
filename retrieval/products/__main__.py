"""Build, describe, search and check a catalogue of products and known queries."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrieval.lexical import PLURAL, STEMMINGS
from retrieval.products.build import Request, build
from retrieval.products.catalogue import Catalog
from retrieval.products.columns import JUDGEMENT_COLUMNS, PRODUCT_COLUMNS, read_columns
from retrieval.products.manifest import REBUILD, BuildSettings, Manifest, Source, check_files
from retrieval.products.search_engine import SearchError
from utilities.errors import UserError, exit_code
from utilities.files import write_json, writing
from utilities.options import command_parser, positive

EXAMPLES = """\
examples:
  python -m retrieval.products build --output esci --locales us shopping_queries_dataset_products.parquet \\
      --judgements shopping_queries_dataset_examples.parquet
  python -m retrieval.products build --output shop shop.csv more.jsonl.gz --map title=name,id=sku
  python -m evaluation.exclusions data/development.json --output exclusions.jsonl
  python -m retrieval.products build --output esci --force products.parquet --exclude exclusions.jsonl
                                           leave out products of these questions
  python -m retrieval.products info esci    its sources, counts, and the rows that were left out
  python -m retrieval.products query esci "cordless drill" --related -k 5
  python -m retrieval.products verify esci  compare every file with its SHA-256

exit code: 0, or 2 for input that cannot be used or a damaged catalogue
"""
NOTHING_LEFT_OUT = "nothing was left out: scores on questions made from the same data may contain their own answers"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands and return 0."""
    arguments = _parser().parse_args(argv)
    arguments.run(arguments)
    return 0


def _build(arguments: argparse.Namespace) -> None:
    request = Request(
        output=arguments.output,
        sources=tuple(arguments.sources),
        judgements=tuple(arguments.judgements),
        columns=read_columns(PRODUCT_COLUMNS, arguments.map, "--map"),
        judgement_columns=read_columns(JUDGEMENT_COLUMNS, arguments.map_judgements, "--map-judgements"),
        settings=BuildSettings(
            stemming=arguments.stemming,
            indexed=_names(arguments.index),
            locales=_names(arguments.locales),
            split=arguments.split,
        ),
        exclude=tuple(arguments.exclude),
        force=arguments.force,
    )
    print("\n".join(_description(request.output, build(request))))


def _info(arguments: argparse.Namespace) -> None:
    manifest = Catalog.open(arguments.folder).manifest
    print("\n".join(_description(arguments.folder, manifest)))
    _write(arguments.json, asdict(manifest))


def _query(arguments: argparse.Namespace) -> None:
    catalog = Catalog.open(arguments.folder)
    try:
        hits = catalog.products(arguments.query, arguments.k)
        related = catalog.related(arguments.query, arguments.k) if arguments.related else None
    except SearchError as error:
        raise UserError(f"{arguments.folder} cannot be searched ({error}): {REBUILD}") from None
    print("\n".join(f"{hit.score:8.3f}  {hit.title}" for hit in hits) or "no product has a word of this query")
    if related:
        print("\n".join([f"related, from: {related.source}", *(f"          {title}" for title in related.titles)]))
    found = {"query": arguments.query, "products": [asdict(hit) for hit in hits]}
    _write(arguments.json, found | ({"related": asdict(related)} if related else {}))


def _verify(arguments: argparse.Namespace) -> None:
    catalog = Catalog.open(arguments.folder)
    check_files(arguments.folder, catalog.manifest, thorough=True)
    catalog.check_search()
    print(f"{arguments.folder}: every checksum is right ({_megabytes(catalog.manifest)}), and both indexes answer")


def _description(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the summary of a catalogue for people: its contents, its sources, and the rows that were left out."""
    counts, settings, made = manifest.counts, manifest.settings, manifest.versions
    yield (
        f"{folder}: {counts.products:,} products, {counts.queries:,} known queries "
        f"({counts.judgements:,} judgements), {_megabytes(manifest)}"
    )
    yield f"made {manifest.created} by shopalign {made.shopalign}, tantivy {made.tantivy}, Python {made.python}"
    yield (
        f"indexed: {', '.join(settings.indexed)}; stemming: {settings.stemming}; "
        f"locales: {', '.join(settings.locales) or 'all'}; split: {settings.split or 'all'}"
    )
    for source in manifest.sources:
        yield from _source_lines(source)
    files = (
        f"{each.file} ({each.products:,} products, {each.queries:,} queries; sha256 {each.sha256[:12]})"
        for each in manifest.excluded
    )
    yield f"rows of these evaluation files were left out: {', '.join(files)}" if manifest.excluded else NOTHING_LEFT_OUT


def _source_lines(source: Source) -> Iterator[str]:
    yield f"{source.file} ({source.holds}): {source.kept:,} of {source.rows:,} rows kept"
    yield from (f"  left out, {each.reason}: {each.rows:,}" for each in source.dropped)


def _megabytes(manifest: Manifest) -> str:
    return f"{sum(entry.bytes for entry in manifest.files) / 1e6:.1f} MB"


def _write(path: Path | None, value: Mapping[str, object]) -> None:
    if path is not None:
        with writing("--json", path):
            write_json(path, value)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("python -m retrieval.products", __doc__, EXAMPLES)
    commands = parser.add_subparsers(required=True, metavar="{build,info,query,verify}")
    _add_build(commands.add_parser("build", help="build a catalogue from files of products and judgements"))
    info = commands.add_parser("info", help="print a catalogue's sources and counts")
    query = commands.add_parser("query", help="search the products")
    verify = commands.add_parser("verify", help="check the SHA-256 of every file, and search once")
    for command, run in ((info, _info), (query, _query), (verify, _verify)):
        command.add_argument("folder", type=Path, metavar="FOLDER", help="a catalogue")
        command.set_defaults(run=run)
    query.add_argument("query", help="the search query")
    query.add_argument("-k", type=positive, default=10, metavar="N", help="how many products (default: 10)")
    query.add_argument("--related", action="store_true", help="print the related products of this query, too")
    for command in (info, query):
        command.add_argument("--json", type=Path, metavar="FILE", help="write the same as JSON, too")
    return parser


def _add_build(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    formats = "Parquet, CSV, tab-separated or JSON, also as gzip"
    files: dict[str, Any] = {"type": Path, "nargs": "+", "action": "extend", "default": [], "metavar": "FILE"}
    add("sources", type=Path, nargs="+", metavar="SOURCE", help=f"files of products: {formats}")
    add("--output", type=Path, required=True, metavar="FOLDER", help="the catalogue to make")
    add("--judgements", **files, help=f"queries with relevant products: {formats}")
    add("--map", default="", metavar="FIELD=COLUMN,...", help=f"columns of the sources: {', '.join(PRODUCT_COLUMNS)}")
    add("--map-judgements", default="", metavar="FIELD=COLUMN,...", help=f"the same: {', '.join(JUDGEMENT_COLUMNS)}")
    add("--index", default="title", metavar="FIELD,...", help="fields whose words are searched (default: title)")
    add("--locales", default="", metavar="NAME,...", help="take products of these locales only")
    add("--split", default="", metavar="NAME", help="take judgements of this split only")
    add("--stemming", choices=STEMMINGS, default=PLURAL, help="how word endings are dropped (default: %(default)s)")
    add("--exclude", **files, help="exclusion lists by `python -m evaluation.exclusions`: leave out their contents")
    add("--force", action="store_true", help="replace an existing catalogue once the new one is finished")
    command.set_defaults(run=_build)


if __name__ == "__main__":
    sys.exit(exit_code(main))
