"""Predict how long a model takes for every track on given devices, and whether it fits into their memory."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utilities.errors import UserError, exit_code
from utilities.options import positive
from utilities.tracks import TRACKS, track_by_number

if TYPE_CHECKING:
    from submission.time_budget.printing import Prediction

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
    _check_output(options.output)
    named = dict(_track_questions(text) for text in options.questions)
    chosen = [track.number for track in TRACKS] if options.all_tracks else [track_by_number(options.track).number]
    prediction = _predict(options, named)
    # Imported after the options are read: `--help` and a mistyped option answer at once.
    from submission.time_budget.printing import print_prediction

    print_prediction(prediction, chosen)
    if options.output:
        _write(options.output, prediction)
    return 0


def _check_output(path: Path | None) -> None:
    if path and path.is_dir():
        raise UserError(f"--output {path} is a folder: name a file in it")


def _write(path: Path, prediction: "Prediction") -> None:
    from utilities.files import write_json

    try:
        write_json(path, prediction.to_json())
    except OSError as error:
        raise UserError(f"--output {path} cannot be written ({error.strerror}): name another file") from error


def _predict(options: argparse.Namespace, named: dict[int, int]) -> "Prediction":
    from evaluation.questions import read_questions
    from models.engines.model_registry import model_entry
    from models.settings import load_settings
    from submission.time_budget.devices import device_named
    from submission.time_budget.prediction import Machine
    from submission.time_budget.printing import Prediction
    from submission.time_budget.token_figures import counting_for
    from submission.time_budget.track_questions import assumed_questions, budgets, count_groups, largest_work

    entry, data = model_entry(options.model), read_questions(options.data)
    counting, questions = counting_for(entry), assumed_questions(named)
    device, assumptions = device_named(options.gpu)
    machine = Machine(entry, device, options.count or entry.tensor_parallel, assumptions)
    groups = count_groups(data, machine, counting, load_settings())
    memory = machine.memory(largest_work(groups))
    return Prediction(machine, counting, questions, tuple(budgets(groups, machine, questions)), memory)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m submission.time_budget",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        default="smollm2-135m-instruct",
        help="a model of models/engines/model_registry.yaml (default: %(default)s)",
    )
    parser.add_argument(
        "--gpu",
        metavar="NAME",
        required=True,
        help="a device of submission/time_budget/devices.yaml, or cpu: this machine, measured now",
    )
    _add_scope(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write all figures as JSON as well")
    return parser.parse_args(argv)


def _add_scope(parser: argparse.ArgumentParser) -> None:
    """Add what is predicted for: how many devices, which tracks, which questions."""
    parser.add_argument(
        "--count", type=positive, metavar="N", help="devices (default: the model's own number in the catalogue)"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--track", type=int, metavar="N", default=3, help="show this track by task type (default: %(default)s)"
    )
    shown.add_argument("--all-tracks", action="store_true", help="show every track by task type")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        default=Path("data/development.json"),
        help="sample questions as JSON Lines (default: %(default)s)",
    )
    parser.add_argument(
        "--questions",
        action="append",
        metavar="TRACK=N",
        default=[],
        help="questions of a track, may be repeated (default: 2,373 of track 3, the others by their minutes)",
    )


def _track_questions(text: str) -> tuple[int, int]:
    number, _, count = text.partition("=")
    if not number.isdecimal() or not count.isdecimal() or int(count) < 1:
        raise UserError(f"--questions {text}: write the track's number and how many it has, such as 3=2373")
    return track_by_number(int(number)).number, int(count)


if __name__ == "__main__":
    sys.exit(exit_code(main))
