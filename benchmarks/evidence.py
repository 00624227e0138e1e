"""What evidence adds: the metric of questions with candidates by words, vectors, the model, and all of them combined.

random       the expected metric of an order drawn by chance (the mean of 200)
as given     the candidates' own order
lexical      BM25 (rank-bm25) over the question's candidates
vectors      cosine of all-MiniLM-L6-v2 embeddings, or of the model that the settings name
both         lexical and vectors, standardised and added with the fitted weights
model        the model's scores alone, in the way of the settings
labels, k=K  the model by the probabilities of labels, with the K best candidates as [External information]
+ NAME       the model combined with that evidence by the fitted weights
RRF          model and evidence by reciprocal rank
"""

import argparse
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import (
    Json,
    Results,
    add_questions,
    add_threads,
    conditions,
    make_parser,
    print_table,
    set_threads,
    source_digest,
    weights_of,
)
from benchmarks.intervals import Scored, draw, interval, resampled
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data
from models.engines.settings import engine_identity
from models.settings import Settings, load_settings
from prompts.reading import read_numbered_list
from retrieval.fusion import LEXICAL, MODEL, VECTORS, Combiner, FittedSum, ReciprocalRank
from retrieval.fusion_weights import read_weights
from retrieval.sources import open_knowledge, weights_file
from tuning.scored_rows import ScoredRow, scored_rows
from utilities.errors import exit_code
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.evidence                              data/development.json, all kinds of question
  python -m benchmarks.evidence --data ranking_dev.jsonl     one's own questions
  python -m benchmarks.evidence --external 0,1,3,5           and the model by labels with [External information]

The model's scores are kept beside the results, so an interrupted run goes on where it stopped. The weights are those of
retrieval/fitted_weights or of `knowledge.weights`; they were fitted on other rows.
"""
_DRAWS = 200
_TIMED = 100
Order = Callable[[ScoredRow], Sequence[float]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table a kind and return 0."""
    options = _options(argv)
    settings = with_all_sources(load_settings())
    questions = _with_candidates(read_questions(options.data)[: options.limit])
    threads = set_threads(options.threads)
    weights = weights_of(settings.engine)
    results = Results(options.results, conditions(threads, options.seed), fresh=options.fresh)
    data = describe_data(options.data, len(questions))
    inputs = {"data": data, "weights": weights, "sources": source_digest(), "knowledge": settings.knowledge.weights}
    kept = options.results.with_suffix(".scores.jsonl")
    report = results.part(
        {**inputs, "external": options.external},
        lambda: measured(questions, settings, kept, options.external, options.seed),
    )
    results.finish({**inputs, **report})
    for kind, table in report["kinds"].items():
        _print_kind(kind, table)
    print(f"\nBM25 inside a question: {report['lexical_ms']:.3f} ms, vectors: {report['vectors_ms']:.1f} ms (medians)")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("evidence", __doc__, EXAMPLES)
    add_questions(parser)
    add_threads(parser)
    parser.add_argument("--external", type=_numbers, default=[], metavar="K,K", help="candidates shown to the model")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of chance and the intervals (default: 0)")
    return parser.parse_args(argv)


