"""Fit the classifier of task types on wordings by many writers, and measure it on writers that it was not fitted on.

Each file is one writer. Each writer in turn is left out of the fit and measured: this is the rate to expect for a new
writer's wordings. The scores of these left-out rows also give the bonus of each rule. The final fit uses all files. It
is written to `prompts/type_weights.safetensors`, with a record beside it: the files, the seed, the versions, the rates.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import sklearn  # type: ignore[import-untyped]
from tqdm import tqdm

from prompts.detection import apply_rules, decide
from prompts.reading import Question
from prompts.type_classifier import WEIGHTS, write
from prompts.wording_features import counted
from tuning.type_fitting import Floats, WordingRow, fit_rules, fit_wording, rules_of, with_rules
from utilities.errors import UserError, exit_code
from utilities.files import ROOT, check_folder, write_json
from utilities.fingerprint import file_record
from utilities.options import command_parser, whole
from utilities.printed_tables import print_table
from utilities.tables import Placed, read_rows
from utilities.task_type import TaskType

EXAMPLES = """\
examples:
  python -m tuning.fit_detection                                   the package's weights, from data/wordings
  python -m tuning.fit_detection --rows data/wordings/*.jsonl mine.jsonl --output mine.safetensors

A line holds prompt (or input_field), task_type and optionally language. Multiple choice is left out, because the
evaluator flags it.
"""
_OWN = (
    "data/development.json",
    "tests/prompts/data/detection_wordings.jsonl",
    "tests/prompts/data/outside_wordings_1.jsonl",
    "tests/prompts/data/outside_wordings_2.jsonl",
)
IMPORTANCE: Mapping[str, float] = {
    # Wordings of the kinds that the challenge has published, for which the rules were made.
    "development": 3.0,
    "detection_wordings": 3.0,
    "published_kinds": 3.0,
    # The rules were changed for these wordings afterwards, so they would make the rules look better than they are.
    "outside_wordings_1": 0.0,
    "outside_wordings_2": 0.0,
}
"""The weight of a file's rows in the fit of the rules' bonuses; 1 for all others."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fit by the options of the command line, print the rates, write weights and record; return 0."""
    options = _options(argv)
    check_folder(options.output.parent, "--output")
    rows = [row for path in tqdm(options.rows, desc="reading", unit="file") for row in wording_rows(path)]
    task_types = tuple(sorted({row.task_type for row in rows}))
    if len({row.writer for row in rows}) < 2 or len(task_types) < 2:
        raise UserError("--rows: two files or more, and two task types or more, are needed: name other files")
    scores = held_out_scores(rows, task_types, options.seed)
    wording = fit_wording(rows, task_types, options.seed)
    classifier = with_rules(wording, fit_rules(rows, scores, IMPORTANCE, task_types))
    rates = measure(rows, scores, task_types)
    write(classifier, options.output)
    write_json(options.output.with_suffix(".json"), _record(options, rows, rates))
    _print(rates)
    print(f"weights: {options.output}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.fit_detection", __doc__, EXAMPLES)
    rows = [*sorted((ROOT / "data" / "wordings").glob("*.jsonl")), *(ROOT / name for name in _OWN)]
    each = "wordings, one file for each writer (default: the package's)"
    parser.add_argument("--rows", type=Path, nargs="+", default=rows, metavar="FILE", help=each)
    parser.add_argument("--output", type=Path, default=WEIGHTS, metavar="FILE", help="default: the package's weights")
    parser.add_argument("--seed", type=whole, default=0, metavar="S", help="seed of the fit (default: 0)")
    return parser.parse_args(argv)


def wording_rows(path: Path) -> list[WordingRow]:
    """Read the wordings of one file that are no multiple choice.

    Raises:
        UserError: the file cannot be read, or a line lacks a field.
    """
    return [row for row in (_row(path, found) for found in read_rows(path)) if row is not None]


def _row(path: Path, found: Placed) -> WordingRow | None:
    fields: Mapping[str, Any] = found.value
    prompt, name = fields.get("prompt", fields.get("input_field")), fields.get("task_type")
    if not isinstance(prompt, str) or name not in list(TaskType):
        known = ", ".join(TaskType)
        raise UserError(f"{found.place}: needs a text in 'prompt' or 'input_field', and in 'task_type' one of: {known}")
    task_type = TaskType(name)
    if task_type is TaskType.MULTIPLE_CHOICE:
        return None
    question = Question(prompt)
    language = str(fields.get("language", "unknown"))
    return WordingRow(path.stem, language, task_type, apply_rules(question), counted(question))


def held_out_scores(rows: Sequence[WordingRow], task_types: tuple[TaskType, ...], seed: int) -> Floats:
    """Return the scores of each row by a classifier that was fitted on the other writers."""
    scores: dict[int, Floats] = {}
    by_writer = groupby(range(len(rows)), key=lambda index: rows[index].writer)
    for writer, indices in tqdm([(writer, list(found)) for writer, found in by_writer], desc="fitting", unit="writer"):
        fitted = fit_wording([row for row in rows if row.writer != writer], task_types, seed)
        for index in indices:
            scores[index] = fitted.wording_scores(rows[index].blocks).astype(np.float64)
    return np.stack([scores[index] for index in range(len(rows))])


def measure(rows: Sequence[WordingRow], scores: Floats, task_types: Sequence[TaskType]) -> Mapping[str, Any]:
    """Return the rates of rules, wording and both on left-out writers, by writer, by type and by language."""
    by_wording = [task_types[index] for index in scores.argmax(axis=1)]
    both = _with_rules_held_out(rows, scores, task_types)
    right = np.array(
        [
            [row.task_type is found for found in (row.by_rule[0], wording, combined)]
            for row, wording, combined in zip(rows, by_wording, both, strict=True)
        ]
    )
    groups: Mapping[str, Callable[[WordingRow], str]] = {
        "writer": lambda row: row.writer,
        "task_type": lambda row: row.task_type,
        "language": lambda row: row.language,
    }
    return {name: _rates(rows, right, of) for name, of in groups.items()}


def _with_rules_held_out(
    rows: Sequence[WordingRow], scores: Floats, task_types: Sequence[TaskType]
) -> Sequence[TaskType]:
    """Return the detected type of each row, by scores and rules' bonuses that were fitted on the other writers."""
    found: dict[int, TaskType] = {}
    for writer in dict.fromkeys(row.writer for row in rows):
        own = [index for index, row in enumerate(rows) if row.writer == writer]
        matrix, offsets, bonuses = fit_rules(rows, scores, {**IMPORTANCE, writer: 0.0}, task_types)
        logits = scores[own] @ matrix + offsets + rules_of([rows[index] for index in own]) @ bonuses
        for index, each in zip(own, logits.tolist(), strict=True):
            found[index] = decide(rows[index].by_rule, dict(zip(task_types, each, strict=True)))[0]
    return [found[index] for index in range(len(rows))]


def _rates(rows: Sequence[WordingRow], right: Any, of: Callable[[WordingRow], str]) -> Mapping[str, Any]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        members[of(row)].append(index)
    return {name: _rate(right[indices]) for name, indices in members.items()}


def _rate(right: Any) -> Mapping[str, float | int]:
    shares = (round(float(share), 4) for share in right.mean(axis=0))
    return {"rows": len(right), **dict(zip(("rules", "wording", "both"), shares, strict=True))}


def _record(options: argparse.Namespace, rows: Sequence[WordingRow], rates: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "weights": file_record(options.output),
        "rows": len(rows),
        "files": [file_record(path) for path in options.rows],
        "seed": options.seed,
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "held_out": rates,
    }


def _print(rates: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    for name, groups in rates.items():
        shown = [(group, *(f"{value:g}" for value in rate.values())) for group, rate in groups.items()]
        print_table((name, "rows", "rules", "wording", "both"), shown)


if __name__ == "__main__":
    sys.exit(exit_code(main))
