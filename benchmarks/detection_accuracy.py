"""Accuracy of task type detection on labelled prompts, with the confusions and the missed prompts."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import Json, Results, conditions, make_parser, shown, source_digest
from evaluation.run_record import describe_data
from prompts.detection import detect_task_type
from prompts.reading import Question
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.printed_tables import print_table
from utilities.tables import Placed, read_rows
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.detection_accuracy                       tests/prompts/data/detection_wordings.jsonl
  python -m benchmarks.detection_accuracy --data tests/prompts/data/outside_wordings_7.jsonl
  python -m benchmarks.detection_accuracy --data FILE           the official questions, from your own copy

A line holds prompt (or input_field), task_type and optionally is_multiple_choice.
"""
WORDINGS = ROOT / "tests" / "prompts" / "data" / "detection_wordings.jsonl"
_SHOWN_CHARACTERS = 100


class Labelled(NamedTuple):
    """A prompt as the evaluator gives it, and its true task type."""

    line: int
    prompt: str
    is_multiple_choice: bool
    task_type: TaskType


class Detected(NamedTuple):
    """A labelled prompt and its detected type."""

    labelled: Labelled
    task_type: TaskType

    @property
    def is_right(self) -> bool:
        """Whether the detected type is the true one."""
        return self.task_type is self.labelled.task_type


def main(argv: Sequence[str] | None = None) -> int:
    """Detect by the options of the command line; print tables and return 0."""
    options = make_parser("detection_accuracy", __doc__, EXAMPLES, data=WORDINGS).parse_args(argv)
    prompts = read_labelled(options.data)[: options.limit]
    detected = [Detected(p, detect_task_type(Question(p.prompt), p.is_multiple_choice)) for p in prompts]
    report = summarise(detected)
    # Detection takes a moment: there are no parts to keep.
    results = Results(options.results, conditions(1, None), fresh=True)
    results.finish({**report, "data": describe_data(options.data, len(prompts)), "sources": source_digest()})
    _print(report)
    return 0


def read_labelled(path: Path) -> list[Labelled]:
    """Read prompts with their task types from JSON Lines.

    Raises:
        UserError: the file cannot be read, holds no prompt, or a line lacks a field.
    """
    prompts = [_labelled(number, found) for number, found in enumerate(read_rows(path), start=1)]
    if not prompts:
        raise UserError(f"{path} holds no prompt: write one JSON object per line")
    return prompts


def _labelled(number: int, found: Placed) -> Labelled:
    where, value = found.place, found.value
    prompt, name = value.get("prompt", value.get("input_field")), value.get("task_type")
    if not isinstance(prompt, str):
        raise UserError(f"{where}: field 'prompt' (or 'input_field') must be a string: give the text of the prompt")
    if name not in set(TaskType):
        raise UserError(f"{where}: field 'task_type' is {name!r}; use one of {', '.join(TaskType)}")
    given = value.get("is_multiple_choice", name == TaskType.MULTIPLE_CHOICE)
    if not isinstance(given, bool):
        raise UserError(f"{where}: field 'is_multiple_choice' is {given!r}: write true, false or leave it out")
    return Labelled(number, prompt, given, TaskType(name))


def summarise(detected: Sequence[Detected]) -> Json:
    """Return accuracies by type, overall and without multiple choice, which the evaluator flags; confusions; misses."""
    text = [item for item in detected if not item.labelled.is_multiple_choice]
    return {
        "all": _share(detected),
        "without_multiple_choice": _share(text),
        "task_types": {
            kind.value: _share(members)
            for kind in TaskType
            if (members := [item for item in detected if item.labelled.task_type is kind])
        },
        "confusion": _confusion(detected),
        "misses": [_miss(item) for item in detected if not item.is_right],
    }


def _share(detected: Sequence[Detected]) -> Json:
    right = sum(item.is_right for item in detected)
    return {"prompts": len(detected), "right": right, "accuracy": right / len(detected) if detected else None}


def _confusion(detected: Sequence[Detected]) -> dict[str, dict[str, int]]:
    """Return the number of prompts by true type (outer key) and detected type (inner key)."""
    counts = Counter((item.labelled.task_type, item.task_type) for item in detected)
    return {true.value: {found.value: counts[true, found] for found in TaskType} for true in TaskType}


def _miss(item: Detected) -> Json:
    return {
        "line": item.labelled.line,
        "task_type": item.labelled.task_type.value,
        "detected": item.task_type.value,
        "prompt": item.labelled.prompt,
    }


def _print(report: Json) -> None:
    totals = (("without multiple-choice", report["without_multiple_choice"]), ("all", report["all"]))
    rows = [_cells(name, share) for name, share in [*report["task_types"].items(), *totals]]
    print_table(("task type", "prompts", "right", "accuracy"), rows)
    confusion: Mapping[str, Mapping[str, int]] = report["confusion"]
    print_table(
        ("is, was taken for", *(kind.value for kind in TaskType)),
        [(true, *(str(count) for count in counts.values())) for true, counts in confusion.items()],
    )
    for miss in report["misses"]:
        text = " ".join(miss["prompt"].split())[:_SHOWN_CHARACTERS]
        print(f"line {miss['line']}: {miss['task_type']} taken for {miss['detected']}: {text}")
    print(f"{len(report['misses'])} of {report['all']['prompts']} prompts missed")


def _cells(name: str, share: Json) -> list[str]:
    return [name, str(share["prompts"]), str(share["right"]), shown(share["accuracy"])]


if __name__ == "__main__":
    sys.exit(exit_code(main))
