"""Options by the probabilities of their numbers or texts, or by decoding: scores and seconds of the same weights.

label   the probability of the options' numbers after one forward pass
text    the mean log-probability of the options' texts
pmi     what the question adds to the log-probability of the texts
decode  the numbers written under the constraint
orders  like label, averaged over several orders of the list (`clock.orders`)
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, cast

from benchmarks.common import (
    PACKAGE,
    Json,
    Results,
    add_questions,
    add_threads,
    conditions,
    make_parser,
    print_table,
    set_threads,
    shown,
    source_digest,
    unhurried,
    weights_of,
)
from evaluation.loop import predict
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data
from evaluation.scores import score_answers
from models.engines.settings import SCORINGS, Scoring
from models.settings import Settings, load_settings
from retrieval.fusion import KINDS
from retrieval.settings import FuseSettings
from utilities.errors import UserError, exit_code
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.scoring_against_decoding
  python -m benchmarks.scoring_against_decoding --data FILE --limit 40
  python -m benchmarks.scoring_against_decoding --model-alone     no lexical evidence in the order of candidates

Decoded answers carry no scores, so no evidence can be added to them: --model-alone compares like with like.
"""
DECODE, ORDERS = "decode", "orders"
_OPTION_TYPES = (TaskType.MULTIPLE_CHOICE, TaskType.RANKING, TaskType.RETRIEVAL)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the ways by the options of the command line; print a table and return 0."""
    options = _options(argv)
    questions = with_options(read_questions(options.data)[: options.limit])
    settings = settings_in_use(model_alone=options.model_alone)
    results = Results(options.results, conditions(set_threads(options.threads), None), fresh=options.fresh)
    data, weights = describe_data(options.data, len(questions)), weights_of(settings.engine)
    parts = {}
    for way in (*SCORINGS, ORDERS):
        changed = answered_by(settings, way)
        parts[way] = results.part(_inputs(changed, data, weights), partial(_run, way, changed, questions))
    report = [_row(way, part, parts[DECODE], questions) for way, part in parts.items()]
    agreement = agreement_of(questions, parts["label"]["answers"], parts[DECODE]["answers"])
    results.finish({"ways": report, "label_agrees_with_decode": agreement, "data": data, "weights": weights})
    _print(report, agreement, len(questions))
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("scoring_against_decoding", __doc__, EXAMPLES)
    add_questions(parser)
    add_threads(parser)
    parser.add_argument("--model-alone", action="store_true", help="combine no evidence with the scores")
    return parser.parse_args(argv)


def with_options(questions: Sequence[QuestionRow]) -> list[QuestionRow]:
    """Keep the questions that are answered by numbers.

    Raises:
        UserError: there are none.
    """
    kept = [question for question in questions if question.task_type in _OPTION_TYPES]
    if not kept:
        raise UserError("no multiple-choice, ranking or retrieval question is among the data: name another --data")
    return kept


def settings_in_use(*, model_alone: bool) -> Settings:
    """Return the settings in use, without lexical evidence for the model alone."""
    settings = unhurried(load_settings())
    if not model_alone:
        return settings
    nothing = FuseSettings(**dict.fromkeys(KINDS, False))
    return replace(settings, knowledge=replace(settings.knowledge, fuse=nothing))


def answered_by(settings: Settings, way: str) -> Settings:
    """Return the settings with every kind of options answered by `way`."""
    if way == ORDERS:
        return replace(answered_by(settings, "label"), clock=replace(settings.clock, spare="orders"))
    scoring = cast(Scoring, way)
    return replace(settings, engine=replace(settings.engine, choice=scoring, selection=scoring))


def _inputs(settings: Settings, data: Mapping[str, Any], weights: str) -> Json:
    return {
        "settings": asdict(settings),
        "data": {"sha256": data["sha256"], "questions": data["questions"]},
        "weights": weights,
        "sources": source_digest(PACKAGE),
    }


def _run(way: str, settings: Settings, questions: Sequence[QuestionRow]) -> Json:
    from models.shopbench_model import ShopBenchModel

    print(f"options by {way}", file=sys.stderr)
    model = ShopBenchModel(settings)
    prediction = predict(model, questions)
    return {
        "answers": list(prediction.answers),
        "seconds": prediction.seconds,
        "fallbacks": dict(model.fallbacks),
        "described": model.describe()["weights"],
    }


def _row(way: str, part: Json, decoded: Json, questions: Sequence[QuestionRow]) -> Json:
    return {
        "way": way,
        "scores": score_answers(questions, part["answers"]).to_json(),
        "seconds": part["seconds"],
        "times_as_fast_as_decode": decoded["seconds"] / part["seconds"],
        "fallbacks": part["fallbacks"],
    }


def agreement_of(questions: Sequence[QuestionRow], some: Sequence[str], others: Sequence[str]) -> float | None:
    """Return the share of multiple-choice questions with the same answer twice; None without such questions."""
    pairs = [
        (a, b)
        for question, a, b in zip(questions, some, others, strict=True)
        if question.task_type is TaskType.MULTIPLE_CHOICE
    ]
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None


def _print(report: Sequence[Json], agreement: float | None, questions: int) -> None:
    types = [kind.value for kind in _OPTION_TYPES if kind in report[0]["scores"]["task_types"]]
    columns = ("options by", *types, "seconds", "times as fast as decode", "fallbacks")
    print_table(columns, [_cells(row, types) for row in report])
    print(f"{questions} questions; label scoring and decoding choose alike in {shown(agreement)} of multiple choice")


def _cells(row: Json, types: Sequence[str]) -> list[str]:
    return [
        row["way"],
        *(shown(row["scores"]["task_types"][kind]) for kind in types),
        shown(row["seconds"], 1),
        shown(row["times_as_fast_as_decode"], 2),
        str(sum(row["fallbacks"].values())),
    ]


if __name__ == "__main__":
    sys.exit(exit_code(main))
