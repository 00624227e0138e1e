"""How much a catalogue that holds the evaluation's own judgements raises a score.

Two catalogues are built from the same titles and judged queries: one from all rows, one with --exclude for the
questions. The questions' own judgements are among the judged queries, as they are when both come from one public data
set. Then the ranking questions are ordered without a model: by words, by the related products of each catalogue, and by
both.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Json, Results, conditions, make_parser, source_digest
from evaluation.exclusions import write_exclusion_list
from evaluation.metrics import ndcg
from evaluation.questions import read_questions
from evaluation.run_record import describe_data
from prompts.reading import Question, read_numbered_list, read_query
from retrieval.knowledge import LEXICAL, QUESTION_ALONE, RELATED, FittedSum
from retrieval.lexical import PLURAL, best_first
from retrieval.products.build import Request, build
from retrieval.products.catalogue import Catalog
from retrieval.products.columns import JUDGEMENT_COLUMNS, PRODUCT_COLUMNS, Columns
from retrieval.products.manifest import BuildSettings
from utilities.errors import UserError, exit_code
from utilities.files import write_text
from utilities.options import positive
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.leak --titles catalog.jsonl --rows ranking_train.jsonl --data ranking_dev.jsonl
"""
_ORDERS = {"words": (LEXICAL,), "related": (RELATED,), "words and related": (LEXICAL, RELATED)}
_LEAST_GAIN = 0.1
Ranked = tuple[str, tuple[str, ...], tuple[float, ...]]
"""A query, its candidates, and their gains."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark with the options of the command line, print a table and return 0."""
    options = _options(argv)
    results = Results(options.results, conditions(1, None), fresh=options.fresh)
    files = {name: describe_data(getattr(options, name), 0)["sha256"] for name in ("titles", "rows", "data")}
    inputs = {**files, "related": options.related, "sources": source_digest()}
    report = results.part(inputs, lambda: measured(options))
    results.finish({**inputs, **report})
    columns = ("order", "left in", "left out")
    print_table(columns, [(name, f"{each[0]:.3f}", f"{each[1]:.3f}") for name, each in report["ndcg"].items()])
    for name, sources in report["sources"].items():
        print(f"{name}: related products by " + ", ".join(f"{source} {count}" for source, count in sources.items()))
    print(f"left out: {report['excluded']['products']} products, {report['excluded']['queries']} queries")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("leak", __doc__, EXAMPLES)
    parser.add_argument("--titles", type=Path, required=True, metavar="FILE", help="products, JSON Lines with `title`")
    parser.add_argument("--rows", type=Path, required=True, metavar="FILE", help="ranking questions for training")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="ranking questions of the evaluation")
    parser.add_argument("--related", type=positive, default=5, metavar="N", help="related products (default: 5)")
    return parser.parse_args(argv)


def measured(options: argparse.Namespace) -> Json:
    """Return the NDCG of each order with rows left in and out, and the origins of the related products."""
    questions = list(ranked(options.data))
    if not questions:
        raise UserError("--data holds no ranking question whose query and candidates can be read: name another file")
    with tempfile.TemporaryDirectory() as folder:
        judged = Path(folder) / "judged.jsonl"
        write_text(judged, "".join(judgements([*ranked(options.rows), *questions])))
        listed = Path(folder) / "exclusions.jsonl"
        write_exclusion_list([options.data], listed)
        catalogues = [_built(Path(folder), options, judged, exclude) for exclude in ((), (listed,))]
        tables = [_ordered(catalogue, questions, options.related) for catalogue in catalogues]
        (excluded,) = catalogues[1].manifest.excluded
    means = {name: [statistics.fmean(table[name]) for table, _ in tables] for name in _ORDERS}
    sources = {name: dict(found) for name, (_, found) in zip(("left in", "left out"), tables, strict=True)}
    left_out = {"products": excluded.products, "queries": excluded.queries}
    return {"questions": len(questions), "ndcg": means, "sources": sources, "excluded": left_out}


def ranked(path: Path) -> Iterator[Ranked]:
    """Yield the ranking questions of a file whose query and candidates can be read.

    Raises:
        UserError: the file cannot be read.
    """
    for question in read_questions(path):
        listed, query = read_numbered_list(question.input_field), read_query(Question(question.input_field))
        gains: Any = question.output_field
        if listed and query and isinstance(gains, list) and len(gains) == len(listed.items):
            yield query, tuple(item.text for item in listed.items), tuple(map(float, gains))


def judgements(questions: Sequence[Ranked]) -> Iterator[str]:
    """Yield a JSON line for each candidate that is relevant to its query."""
    for query, titles, gains in questions:
        for title, gain in zip(titles, gains, strict=True):
            if gain >= _LEAST_GAIN:
                yield json.dumps({"query": query, "title": title, "gain": gain}) + "\n"


def _built(folder: Path, options: argparse.Namespace, judged: Path, exclude: tuple[Path, ...]) -> Catalog:
    output = folder / f"catalogue{len(exclude)}"
    settings = BuildSettings(stemming=PLURAL, indexed=("title",), locales=(), split="")
    columns = Columns(PRODUCT_COLUMNS, {}, ""), Columns(JUDGEMENT_COLUMNS, {}, "")
    build(Request(output, (options.titles,), (judged,), *columns, settings, exclude))
    return Catalog.open(output)


def _ordered(catalog: Catalog, questions: Sequence[Ranked], count: int) -> tuple[dict[str, list[float]], Counter[str]]:
    values: dict[str, list[float]] = {name: [] for name in _ORDERS}
    sources: Counter[str] = Counter()
    for query, titles, gains in questions:
        related = catalog.related(query, count)
        sources[related.source] += 1
        evidence = QUESTION_ALONE.evidence(query, titles, related.titles)
        for name, wanted in _ORDERS.items():
            given = {source: evidence[source] for source in wanted if source in evidence}
            scores = FittedSum({}).combine("ranking", given) or (0.0,) * len(titles)
            values[name].append(ndcg([index + 1 for index in best_first(scores)], gains))
    return values, sources


if __name__ == "__main__":
    sys.exit(exit_code(main))
