"""Fit the weights of the model's scores and of the evidence, for each kind of question, on training rows.

The result is a small YAML file, by default `retrieval/fitted_weights/<model>.yaml`, or `<model>+<adapter>.yaml` for a
model with an adapter; a file there is used for the model with the fingerprint that it was fitted for. Rows are drawn
with a seed, a number of each task; rows that share eight consecutive words with a file of --against are left out. The
model's scores are saved as they are made, so an interrupted run is resumed. The model is the one of the settings
(SHOPALIGN_SETTINGS, SHOPALIGN_MODEL, SHOPALIGN_ADAPTER).
"""

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from evaluation.question_sample import Overlap, draw_sample
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import versions
from models.engines.settings import engine_identity
from models.settings import Settings, load_settings
from retrieval.knowledge import KINDS, LEXICAL, MODEL, RELATED, VECTORS, key_of, standardised, weighted_sum
from retrieval.sources import weights_name
from tuning.scored_rows import ScoredRow, scored_rows
from utilities.errors import UserError, exit_code
from utilities.files import write_text
from utilities.fingerprint import file_record
from utilities.options import command_parser
from utilities.task_type import TaskType

EXAMPLES = """\
examples:
  python -m tuning.fit_fusion --rows train.jsonl ranking_train.jsonl --against development.json ranking_dev.jsonl
  python -m tuning.fit_fusion --rows train.jsonl --each 50 ranking=400 --output mine.yaml     set knowledge.weights then
"""
_SOURCES = (LEXICAL, MODEL, RELATED, VECTORS)
_POOLED: Mapping[str, Sequence[str]] = {"next_query": ("also_bought", "aspects", "snippets")}
"""Kinds without training rows, and the kinds whose rows are used instead."""
_TASK_TYPES = (TaskType.MULTIPLE_CHOICE, TaskType.RETRIEVAL, TaskType.RANKING)
_FUSED = "fused, cross-validated"
_NOTE = "# Made by `python -m tuning.fit_fusion`: the weight of each source, for each set of available sources.\n"
_DIGITS = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Fit by the options of the command line, write the file, print the gains; return 0."""
    options = _options(argv)
    settings = load_settings()
    output = options.output or weights_name(settings.knowledge, engine_identity(settings.engine))
    questions = drawn(options.rows, options.against, dict(options.each), options.seed)
    kept = options.scores or output.with_name(f".{output.name}.scores")
    by_kind: dict[str, list[ScoredRow]] = defaultdict(list)
    for row in scored_rows(questions, settings, kept):
        by_kind[row.kind].append(row)
    kinds = {kind: _fitted(by_kind, kind) for kind in KINDS}
    content = {"fitted": _record(options, settings), "kinds": {kind: each for kind, each in kinds.items() if each}}
    write_text(output, _NOTE + yaml.safe_dump(content, sort_keys=False, width=110))
    _print_gains(content["kinds"])
    print(f"weights: {output}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.fit_fusion", __doc__, EXAMPLES)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, metavar="FILE", help="training rows, JSON Lines")
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="FILE", help="evaluation questions")
    each = "rows of each task, and of each task of a task type (default: 100)"
    parser.add_argument("--each", type=_count, nargs="+", default=[("", 100)], metavar="[TYPE=]N", help=each)
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the sample (default: 0)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: the model's in retrieval/fitted_weights")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="the file of saved scores")
    return parser.parse_args(argv)


def _count(text: str) -> tuple[str, int]:
    """Read `100` or `ranking=800`."""
    task_type, _, number = text.rpartition("=")
    if not number.isdecimal() or task_type not in ("", *_TASK_TYPES):
        known = ", ".join(f"{each}=N" for each in _TASK_TYPES)
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor one of: {known}")
    return task_type, int(number)


def drawn(files: Sequence[Path], against: Sequence[Path], each: Mapping[str, int], seed: int) -> list[QuestionRow]:
    """Return a sample of questions with candidates from `files`, without those that `against` holds.

    `each` is the number for each task, by task type; "" is the key of all other task types.

    Raises:
        UserError: a file cannot be read, or no question is left.
    """
    overlap = Overlap([question.input_field for path in against for question in read_questions(path)])
    rows = [question for path in files for question in read_questions(path)]
    chosen: list[QuestionRow] = []
    for task_type in _TASK_TYPES:
        of_type = [question for question in rows if question.task_type is task_type]
        sample = draw_sample(of_type, each.get(task_type, each.get("", 0)), seed, overlap)
        chosen += [question for members in sample.values() for question in members]
    if not chosen:
        raise UserError("--rows: no row with numbered candidates is left: name other files")
    return chosen


def _fitted(by_kind: Mapping[str, Sequence[ScoredRow]], kind: str) -> dict[str, Any]:
    """Return a kind's entry of the file; empty if it has no rows."""
    pooled = () if by_kind.get(kind) else _POOLED.get(kind, ())
    rows = [row for name in (pooled or (kind,)) for row in by_kind.get(name, ())]
    if not rows:
        return {}
    names = [name for name in _SOURCES if any(name in row.scores for row in rows)]
    entry: dict[str, Any] = {"rows": len(rows)}
    if pooled:
        entry["rows_of"] = list(pooled)
    gains = {f"{name} alone": round(score, 3) for name, score in alone(rows, names).items()}
    entry["training_score"] = {**gains, _FUSED: round(cross_validated(rows, names), 3)}
    entry["weights"] = {key_of(chosen): fit(rows, chosen) for chosen in subsets(names)}
    return entry


