"""Make, describe, search and check a catalogue of products and known queries."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from retrieval.products.build import Request, build
from retrieval.products.catalogue import Catalog
from retrieval.products.columns import JUDGEMENT_COLUMNS, PRODUCT_COLUMNS, read_columns
from retrieval.products.description import describe, print_found
from retrieval.products.manifest import REBUILD, BuildSettings, check_files
from retrieval.products.search_engine import EngineError
from retrieval.words import PLURAL, STEMMINGS
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.options import positive

EXAMPLES = """\
examples:
  python -m retrieval.products build --output esci --locales us shopping_queries_dataset_products.parquet \\
      --judgements shopping_queries_dataset_examples.parquet
  python -m retrieval.products build --output shop shop.csv more.jsonl.gz --map title=name,id=sku
  python -m retrieval.products build --output esci --force products.parquet --exclude data/development.json
                                           leave out what occurs in these questions
  python -m retrieval.products info esci    what it holds, and what was left out
  python -m retrieval.products query esci "cordless drill" --related -k 5
  python -m retrieval.products verify esci  read every byte again

exit code: 0, or 2 for input that cannot be used or a catalogue that is damaged
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands; 0 when it was done."""
    arguments = _parser().parse_args(argv)
    arguments.run(arguments)
    return 0


def _build_command(arguments: argparse.Namespace) -> None:
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
    print("\n".join(describe(request.output, build(request))))


def _info_command(arguments: argparse.Namespace) -> None:
    manifest = Catalog.open(arguments.folder).manifest
    print("\n".join(describe(arguments.folder, manifest)))
    _write(arguments.json, asdict(manifest))


def _query_command(arguments: argparse.Namespace) -> None:
    catalog = Catalog.open(arguments.folder)
    try:
        hits = catalog.products(arguments.query, arguments.k)
        related = catalog.related(arguments.query, arguments.k) if arguments.related else None
    except EngineError as error:
        raise UserError(f"{arguments.folder} cannot be searched ({error}): {REBUILD}") from None
    print_found(hits, related)
    found: dict[str, object] = {"query": arguments.query, "products": [asdict(hit) for hit in hits]}
    _write(arguments.json, {**found, **({"related": asdict(related)} if related else {})})


def _verify_command(arguments: argparse.Namespace) -> None:
    catalog = Catalog.open(arguments.folder)
    check_files(arguments.folder, catalog.manifest, thorough=True)
    catalog.check_search()
    size = sum(entry.bytes for entry in catalog.manifest.files)
    print(f"{arguments.folder}: every checksum is right ({size / 1e6:.1f} MB), and both indexes answer")


def _write(path: Path | None, value: Mapping[str, object]) -> None:
    if path is None:
        return
    try:
        write_json(path, value)
    except OSError as error:
        raise UserError(f"--json {path} cannot be written ({error.strerror}): name another file") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m retrieval.products",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="{build,info,query,verify}")
    _add_build(commands.add_parser("build", help="make a catalogue of files of products and judgements"))
    command = commands.add_parser("info", help="say what a catalogue holds and was made of")
    _add_folder(command, _info_command)
    _add_json(command)
    command = commands.add_parser("query", help="search the products")
    _add_folder(command, _query_command)
    command.add_argument("query", help="what to search for")
    command.add_argument("-k", type=positive, default=10, metavar="N", help="how many products (default: 10)")
    command.add_argument("--related", action="store_true", help="also the products that belong to this query")
    _add_json(command)
    _add_folder(commands.add_parser("verify", help="check every byte, and search once"), _verify_command)
    return parser


def _add_folder(command: argparse.ArgumentParser, run: object) -> None:
    command.add_argument("folder", type=Path, metavar="FOLDER", help="a catalogue")
    command.set_defaults(run=run)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", type=Path, metavar="FILE", help="write the same as JSON, too")


def _add_build(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    formats = "Parquet, CSV or JSON Lines"
    add("sources", type=Path, nargs="+", metavar="SOURCE", help=f"files of products: {formats}")
    add("--output", type=Path, required=True, metavar="FOLDER", help="the catalogue to make")
    add(
        "--judgements",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help=f"queries with relevant products: {formats}",
    )
    add("--map", default="", metavar="FIELD=COLUMN,...", help=f"columns of the sources: {', '.join(PRODUCT_COLUMNS)}")
    add("--map-judgements", default="", metavar="FIELD=COLUMN,...", help=f"the same: {', '.join(JUDGEMENT_COLUMNS)}")
    add("--index", default="title", metavar="FIELD,...", help="fields whose words are searched (default: title)")
    add("--locales", default="", metavar="NAME,...", help="take products of these locales only")
    add("--split", default="", metavar="NAME", help="take judgements of this split only")
    add("--stemming", choices=STEMMINGS, default=PLURAL, help="how word endings are dropped (default: %(default)s)")
    add(
        "--exclude",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="leave out what occurs in these evaluation questions",
    )
    add("--force", action="store_true", help="replace an existing catalogue once the new one is finished")
    command.set_defaults(run=_build_command)


if __name__ == "__main__":
    sys.exit(exit_code(main))
