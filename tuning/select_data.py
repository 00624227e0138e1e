"""Select training rows from public instruction data: read, clean, separate from evaluation, draw by task.

Every selected row is a question that the package answers itself: its task type is detected, its prompt is built, and
the right answer lies in the prompt's answer space. Dropped rows are counted by reason. Each training set contains every
smaller one, with the tasks in the same proportion. Held-out rows are drawn first; no training row shares eight
consecutive words with them, or with a file of --against, beyond the wording of instructions.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evaluation.questions import read_questions
from prompts.settings import PromptSettings
from retrieval.products.columns import read_columns
from tuning.selection import reviews
from tuning.selection.cleaning import LONGEST, Cleaner
from tuning.selection.drawing import Selected, Shares, select
from tuning.selection.registry import FORMATS, format_of
from tuning.selection.rows import ReadingOptions
from tuning.selection.selection_files import HELD_OUT, Places, Result, check_inputs_stay
from utilities.errors import UserError, exit_code
from utilities.fingerprint import file_record
from utilities.options import command_parser, positive, whole
from utilities.plain_text import plain_text

EXAMPLES = f"""\
formats, recognised by their fields unless --source names one:
{chr(10).join(f"  {name:<12}{known.WORDS}" for name, known in FORMATS.items())}

examples:
  python -m tuning.select_data --source rows.jsonl --against data/development.json --output selected
  python -m tuning.select_data --source esci=examples.parquet --products products.parquet \\
      --source ecinstruct=ECInstruct.json --source reviews=reviews.csv --columns text=body,stars=score \\
      --against data/development.json --held-out 1000 --output selected
  python -m tuning.select_data --source shopbench=rows.jsonl --source ranking.jsonl --sizes 2000 6000 --held-out 1000 \\
      --most ranking=2000 --weight PQA=0.5 --leave-out ACR --seed 1 --output selected
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Select by the options of the command line, write the files, print counts of kept and dropped rows; return 0."""
    options = _options(argv)
    options.columns = read_columns(reviews.COLUMNS, options.columns, "--columns").named
    places = _places(options)
    texts = (question.input_field for path in options.against for question in read_questions(path))
    # The texts of products and reviews are read without HTML.
    evaluation = [form for text in texts for form in dict.fromkeys((text, plain_text(text)))]
    cleaner = Cleaner(options.leave_out, options.longest, skip_corrupt=options.skip_corrupt)
    sources = [_read(cleaner, name, path, options) for name, path in options.source]
    cleaner.check_names()
    cleaner.keep_usable(evaluation, PromptSettings())
    if not cleaner.kept:
        files = ", ".join(str(path) for _, path in options.source)
        raise UserError(f"no row is left of {files}: {_commonest(cleaner)}")
    shares = Shares(dict(options.most), dict(options.weight))
    selected = select(cleaner.kept, shares, options.held_out, options.seed)
    result = Result(selected, options.sizes, cleaner.dropped)
    try:
        _check_sizes(result.training, selected, options.held_out)
    except UserError:
        result.print_drops()
        raise
    against = [file_record(path) for path in options.against]
    result.write(result.record({"sources": sources, "against": against, **_settings(options)}), places)
    result.print()
    print(f"written: {options.output}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.select_data", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--source", type=_source, nargs="+", action="extend", required=True, metavar="[FORMAT=]FILE", help="rows")
    add("--products", type=Path, nargs="+", default=[], metavar="FILE", help="titles of the products of esci")
    add("--columns", default="", metavar="FIELD=COLUMN,...", help="columns of reviews: text and stars, as text=body")
    add("--split", default=ReadingOptions.split, help="of ecinstruct and esci (default: %(default)s)")
    add("--setting", default=ReadingOptions.setting, help="of ecinstruct (default: %(default)s)")
    add("--locale", default=ReadingOptions.locale, help="of esci (default: %(default)s)")
    add("--against", type=Path, nargs="+", default=[], metavar="FILE", help="evaluation questions that stay unseen")
    add("--output", type=Path, required=True, metavar="DIR", help="gets train_N.jsonl, held_out.jsonl, selection.json")
    add("--held-out-output", type=Path, metavar="FILE", help="default: DIR/held_out.jsonl")
    add("--leave-out", nargs="+", default=[], metavar="TASK", help="tasks that are not used")
    add("--longest", type=positive, default=LONGEST, metavar="N", help="characters with the answer (default: 4000)")
    add("--skip-corrupt", action="store_true", help="count damaged rows of JSON files and continue")
    add("--sizes", type=positive, nargs="+", metavar="N", help="of training sets (default: one set of all rows)")
    add("--held-out", type=whole, default=0, metavar="N", help="rows that no training set contains (default: 0)")
    add("--most", type=_most, nargs="+", default=[], metavar="[TASK=]N", help="most rows of a task, or of each task")
    add("--weight", type=_weight, nargs="+", default=[], metavar="TASK=W", help="multiply a task's share by W")
    add("--seed", type=int, default=0, metavar="S", help="of the sample (default: 0)")
    return parser.parse_args(argv)


def _source(text: str) -> tuple[str, Path]:
    """Read `rows.jsonl` or `shopbench=rows.jsonl`."""
    name, equals, file = text.partition("=")
    if not equals or Path(text).exists():
        return "", Path(text)
    if name not in FORMATS:
        raise argparse.ArgumentTypeError(f"{name!r} is not a format: use one of {', '.join(FORMATS)}")
    return name, Path(file)


def _most(text: str) -> tuple[str, int]:
    """Read `500` or `PQA=500`."""
    task, _, number = text.rpartition("=")
    return task, positive(number)


def _weight(text: str) -> tuple[str, float]:
    task, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = 0.0
    if not task or not 0 < weight < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a task with a number above 0, such as PQA=0.5")
    return task, weight


def _read(cleaner: Cleaner, name: str, path: Path, options: argparse.Namespace) -> dict[str, object]:
    """Read and clean one file; return its record."""
    reader = FORMATS[name] if name else format_of(path)
    given = ReadingOptions(
        options.split, options.setting, options.locale, tuple(options.products), options.columns, options.seed
    )
    count, kept = cleaner.add_all(tqdm(reader.read(path, given), desc=path.name, unit="row", mininterval=1))
    return {**file_record(path), "rows": count, "kept": kept}


def _places(options: argparse.Namespace) -> Places:
    """Return where the files go."""
    if options.held_out_output and not options.held_out:
        raise UserError("--held-out-output needs --held-out N: give the number of held-out rows")
    if options.held_out_output and options.held_out_output.is_dir():
        raise UserError(f"--held-out-output {options.held_out_output} is a folder: name a file in it")
    places = Places(options.output, options.held_out_output or options.output / HELD_OUT)
    check_inputs_stay((*(path for _, path in options.source), *options.against, *options.products), places)
    return places


def _commonest(cleaner: Cleaner) -> str:
    """List the reasons for which rows were dropped, the most frequent first."""
    reasons: Counter[str] = Counter()
    for (_, reason), count in cleaner.dropped.items():
        reasons[reason] += count
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return (
        f"all rows were dropped, by reason: {listed}; use other files or options" if listed else "name files with rows"
    )


def _check_sizes(sizes: Collection[int], selected: Selected, held_out: int) -> None:
    """Raise a `UserError` unless there are rows enough for the held-out set and each training set."""
    apart, there = len(selected.held_out), len(selected.training)
    if apart < held_out:
        raise UserError(
            f"--held-out: {held_out} are more than the {apart} rows that there are, and none is left to train on"
        )
    if held_out and not there:
        raise UserError(f"--held-out {held_out} leaves no row to train on: hold out fewer, or use more files")
    if max(sizes) > there:
        beside = f" beside --held-out {held_out}" if held_out else ""
        raise UserError(f"--sizes: {max(sizes)} rows are too many: {there} is the largest possible size{beside}")


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    names = ("seed", "split", "setting", "locale", "leave_out", "longest")
    given = {name: getattr(options, name) for name in names}
    return {**given, "most": dict(options.most), "weight": dict(options.weight)}


if __name__ == "__main__":
    sys.exit(exit_code(main))