def _record(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    return {
        **engine_identity(settings.engine),
        "rows": [file_record(path) for path in options.rows],
        "rows_of_each_task": {task_type or "others": count for task_type, count in options.each},
        "seed": options.seed,
        "versions": {name: versions()[name] for name in ("torch", "transformers", "numpy")},
    }


def _print_gains(kinds: Mapping[str, Mapping[str, Any]]) -> None:
    for kind, entry in kinds.items():
        scores = ", ".join(f"{name} {score:.3f}" for name, score in entry["training_score"].items())
        pooled = f" of {', '.join(entry['rows_of'])}, as it has none" if "rows_of" in entry else ""
        print(f"{kind} ({entry['rows']} rows{pooled}): {scores}")
        best = max((score, name) for name, score in entry["training_score"].items())[1]
        if best != _FUSED:
            print(f"  not ahead of {best}: more rows may help, or knowledge.fuse.{kind} switches it off")


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every choice of two or more sources, in alphabetical order."""
    ordered = sorted(names)
    return [chosen for size in range(2, len(ordered) + 1) for chosen in combinations(ordered, size)]


def fit(rows: Sequence[ScoredRow], names: Sequence[str]) -> dict[str, float]:
    """Return the weight of each source, none negative, their sum 1.

    Pairwise logistic regression on differences of standardised scores (RankNet's loss on a linear model: Burges et al.,
    2005), each pair weighted by its difference in gain. A source whose weight would be negative is left out.
    """
    differences, importance = _pairs(rows, names)
    if not len(differences):
        return dict.fromkeys(names, 1 / len(names))
    both = np.concatenate([differences, -differences])
    better = np.repeat([1, 0], len(differences))
    model = LogisticRegression(fit_intercept=False).fit(both, better, sample_weight=np.tile(importance, 2))
    weights = dict(zip(names, model.coef_[0].tolist(), strict=True))
    helping = [name for name in names if weights[name] > 0]
    if not helping:
        return dict.fromkeys(names, 1 / len(names))
    if len(helping) < len(names):
        return {**dict.fromkeys(names, 0.0), **fit(rows, helping)}
    total = sum(weights.values())
    return {name: round(weight / total, _DIGITS) for name, weight in weights.items()}


def _pairs(rows: Sequence[ScoredRow], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the better candidate's scores minus the worse one's, [pairs, sources], and the differences in gain."""
    differences, importance = [], []
    for row in rows:
        scores = np.array([standardised(row.scores.get(name, (0.0,) * len(row.gains))) for name in names])
        for first, second in combinations(range(len(row.gains)), 2):
            gap = row.gains[first] - row.gains[second]
            if gap:
                differences.append(np.sign(gap) * (scores[:, first] - scores[:, second]))
                importance.append(abs(gap))
    return np.array(differences), np.array(importance)


def value(rows: Sequence[ScoredRow], weights: dict[str, float]) -> list[float]:
    """Return the metric of each row for the sum of its sources by these weights."""
    known = [{name: row.scores[name] for name in weights if name in row.scores} for row in rows]
    sums = [weighted_sum(scores, weights) or (0.0,) * len(row.gains) for row, scores in zip(rows, known, strict=True)]
    return [row.value(combined) for row, combined in zip(rows, sums, strict=True)]


def cross_validated(rows: Sequence[ScoredRow], names: Sequence[str], folds: int = 5) -> float:
    """Return the mean metric of rows that are ordered by weights fitted on the other folds."""
    values: list[float] = []
    for fold in range(folds):
        held = rows[fold::folds]
        rest = [row for index, row in enumerate(rows) if index % folds != fold]
        values += value(held, fit(rest, names))
    return statistics.fmean(values)


def alone(rows: Sequence[ScoredRow], names: Sequence[str]) -> dict[str, float]:
    """Return the mean metric of each source alone, the model first."""
    ordered = sorted(names, key=lambda name: (name != MODEL, name))
    return {name: statistics.fmean(value(rows, {name: 1.0})) for name in ordered}


if __name__ == "__main__":
    sys.exit(exit_code(main))
