"""Local evaluation: asks the UserModel every question like the evaluator, scores its answers and saves both."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utilities.errors import UserError, exit_code
from utilities.files import check_folder, write_json, write_json_lines
from utilities.options import command_parser, positive, text

if TYPE_CHECKING:
    from evaluation.questions import QuestionRow
    from evaluation.run_record import RunRecord

EXAMPLES = """\
examples:
  python local_evaluation.py
      ask the model of models/user_config.py every question of data/development.json
  python local_evaluation.py --limit 8 --output outputs/trial
      ask the first 8 questions only
  python local_evaluation.py --samples 1-20,query_entities --set prompts.external_information=0
      ask some questions, with a changed setting
  python local_evaluation.py --weights /path/to/model --clock track
      ask another model, and rehearse the time limits of the track
  python local_evaluation.py --answers outputs/answers.jsonl --output outputs/rescored
      score saved answers again, without a model

A run that was killed continues when the same command is typed again: answers are saved batch by batch.

files in the output folder:
  answers.jsonl    one JSON string a line, in the order of the data
  scores.json      scores, seconds, fallbacks, settings, weights, versions
  questions.jsonl  the questions in their own format, with score, batch and seconds of each answer
  trace.jsonl      prompt, evidence and scores of labels of each question
  report.html      all of it as a page; to compare runs: python -m evaluation.report --help

exit code: 0 if scored, 1 if more than half of the questions fell back for one reason, 2 if an input is not valid or
the model breaks the evaluator's contract
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate by the options of the command line; print tables and return 0."""
    options = _options(argv)
    # Imported after the options are read, so that `--help` and a mistyped option answer at once.
    from evaluation.questions import read_questions
    from evaluation.run_options import sampled

    questions = read_questions(options.data)
    questions = (sampled(questions, options.samples) if options.samples else questions)[: options.limit]
    check_folder(options.output, "--output")
    run: RunRecord | None = None
    if options.answers is None:
        answers, run = _run_user_model(questions, options)
    else:
        answers = _saved_answers(options, len(questions))
    _evaluate(options, questions, answers, run)
    if not options.no_report:
        _report(options.output)
    return 1 if run and run.failed_by else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("local_evaluation.py", __doc__, EXAMPLES)
    data, output = Path("data/development.json"), Path("outputs")
    add = parser.add_argument
    add("--data", type=Path, metavar="FILE", default=data, help="questions, JSON or a table (default: %(default)s)")
    add("--output", type=Path, metavar="DIR", default=output, help="folder for the files below (default: %(default)s)")
    add("--limit", type=positive, metavar="N", help="use the first N questions only")
    add(
        "--samples",
        type=text,
        metavar="LIST",
        help="use these questions only: numbers from 1, ranges, tasks, as in 3,8-20,my_task",
    )
    add("--no-report", action="store_true", help="write no report.html")
    add("--answers", type=Path, metavar="FILE", help="score these saved answers instead of running the model")
    model = parser.add_argument_group("the model", "each option replaces the environment variable in brackets")
    model.add_argument("--model", type=text, metavar="NAME", help="an entry of the model registry (SHOPALIGN_MODEL)")
    model.add_argument(
        "--weights", type=text, metavar="DIR", help="a folder in Hugging Face layout (SHOPALIGN_WEIGHTS)"
    )
    model.add_argument("--adapter", type=text, metavar="DIR", help="a LoRA adapter, or none (SHOPALIGN_ADAPTER)")
    model.add_argument("--settings", type=Path, metavar="FILE", help="a settings file (SHOPALIGN_SETTINGS)")
    model.add_argument("--set", action="append", metavar="NAME=VALUE", help="change one setting; may be repeated")
    clock = "none: only an engine that hangs is ended (default); track: the evaluator's limits end slow answers"
    model.add_argument("--clock", choices=("none", "track"), default="none", help=clock)
    return parser.parse_args(argv)


def _run_user_model(
    questions: Sequence["QuestionRow"], options: argparse.Namespace
) -> tuple[Sequence[str], "RunRecord"]:
    """Answer all questions, and save answers and trace at once, so that later failures do not lose them."""
    from evaluation.loop import HasClock, predict
    from evaluation.question_record import write_trace
    from evaluation.run_options import chosen_model
    from evaluation.run_record import journal_of, record_run
    from models.trace import start_trace

    started = time.perf_counter()
    with chosen_model(options):
        from models.user_config import UserModel

        model = UserModel()
    load_seconds = time.perf_counter() - started
    if options.clock == "none" and isinstance(model, HasClock):
        model.lift_limits()
    # A rehearsal of the track's time cannot be interrupted.
    journal = journal_of(model, options.data, questions, options.output) if options.clock == "none" else None
    if journal and journal.note:
        print(journal.note)
    prediction = predict(model, questions, start_trace(model), journal)
    write_json_lines(options.output / "answers.jsonl", prediction.answers)
    (options.output / "trace.jsonl").unlink(missing_ok=True)
    if prediction.traced:
        write_trace(options.output / "trace.jsonl", prediction.traced)
    if journal:
        journal.remove()
    return prediction.answers, record_run(model, prediction, load_seconds, options.clock)


def _saved_answers(options: argparse.Namespace, expected: int) -> Sequence[str]:
    """Read the answers of `--answers` and save them; the trace of an earlier run in the folder is not theirs."""
    from evaluation.question_record import read_answers

    for name in ("model", "weights", "adapter", "settings", "set"):
        if getattr(options, name):
            raise UserError(f"--{name} is for a model that is asked: leave it out beside --answers")
    answers = read_answers(options.answers)
    if len(answers) != expected:
        raise UserError(
            f"{options.answers} holds {len(answers)} answers to {expected} questions: "
            "give one answer a question, with the --data, --limit and --samples that the answers were made with"
        )
    write_json_lines(options.output / "answers.jsonl", answers)
    (options.output / "trace.jsonl").unlink(missing_ok=True)
    return answers


def _evaluate(
    options: argparse.Namespace, questions: Sequence["QuestionRow"], answers: Sequence[str], run: "RunRecord | None"
) -> None:
    """Score the answers, write scores.json and questions.jsonl, and print tables."""
    from evaluation.question_record import question_records, write_questions
    from evaluation.run_record import NO_RUN, describe_data, versions
    from evaluation.score_table import print_run, print_scores, print_warnings
    from evaluation.scores import score_answers

    scores = score_answers(questions, answers)
    data = describe_data(options.data, len(questions))
    described = run.to_json() if run else NO_RUN
    records = question_records(questions, scores.rows, run.prediction if run else None)
    write_questions(options.output / "questions.jsonl", records)
    scores_file = options.output / "scores.json"
    write_json(scores_file, {**scores.to_json(), **described, "versions": versions(), "data": data})
    if run:
        print_warnings(run)
    print_scores(scores)
    if run:
        print_run(run, data["sha256"])
    print(f"files: {options.output / 'answers.jsonl'}, {scores_file}")


def _report(folder: Path) -> None:
    """Write report.html; if this fails, print the error and keep the saved run unchanged."""
    path = folder / "report.html"
    try:
        from evaluation.report.page import write_report
        from evaluation.report.runs import read_run

        write_report([read_run(folder)], path)
    except Exception as error:  # noqa: BLE001 - a bug in the report must not make a saved run fail
        known = isinstance(error, UserError | OSError)
        problem = str(error) if known else f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(f"no report: {problem}", file=sys.stderr)
    else:
        print(f"report: {path}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
