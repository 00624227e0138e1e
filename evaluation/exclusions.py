"""Write an exclusion list: the parts of evaluation questions that must stay out of a catalogue of products.

`python -m retrieval.products build --exclude` reads the list, and leaves out products and queries that occur in it.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from evaluation.questions import QuestionRow, read_questions
from prompts.reading import Question, read_actions, read_numbered_list, read_query
from retrieval.products.exclusion_list import EvaluationFile, QuestionParts
from utilities.errors import UserError, exit_code
from utilities.files import write_text, writing
from utilities.fingerprint import sha256
from utilities.options import command_parser

EXAMPLES = """\
examples:
  python -m evaluation.exclusions my_questions.json other.json --output exclusions.jsonl
  python -m retrieval.products build --output catalog products.parquet --exclude exclusions.jsonl

exit code: 0, or 2 for input that cannot be used
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the list that the command line names, and return 0."""
    parser = command_parser("python -m evaluation.exclusions", __doc__, EXAMPLES)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="evaluation questions, JSON Lines")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the exclusion list to write")
    options = parser.parse_args(argv)
    write_exclusion_list(options.files, options.output)
    print(f"{options.output}: the questions of {', '.join(path.name for path in options.files)}")
    return 0


def write_exclusion_list(files: Sequence[Path], output: Path) -> None:
    """Write the exclusion list of evaluation files.

    Raises:
        UserError: a file cannot be read or a line is not a question, or the list cannot be written.
    """
    lines = [line for path in files for line in _lines(path)]
    with writing("--output", output):
        if any(path.samefile(output) for path in files if output.exists()):
            raise UserError(f"--output {output} is one of the evaluation files: name another file")
        write_text(output, "".join(f"{line}\n" for line in lines))


def _lines(path: Path) -> Iterator[str]:
    questions = read_questions(path)
    yield json.dumps(asdict(EvaluationFile(path.name, sha256(path), len(questions))), ensure_ascii=False)
    for question in questions:
        line = json.dumps(asdict(_parts(question)), ensure_ascii=False)
        # UTF-8 cannot encode a lone surrogate; like the question mark, it is part of no word.
        yield line.encode("utf-8", "replace").decode()


def _parts(question: QuestionRow) -> QuestionParts:
    reference = question.output_field
    answers = reference if isinstance(reference, list) else [reference]
    listed = read_numbered_list(question.input_field)
    asked = Question(question.input_field)
    query = read_query(asked)
    return QuestionParts(
        texts=(question.input_field, *(answer for answer in answers if isinstance(answer, str))),
        items=tuple(item.text for item in listed.items) if listed else (),
        queries=(*([query] if query else []), *read_actions(asked)),
    )


if __name__ == "__main__":
    sys.exit(exit_code(main))
