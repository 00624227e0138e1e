"""Finds questions that share content, eight words in a row, with the rows that a model was trained on."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Results, conditions, make_parser
from evaluation.questions import QuestionRow, read_questions
from tuning.selection.decontamination import UnseenContent
from tuning.selection.question_text import read_parts
from utilities.errors import exit_code
from utilities.fingerprint import sha256
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.shared_content --rows selected/train_2000.jsonl --data selected/held_out.jsonl official.json

Content is shared by the rule by which `python -m tuning.select_data` drops rows. `--among` names the rows from which
training rows were selected: with more rows, instructions are better separated from content. The JSON has line numbers.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Compare by the options of the command line; print a table and return 0."""
    options = _options(argv)
    rows = [read_questions(path) for path in options.rows]
    among = [question for path in options.among or options.rows for question in read_questions(path)]
    asked = {path.name: read_questions(path) for path in options.data}
    everything = [*among, *(each for questions in asked.values() for each in questions)]
    trained = [each for file in rows for each in file]
    seen = UnseenContent(*([read_parts(each.input_field) for each in group] for group in (trained, everything)))
    shared = {name: _shared(questions, seen) for name, questions in asked.items()}
    results = Results(options.results, conditions(1, None), fresh=True)
    files = {str(path): sha256(path) for path in (*options.rows, *options.data)}
    results.finish({"shared": {name: [n + 1 for n in numbers] for name, numbers in shared.items()}, "files": files})
    lines = [
        [name, f"{len(asked[name])}", f"{len(found)}", _tasks(asked[name], found)] for name, found in shared.items()
    ]
    print_table(["questions", "in all", "shared", "tasks"], lines)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("shared_content", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--rows", type=Path, nargs="+", required=True, metavar="FILE", help="rows that were trained on")
    add("--data", type=Path, nargs="+", required=True, metavar="FILE", help="questions that should be unseen")
    add("--among", type=Path, nargs="+", metavar="FILE", help="rows with the same instructions (default: --rows)")
    return parser.parse_args(argv)


def _shared(questions: Sequence[QuestionRow], seen: UnseenContent) -> list[int]:
    parts = [read_parts(question.input_field) for question in questions]
    return [number for number, each in enumerate(parts) if seen.touches(each.words)]


def _tasks(questions: Sequence[QuestionRow], numbers: Sequence[int]) -> str:
    counts = Counter(questions[number].task_name for number in numbers)
    return ", ".join(f"{task} {count}" for task, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(exit_code(main))