def _numbers(text: str) -> list[int]:
    if not all(part.isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers such as 0,1,3")
    return [int(part) for part in text.split(",")]


def with_all_sources(settings: Settings) -> Settings:
    """Return the settings with both kinds of similarity and nothing shown to the model."""
    knowledge = replace(settings.knowledge, similarity="lexical+vectors")
    return replace(settings, knowledge=knowledge, prompts=replace(settings.prompts, external_information=0))


def _with_candidates(questions: Sequence[QuestionRow]) -> list[QuestionRow]:
    kept = (TaskType.MULTIPLE_CHOICE, TaskType.RETRIEVAL, TaskType.RANKING)
    return [question for question in questions if question.task_type in kept]


def measured(
    questions: Sequence[QuestionRow], settings: Settings, kept: Path, external: Sequence[int], seed: int
) -> Json:
    """Return, for each kind of question, every order's metric, and what the fused one is ahead by, with intervals."""
    orders = orders_of(settings)
    values: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for kind, rows in _by_kind(scored_rows(questions, settings, kept)).items():
        values[kind] = {name: [row.value(order(row)) for row in rows] for name, order in orders.items()}
        values[kind] |= {"random": [_by_chance(row, seed) for row in rows]}
    ranking = [question for question in questions if question.task_type is TaskType.RANKING]
    for count in external if ranking else ():
        rows = scored_rows(ranking, _by_labels(settings, count), kept)
        values["ranking"][f"labels, k={count}"] = [row.value(row.scores[MODEL]) for row in rows]
    kinds = {kind: _table(table, seed) for kind, table in values.items()}
    return {"kinds": kinds, **milliseconds(questions, settings)}


def milliseconds(questions: Sequence[QuestionRow], settings: Settings) -> Json:
    """Return the median milliseconds in which the candidates of a question are compared by words and by vectors."""
    similarities = open_knowledge(settings.knowledge, engine_identity(settings.engine)).similarities
    lists = [read_numbered_list(question.input_field) for question in questions[:_TIMED]]
    found: Json = {}
    for name, similarity in similarities.items():
        seconds = []
        for listed in lists:
            if listed:
                began = time.perf_counter()
                similarity(listed.before, [item.text for item in listed.items])
                seconds.append(time.perf_counter() - began)
        found[f"{name}_ms"] = 1000 * statistics.median(seconds)
    return found


def orders_of(settings: Settings) -> Mapping[str, Order]:
    """Return every way to score a row's candidates, by its name in the table."""
    path = weights_file(settings.knowledge, engine_identity(settings.engine))
    fitted = FittedSum(read_weights(path) if path else {})
    sources = {"lexical": (LEXICAL,), "vectors": (VECTORS,), "both": (LEXICAL, VECTORS), "model": (MODEL,)}
    fused = {f"+ {name}": (*names, MODEL) for name, names in sources.items() if name != "model"}
    orders: dict[str, Order] = {"as given": lambda row: (0.0,) * len(row.gains)}
    orders |= {name: _order(fitted, names) for name, names in {**sources, **fused}.items()}
    return {**orders, "RRF": _order(ReciprocalRank(), (LEXICAL, VECTORS, MODEL))}


FUSED = "+ both"


def _order(combiner: Combiner, names: Sequence[str]) -> Order:
    def order(row: ScoredRow) -> Sequence[float]:
        given = {name: row.scores[name] for name in names if name in row.scores}
        return combiner.combine(row.kind, given) or (0.0,) * len(row.gains)

    return order


def _by_labels(settings: Settings, count: int) -> Settings:
    prompts = replace(settings.prompts, external_information=count)
    return replace(settings, prompts=prompts, engine=replace(settings.engine, selection="label"))


def _by_chance(row: ScoredRow, seed: int) -> float:
    shuffle = random.Random(f"{seed} {row.gains} {row.scores}")
    return statistics.fmean(row.value([shuffle.random() for _ in row.gains]) for _ in range(_DRAWS))


def _by_kind(rows: Sequence[ScoredRow]) -> Mapping[str, list[ScoredRow]]:
    kinds: dict[str, list[ScoredRow]] = defaultdict(list)
    for row in rows:
        kinds[row.kind].append(row)
    return kinds


def _table(values: Mapping[str, Sequence[float]], seed: int) -> Json:
    """Return the number of questions and, by name, the mean, its interval, and what the fused order is ahead by."""
    count = len(values[FUSED])
    drawn = draw({"": count}, seed)[""]
    scored = {name: resampled(list(each), drawn) for name, each in values.items() if len(each) == count}
    best = scored[FUSED]
    ahead = {name: Scored(best.value - each.value, best.resamples - each.resamples) for name, each in scored.items()}
    rows = {name: {"score": interval(each), "fused_ahead_by": interval(ahead[name])} for name, each in scored.items()}
    return {"questions": count, "orders": rows}


def _print_kind(kind: str, table: Mapping[str, Any]) -> None:
    print(f"\n{kind}, {table['questions']} questions")
    rows = [(name, *map(_shown, (each["score"], each["fused_ahead_by"]))) for name, each in table["orders"].items()]
    print_table(("order", "score [95 %]", f"'{FUSED}' is ahead by"), rows)


def _shown(each: Sequence[float]) -> str:
    value, low, high = each
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    sys.exit(exit_code(main))
