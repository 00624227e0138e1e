"""Predict how long a model takes for every track on given devices, and whether it fits into their memory."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utilities.errors import UserError, exit_code
from utilities.files import write_json, writing
from utilities.options import command_parser, positive
from utilities.tracks import TRACKS, track_by_number

EXAMPLES = """\
examples:
  python -m submission.time_budget --model llama3-70b-awq --gpu t4 --count 4 --track 3
      all tracks, and the task types of track 3
  python -m submission.time_budget --model qwen2-72b-awq --gpu l4 --all-tracks --output outputs/budget.json
      the task types of every track, and all figures as JSON
  python -m submission.time_budget --gpu cpu --questions 3=500
      the default model on this machine, whose speed is measured first

Sample questions come from --data; prompts are built as for an evaluation and their tokens counted. Models are those of
models/engines/model_registry.yaml, devices those of submission/time_budget/devices.yaml; every assumption is printed.
docs/time_budget.md has the formulas.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Predict by the options of the command line; print tables and return 0."""
    options = _options(argv)
    if options.output and options.output.is_dir():
        raise UserError(f"--output {options.output} is a folder: name a file in it")
    _predict(options)
    return 0


def _predict(options: argparse.Namespace) -> None:
    # Imported after the options are read, so that `--help` and a mistyped option answer at once.
    from evaluation.questions import read_questions
    from models.engines.model_registry import model_entry
    from models.settings import load_settings
    from submission.time_budget.devices import device_named
    from submission.time_budget.prediction import Machine
    from submission.time_budget.printing import Prediction, print_prediction
    from submission.time_budget.token_counting import counting_for
    from submission.time_budget.track_questions import assumed_questions, budgets, count_groups, largest_work

    entry, data = model_entry(options.model), read_questions(options.data)
    counting, questions = counting_for(entry), assumed_questions(dict(options.questions))
    device, assumptions = device_named(options.gpu)
    machine = Machine(entry, device, options.count or entry.tensor_parallel, assumptions)
    groups = count_groups(data, machine, counting, load_settings())
    memory = machine.memory(largest_work(groups))
    prediction = Prediction(machine, counting, questions, tuple(budgets(groups, machine, questions)), memory)
    print_prediction(prediction, TRACKS if options.all_tracks else [options.track])
    if options.output:
        with writing("--output", options.output):
            write_json(options.output, prediction.to_json())


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m submission.time_budget", __doc__, EXAMPLES)
    add = parser.add_argument
    model = "a model of models/engines/model_registry.yaml (default: %(default)s)"
    device = "a device of submission/time_budget/devices.yaml, or cpu: this machine, measured now"
    add("--model", metavar="NAME", default="smollm2-135m-instruct", help=model)
    add("--gpu", metavar="NAME", required=True, help=device)
    add("--count", type=positive, metavar="N", help="devices (default: the number in the model registry)")
    shown, track = parser.add_mutually_exclusive_group(), "show this track by task type (default: %(default)s)"
    shown.add_argument("--track", type=track_by_number, metavar="N", default="3", help=track)
    shown.add_argument("--all-tracks", action="store_true", help="show every track by task type")
    data, sample = Path("data/development.json"), "sample questions as JSON Lines (default: %(default)s)"
    add("--data", type=Path, metavar="FILE", default=data, help=sample)
    questions = "questions of a track, may be repeated (default: 2,373 of track 3, the others by their minutes)"
    add("--questions", type=_track_questions, action="append", metavar="TRACK=N", default=[], help=questions)
    add("--output", type=Path, metavar="FILE", help="also write all figures as JSON")
    return parser.parse_args(argv)


def _track_questions(text: str) -> tuple[int, int]:
    """Read `3=2373`."""
    number, _, count = text.partition("=")
    return track_by_number(number).number, positive(count)


if __name__ == "__main__":
    sys.exit(exit_code(main))
