"""The evaluator's local stand-in: ask the UserModel every question, score its answers, save both."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utilities.errors import UserError, exit_code
from utilities.files import write_json, write_text
from utilities.options import positive

if TYPE_CHECKING:
    from evaluation.loop import Prediction
    from evaluation.questions import QuestionRow
    from evaluation.run_record import Run
    from models.trace import Trace

TRACE = "trace.jsonl"
EXAMPLES = """\
examples:
  python local_evaluation.py
      ask the model of models/user_config.py every question of data/development.json
  python local_evaluation.py --limit 8 --output outputs/trial
      ask the first 8 questions only
  python local_evaluation.py --answers outputs/answers.jsonl --output outputs/rescored
      score saved answers again, without a model

files in the output folder:
  answers.jsonl    one JSON string a line, in the order of the data
  scores.json      scores, seconds, fallbacks, settings, weights, versions
  questions.jsonl  the questions in their own format, with what each answer scored and took
  trace.jsonl      what the model did with each question: prompt, evidence, scores of labels
  report.html      all of it as a page to read; to compare runs: python -m evaluation.report --help

exit code: 0 when scored, 2 when an input or the model breaks the evaluator's contract
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate by the options of the command line; print tables and return 0."""
    options = _options(argv)
    # Imported after the options are read: `--help` and a mistyped option answer at once.
    from evaluation.questions import read_questions

    questions = read_questions(options.data)[: options.limit]
    _make_folder(options.output)
    kept = options.output / "answers.jsonl"
    if options.answers is None:
        run = _run_user_model(questions, kept)
        _score(options, questions, run.prediction.answers, run)
    else:
        answers = read_answers(options.answers, len(questions))
        save_answers(kept, answers)
        # What an earlier run in this folder did is nothing that these answers came from.
        (options.output / TRACE).unlink(missing_ok=True)
        _score(options, questions, answers, None)
    if not options.no_report:
        _report(options.output)
    return 0


def read_answers(path: Path, expected: int) -> list[str]:
    """Read saved answers, one JSON string a line.

    Raises:
        UserError: the file cannot be read, a line is no JSON string, or there are not `expected` of them.
    """
    from evaluation.questions import json_lines

    answers: list[str] = []
    for number, value in json_lines(path):
        if not isinstance(value, str):
            raise UserError(f"{path}, line {number}: not a JSON string: write one answer a line, in double quotes")
        if len(answers) == expected:
            raise UserError(f"{path}, line {number}: an answer too many for {expected} questions: {_COUNT_REMEDY}")
        answers.append(value)
    if len(answers) < expected:
        raise UserError(f"{path} ends after {len(answers)} answers to {expected} questions: {_COUNT_REMEDY}")
    return answers


_COUNT_REMEDY = "give one answer a question, with the --data and --limit that the answers were made with"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="local_evaluation.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        default=Path("data/development.json"),
        help="questions as JSON Lines (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("outputs"),
        help="folder for the files listed below (default: %(default)s)",
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="use the first N questions only")
    parser.add_argument("--no-report", action="store_true", help="write no report.html")
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="score these saved answers instead of running the model"
    )
    return parser.parse_args(argv)


def _make_folder(folder: Path) -> None:
    """Find out that the folder cannot be had before the model runs, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {folder}: no folder can be made there ({error.strerror})") from None


def _run_user_model(questions: Sequence["QuestionRow"], kept: Path) -> "Run":
    """Answer all questions; whatever fails afterwards, the answers are kept."""
    from evaluation.loop import predict
    from evaluation.run_record import record_run
    from models.trace import start_trace

    started = time.perf_counter()
    from models.user_config import UserModel

    model = UserModel()
    load_seconds = time.perf_counter() - started
    trace = start_trace(model)
    prediction = predict(model, questions)
    save_answers(kept, prediction.answers)
    _save_trace(kept.with_name(TRACE), trace, prediction)
    return record_run(model, prediction, load_seconds)


def _save_trace(path: Path, trace: "Trace | None", prediction: "Prediction") -> None:
    """Write what the model did with each question; a model that keeps no trace leaves none of an earlier run."""
    from evaluation.question_record import write_trace

    path.unlink(missing_ok=True)
    if trace is not None and len(trace.questions) == len(prediction.answers):
        write_trace(path, prediction.in_order(trace.questions))


def save_answers(path: Path, answers: Sequence[str]) -> None:
    """Write one JSON string a line, as `read_answers` reads them."""
    write_text(path, "".join(f"{_json_string(answer)}\n" for answer in answers))


def _json_string(answer: str) -> str:
    """Keep every script readable, but escape an answer with half a surrogate pair, which UTF-8 lacks."""
    return json.dumps(answer, ensure_ascii=any("\ud800" <= character <= "\udfff" for character in answer))


def _score(
    options: argparse.Namespace,
    questions: Sequence["QuestionRow"],
    answers: Sequence[str],
    run: "Run | None",
) -> None:
    from evaluation.question_record import question_records, write_questions
    from evaluation.run_record import NO_RUN, describe_data, versions
    from evaluation.score_table import console_for, print_run, print_scores
    from evaluation.scores import score_answers

    scores = score_answers(questions, answers)
    data = describe_data(options.data, len(questions))
    record = {
        **scores.to_json(),
        **(run.to_json() if run else NO_RUN),
        "versions": versions(),
        "data": data,
    }
    records = question_records(questions, scores.rows, run.prediction if run else None)
    write_questions(options.output / "questions.jsonl", records)
    write_json(options.output / "scores.json", record)
    console = console_for(sys.stdout)
    print_scores(scores, console)
    if run:
        print_run(run, data["sha256"], console)
    console.print(f"files: {options.output / 'answers.jsonl'}, {options.output / 'scores.json'}", soft_wrap=True)


def _report(folder: Path) -> None:
    """Write report.html; what goes wrong there takes nothing from a run that is scored and saved."""
    path = folder / "report.html"
    try:
        from evaluation.report.page import write_report
        from evaluation.report.runs import read_run

        write_report([read_run(folder)], path)
    except (UserError, OSError) as error:
        print(f"no report: {error}", file=sys.stderr)
    except Exception as error:  # noqa: BLE001 - a fault of the report, which the scores on disk outlive
        print(f"no report: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
    else:
        print(f"report: {path}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
