"""Select training rows from public instruction data: read, clean, keep apart from evaluation, draw by task.

Every row that is kept is one that the package asks and answers itself: its task type is detected, its prompt is built,
and the right answer lies in the prompt's answer space. What is dropped is counted by reason. Each training set holds
every smaller one, with the tasks in the same proportion. Held-out rows are drawn first; no training row shares eight
words in a row with them, or with a file of --against, beyond the wording of instructions.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evaluation.questions import read_questions
from evaluation.score_table import console_for
from prompts.settings import PromptSettings
from retrieval.products.columns import read_columns
from tuning.selection import reviews
from tuning.selection.cleaning import Cleaner, Rules
from tuning.selection.options import ReadingOptions
from tuning.selection.registry import FORMATS, Format, format_of
from tuning.selection.report import all_drops, file_record, print_report, record
from tuning.selection.sampling import Selected, Shares, select
from tuning.selection.writing import HELD_OUT, Places, check_inputs_stay, write_selection
from utilities.errors import UserError, exit_code

SIZES = (2000, 4750, 6000, 6100, 10000, 20000)
EXAMPLES = f"""\
formats, told apart by their fields unless --source names one:
{chr(10).join(f"  {name:<12}{known.words}" for name, known in FORMATS.items())}

examples:
  python -m tuning.select_data --source rows.jsonl --against data/development.json --output selected
  python -m tuning.select_data --source esci=examples.parquet --products products.parquet \\
      --source ecinstruct=ECInstruct.json --source reviews=reviews.csv --columns text=body,stars=score \\
      --against data/development.json --held-out 1000 --output selected
  python -m tuning.select_data --source shopbench=rows.jsonl --source ranking.jsonl --sizes 2000 6000 --held-out 1000 \\
      --most ranking=2000 --weight PQA=0.5 --leave-out ACR --seed 1 --output selected
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Select by the options of the command line, write the files, print what was kept and dropped; return 0."""
    options = _options(argv)
    places = _places(options)
    evaluation = [question.input_field for path in options.against for question in read_questions(path)]
    cleaner = Cleaner(Rules(frozenset(options.leave_out), options.longest, options.skip_corrupt))
    sources = [_read(cleaner, named, options) for named in options.source]
    cleaner.check_names()
    cleaner.keep_usable(evaluation, PromptSettings())
    if not cleaner.kept:
        raise UserError(f"no row is left of {_files(options)}: {_commonest(cleaner)}")
    shares = Shares(dict(options.most), dict(options.weight))
    selected = select(cleaner.kept, shares, options.held_out, options.seed)
    sizes = _checked_sizes(options.sizes, selected, options.held_out)
    drops = all_drops(cleaner.dropped, selected.too_near)
    told = {"sources": sources, "against": [file_record(path) for path in options.against], **_settings(options)}
    write_selection(selected, sizes, record(selected, drops, sizes, told), places)
    print_report(selected, drops, sizes, console_for(sys.stdout))
    print(f"written: {options.output}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.select_data",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_files(parser)
    _add_cleaning(parser)
    _add_sampling(parser)
    return parser.parse_args(argv)


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--source", type=_source, nargs="+", action="extend", required=True, metavar="[FORMAT=]FILE", help="rows")
    add("--products", type=Path, nargs="+", default=[], metavar="FILE", help="titles of the products that esci judges")
    add("--columns", type=_columns, default={}, metavar="FIELD=COLUMN,...", help="of reviews: text and stars")
    add("--split", default=ReadingOptions.split, help="of ecinstruct and esci (default: %(default)s)")
    add("--setting", default=ReadingOptions.setting, help="of ecinstruct (default: %(default)s)")
    add("--locale", default=ReadingOptions.locale, help="of esci (default: %(default)s)")
    add("--against", type=Path, nargs="+", default=[], metavar="FILE", help="evaluation questions that stay unseen")
    add("--output", type=Path, required=True, metavar="DIR", help="gets train_N.jsonl, held_out.jsonl, selection.json")
    add("--held-out-output", type=Path, metavar="FILE", help="default: DIR/held_out.jsonl")


def _add_cleaning(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--leave-out", nargs="+", default=[], metavar="TASK", help="tasks that are not used")
    add("--longest", type=_whole, default=4000, metavar="N", help="characters of question and answer (default: 4000)")
    add("--skip-corrupt", action="store_true", help="count damaged rows of JSON files and go on")


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    sizes = " ".join(map(str, SIZES))
    add("--sizes", type=_whole, nargs="+", default=SIZES, metavar="N", help=f"of the training sets (default: {sizes})")
    add("--held-out", type=_count, default=0, metavar="N", help="rows that no training set holds (default: 0)")
    add("--most", type=_most, nargs="+", default=[], metavar="[TASK=]N", help="the most rows of a task, or of each")
    add("--weight", type=_weight, nargs="+", default=[], metavar="TASK=W", help="a task's share, times W")
    add("--seed", type=int, default=0, metavar="S", help="of the sample (default: 0)")


def _source(text: str) -> tuple[str, Path]:
    """Read `rows.jsonl` or `shopbench=rows.jsonl`."""
    name, equals, file = text.partition("=")
    if not equals or Path(text).exists():
        return "", Path(text)
    if name not in FORMATS:
        raise argparse.ArgumentTypeError(f"{name!r} is no format: use one of {', '.join(FORMATS)}")
    return name, Path(file)


def _columns(text: str) -> dict[str, str]:
    """Read `text=body,stars=score`."""
    try:
        return dict(read_columns(reviews.COLUMNS, text, "--columns").named)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _whole(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return int(text)


def _most(text: str) -> tuple[str, int]:
    """Read `500` or `PQA=500`."""
    task, _, number = text.rpartition("=")
    return task, _whole(number)


def _weight(text: str) -> tuple[str, float]:
    task, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = 0.0
    if not task or not 0 < weight < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no task with a number above 0, such as PQA=0.5")
    return task, weight


def _read(cleaner: Cleaner, named: tuple[str, Path], options: argparse.Namespace) -> dict[str, object]:
    """Read and clean one file; return its record."""
    name, path = named
    known: Format = FORMATS[name] if name else format_of(path)
    readings = known.read(path, _reading(options))
    count, kept = cleaner.add_all(tqdm(readings, desc=path.name, unit="row", mininterval=1))
    return file_record(path, rows=count, kept=kept)


def _reading(options: argparse.Namespace) -> ReadingOptions:
    return ReadingOptions(
        options.split, options.setting, options.locale, tuple(options.products), options.columns, options.seed
    )


def _places(options: argparse.Namespace) -> Places:
    """Return where the files go.

    Raises:
        UserError: an input lies there, or a file is named for held-out rows that are not asked for.
    """
    if options.held_out_output and not options.held_out:
        raise UserError("--held-out-output needs --held-out N: say how many rows are held out")
    places = Places(options.output, options.held_out_output or options.output / HELD_OUT)
    check_inputs_stay((*(path for _, path in options.source), *options.against, *options.products), places)
    return places


def _files(options: argparse.Namespace) -> str:
    return ", ".join(str(path) for _, path in options.source)


def _commonest(cleaner: Cleaner) -> str:
    """Say what most rows were dropped for."""
    reasons: dict[str, int] = {}
    for (_, reason), count in cleaner.dropped.items():
        reasons[reason] = reasons.get(reason, 0) + count
    listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda each: -each[1]))
    return f"dropped are {listed}; use other files or options" if listed else "name files with rows"


def _checked_sizes(sizes: Sequence[int], selected: Selected, held_out: int) -> list[int]:
    """Return the sizes of the training sets in order.

    Raises:
        UserError: there are fewer rows than are to be held out, or than the largest set needs.
    """
    apart, there = len(selected.held_out), len(selected.training)
    if apart < held_out:
        raise UserError(f"--held-out: {held_out} rows are more than there are: {apart}, with none left to train on")
    if held_out and not there:
        raise UserError(f"--held-out {held_out} leaves no row to train on: hold out fewer, or use more files")
    wanted = sorted(set(sizes))
    if wanted[-1] > there:
        beside = f" beside --held-out {held_out}" if held_out else ""
        raise UserError(f"--sizes: {wanted[-1]} rows are more than there are: {there} is the largest possible{beside}")
    return wanted


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    names = ("seed", "split", "setting", "locale", "leave_out", "longest")
    told = {name: getattr(options, name) for name in names}
    return {**told, "most": dict(options.most), "weight": dict(options.weight)}


if __name__ == "__main__":
    sys.exit(exit_code(main))
