"""The cost of a catalogue by its size, compared with rank-bm25: seconds to build and open, disk, memory, query time."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import (
    Json,
    Results,
    conditions,
    make_parser,
    shown,
    source_digest,
)
from evaluation.questions import read_questions
from prompts.reading import Question, read_query
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.fingerprint import sha256
from utilities.options import positive
from utilities.printed_tables import print_table
from utilities.tables import read_rows
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.catalog_scale --titles catalog.jsonl --queries ranking_train.jsonl
  python -m benchmarks.catalog_scale --titles catalog.jsonl --queries ranking_train.jsonl --sizes 1000000

A title joins the beginning of one title to the end of another. Each engine runs in a separate process, on one
thread. Memory is resident memory, including pages of mapped files.
"""
SOURCES = ("retrieval/products/*.py", "retrieval/lexical.py", "retrieval/lexical.py", "benchmarks/catalog_scale.py")
CATALOG = "catalogue"
RANK_BM25 = "rank-bm25"
MEGABYTE = 1e6
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

_BUILD = """\
import sys
from retrieval.products.__main__ import main
from utilities.errors import exit_code

code = exit_code(lambda: main(["build", "--output", *sys.argv[1:]]))
with open("/proc/self/status") as status:
    print(1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM")))
sys.exit(code)
"""
_MEASURE = """\
import json, sys, time

def resident():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

def measure(begin, queries):
    before, started = resident(), time.perf_counter()
    search = begin()
    report = {"open_seconds": time.perf_counter() - started, "open_bytes": resident(), "before_bytes": before}
    seconds = []
    for query in queries:
        started = time.perf_counter()
        search(query)
        seconds.append(time.perf_counter() - started)
    seconds.sort()
    report["after_bytes"] = resident()
    report["median_seconds"] = seconds[len(seconds) // 2]
    report["p99_seconds"] = seconds[min(len(seconds) * 99 // 100, len(seconds) - 1)]
    print(json.dumps(report))
"""
_SEARCH_CATALOG = """
from pathlib import Path
from retrieval.products.catalogue import Catalog

def begin():
    catalog = Catalog.open(Path(sys.argv[1]))
    return lambda query: catalog.products(query, 10)

measure(begin, json.load(sys.stdin))
"""
_SEARCH_RANK_BM25 = """
import numpy
from rank_bm25 import BM25Okapi
from retrieval.lexical import words

def begin():
    with open(sys.argv[1], encoding="utf-8") as file:
        titles = [json.loads(line)["title"] for line in file]
    index = BM25Okapi([words(title) for title in titles])

    def search(query):
        scores = index.get_scores(list(dict.fromkeys(words(query))))
        best = numpy.argpartition(-scores, 10)[:10]
        return [titles[at] for at in best[numpy.argsort(-scores[best])]]

    return search

measure(begin, json.load(sys.stdin))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark with the options of the command line, print a table and return 0."""
    options = _options(argv)
    queries = search_queries(options.queries, options.count, options.seed)
    results = Results(options.results, conditions(1, options.seed), fresh=options.fresh)
    inputs = {"titles": sha256(options.titles), "queries": sha256(options.queries), "count": len(queries)}
    rows = []
    for engine, size in _plan(options.sizes, options.rank_bm25_up_to):
        part = {**inputs, "sources": source_digest(SOURCES), "engine": engine, "size": size, "seed": options.seed}
        measured = results.part(part, partial(_measured, engine, size, queries, options))
        rows.append({"engine": engine, "titles": size, **measured})
    results.finish({**inputs, "rows": rows})
    print_rows(rows)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("catalog_scale", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--titles", type=Path, required=True, metavar="FILE", help="JSON Lines with a field title")
    add("--queries", type=Path, required=True, metavar="FILE", help="questions; ranking questions are used")
    add("--sizes", type=positive, nargs="+", default=[10_000, 100_000], metavar="N", help="default: 10000 100000")
    add("--count", type=positive, default=1000, metavar="N", help="how many queries (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="seed of titles and queries (default: %(default)s)")
    largest = "measure rank-bm25 up to this size (default: %(default)s)"
    add("--rank-bm25-up-to", type=positive, default=100_000, metavar="N", help=largest)
    add("--folder", type=Path, metavar="DIR", help="where catalogues are built and removed (default: the system's)")
    return parser.parse_args(argv)


def _plan(sizes: Sequence[int], rank_bm25_up_to: int) -> Iterator[tuple[str, int]]:
    for size in sizes:
        yield CATALOG, size
        if size <= rank_bm25_up_to:
            yield RANK_BM25, size


def search_queries(path: Path, count: int, seed: int) -> list[str]:
    """Return up to `count` different queries of the file's ranking questions, shuffled by the seed.

    Raises:
        UserError: the file cannot be read or holds no ranking question with a query.
    """
    questions = (each for each in read_questions(path) if each.task_type is TaskType.RANKING)
    queries = list(dict.fromkeys(query for each in questions if (query := read_query(Question(each.input_field)))))
    if not queries:
        raise UserError(f"--queries {path} holds no ranking question with a query: name another file")
    random.Random(seed).shuffle(queries)
    return queries[:count]


def recombined(titles: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """Yield random titles: each joins the beginning of one of `titles` to the end of another."""
    chance = random.Random(seed)
    for _ in range(count):
        first, second = chance.choice(titles).split(), chance.choice(titles).split()
        yield " ".join(first[: chance.randint(1, len(first))] + second[chance.randrange(len(second)) :])


def _measured(engine: str, size: int, queries: Sequence[str], options: argparse.Namespace) -> Json:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        titles = Path(folder) / "titles.jsonl"
        _write_titles(titles, options.titles, size, options.seed)
        if engine == RANK_BM25:
            return _search(_SEARCH_RANK_BM25, titles, queries)
        catalog = Path(folder) / "catalog"
        built = _build(catalog, titles)
        return {**built, **_search(_SEARCH_CATALOG, catalog, queries)}


def _write_titles(path: Path, source: Path, size: int, seed: int) -> None:
    titles = [row["title"] for _, row, *_ in read_rows(source) if str(row.get("title") or "").strip()]
    if not titles:
        raise UserError(f"--titles {source} has no field 'title': name a file of products")
    with path.open("w", encoding="utf-8") as file:
        for title in recombined(titles, size, seed):
            file.write(json.dumps({"title": title}) + "\n")


def _build(catalog: Path, titles: Path) -> Json:
    started = time.perf_counter()
    said = _child("build", _BUILD, [catalog, titles], "")
    return {
        "build_seconds": time.perf_counter() - started,
        "build_peak_bytes": int(said.splitlines()[-1]),
        "disk_bytes": sum(path.stat().st_size for path in catalog.rglob("*") if path.is_file()),
    }


def _search(code: str, source: Path, queries: Sequence[str]) -> Json:
    report: Json = json.loads(_child("search", _MEASURE + code, [source], json.dumps(list(queries))))
    return report


def _child(what: str, code: str, arguments: Sequence[Path], given: str) -> str:
    child = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        input=given,
        env={**os.environ, **_ONE_THREAD},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if child.returncode:
        raise UserError(f"the {what} ended with code {child.returncode}: correct the error above")
    return child.stdout


def print_rows(rows: Sequence[Json]) -> None:
    """Print a line for each engine and size; "MB grown" counts from before the opening."""
    columns = ("engine", "titles", "build s", "build peak MB", "disk MB", "open s", "MB opened", "MB after", "MB grown")
    print_table((*columns, "p50 ms", "p99 ms"), (_row(row) for row in rows))


def _row(row: Json) -> list[str]:
    def megabytes(name: str) -> str:
        return shown(row[name] / MEGABYTE if name in row else None, 0)

    return [
        row["engine"],
        f"{row['titles']:,}",
        shown(row.get("build_seconds"), 1),
        megabytes("build_peak_bytes"),
        megabytes("disk_bytes"),
        shown(row["open_seconds"], 2),
        megabytes("open_bytes"),
        megabytes("after_bytes"),
        shown((row["after_bytes"] - row["before_bytes"]) / MEGABYTE, 0),
        shown(row["median_seconds"] * 1000, 2),
        shown(row["p99_seconds"] * 1000, 2),
    ]


if __name__ == "__main__":
    sys.exit(exit_code(main))
