"""Run the experiments of a table: each row answers the same questions, and is shown beside what was published.

A table is a YAML file of experiments/tables; its rows are settings laid over the package's. A finished row is
kept under what decides its answers (settings, weights, evidence, questions, the package's code and what it stands on)
and not run again, so that the same command goes on after a kill or Ctrl-C. --any-code takes rows that earlier code
made, and says which. The model is the one of the settings (SHOPALIGN_SETTINGS, SHOPALIGN_MODEL, SHOPALIGN_WEIGHTS,
SHOPALIGN_ADAPTER) unless a row names its own.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.base import Base, base_settings
from experiments.planning import NoQuestionsError, Options, RowError, plan
from experiments.rendering import Filled, markdown, show
from experiments.results import readable, results
from experiments.running import run_rows
from experiments.table import read_table, tables_of
from utilities.errors import UserError, exit_code
from utilities.files import ROOT, check_folder, write_json, write_text
from utilities.options import positive, whole

EXAMPLES = """\
examples:
  python -m experiments.run experiments/tables/prompts_ranking.yaml
  python -m experiments.run experiments/tables/finetuning.yaml --adapters chain --data development.json held_out.jsonl
  python -m experiments.run experiments/tables/orders.yaml --limit 20 --markdown orders.md
  python -m experiments.run --all --markdown docs/results
      every table; at the end: what the rows lack that could not be run

exit code: 0 when all that could be run is finished, 2 when a row failed or an input cannot be used
"""
ADAPTERS = Path("models/adapters")
_TABLES = ROOT / "experiments" / "tables"
_PIPE_WIDTH = 200


def main(argv: Sequence[str] | None = None) -> int:
    """Run by the options of the command line; 0 when all that could be run is finished, 2 when a row failed."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _options(arguments)
    files = tables_of(_TABLES) if options.all else options.tables
    if not files:
        raise UserError("name a table of experiments/tables, or --all")
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False)
    _check_outputs(options, files)
    base = base_settings()
    parts = [(file, part) for file in files for part in _written(file, options, base, console)]
    if options.all:
        _tell_lacking(parts, console)
    console.print(f"results: {options.output}")
    return 2 if any(part.failed for _, part in parts) else 0


def _check_outputs(options: argparse.Namespace, files: Sequence[Path]) -> None:
    """Refuse, before anything runs, what could not be written afterwards."""
    page = options.markdown
    if _is_page(page) and len(files) > 1:
        raise UserError(f"--markdown {page} is one page for {len(files)} tables: name a folder")
    stems = [file.stem for file in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice:
        raise UserError(f"two tables are called {twice}, and their results would be one file: run them one by one")
    check_folder(options.output, f"--output {options.output}")
    if page:
        check_folder(page.parent if _is_page(page) else page, f"--markdown {page}")


def _is_page(page: Path | None) -> bool:
    return page is not None and page.suffix == ".md"


def _written(file: Path, options: argparse.Namespace, base: Base, console: Console) -> list[Filled]:
    """Run, show and write one table; return its parts, one for each file of questions that has any for it."""
    filled = []
    for data in options.data:
        try:
            filled.append(_filled(file, data, options, base))
        except NoQuestionsError as error:
            if not options.all:
                raise
            console.print(f"{file.stem} was left out: {error}", soft_wrap=True)
            continue
        show(filled[-1], console)
    if filled:
        write_json(options.output / f"{file.stem}.json", [each.to_json() for each in filled])
    if filled and options.markdown:
        page = options.markdown if _is_page(options.markdown) else options.markdown / f"{file.stem}.md"
        write_text(page, markdown(filled, _command(file, options)))
    return filled


def _tell_lacking(parts: Sequence[tuple[Path, Filled]], console: Console) -> None:
    """Print what each row lacks that was not run, once for all files of questions."""
    lacking = [f"{file.stem}: {remark}" for file, part in parts for remark in part.lacking()]
    for line in dict.fromkeys(lacking or ["no row lacks anything"]):
        console.print(line, soft_wrap=True)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.run",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("tables", type=Path, nargs="*", metavar="FILE", help="tables, as in experiments/tables")
    add("--all", action="store_true", help="every table of experiments/tables")
    add(
        "--data",
        type=Path,
        nargs="+",
        default=[Path("data/development.json")],
        metavar="FILE",
        help="questions, one part of the table each (default: data/development.json)",
    )
    add(
        "--limit",
        type=positive,
        default=0,
        metavar="N",
        help="use the first N questions of the table's task types only",
    )
    add("--adapters", type=Path, default=ADAPTERS, metavar="DIR", help="what {adapters} in a table is")
    add("--output", type=Path, default=Path("outputs/experiments"), metavar="DIR", help="where runs and results go")
    add("--markdown", type=Path, metavar="PATH", help="also write a table as this page (.md), or each in this folder")
    add("--seed", type=whole, default=0, metavar="N", help="of the intervals (default: 0)")
    finished = parser.add_mutually_exclusive_group()
    finished.add_argument("--fresh", action="store_true", help="run finished rows anew")
    finished.add_argument("--any-code", action="store_true", help="take finished rows that earlier code made")
    return parser.parse_args(argv)


def _filled(file: Path, data: Path, options: argparse.Namespace, base: Base) -> Filled:
    table = read_table(file)
    told = Options(options.output, options.adapters.absolute(), base, options.limit, options.any_code)
    try:
        planned = plan(table, data, told)
    except RowError as error:
        raise UserError(f"{file}, {error}") from None
    failed = run_rows(planned, options.fresh)
    found, damaged = readable(planned)
    return Filled(
        table, data, planned, results(planned, found, options.seed), failed | damaged, options.seed, base.name
    )


def _command(file: Path, options: argparse.Namespace) -> list[str]:
    """Return the command as it is repeated elsewhere: folders outside the repository are named by their last part."""
    adapters = [] if options.adapters == ADAPTERS else ["--adapters", _elsewhere(options.adapters)]
    limit = ["--limit", str(options.limit)] if options.limit else []
    code = ["--any-code"] if options.any_code else []
    return [
        _elsewhere(file),
        "--data",
        *map(_elsewhere, options.data),
        *limit,
        *adapters,
        "--seed",
        str(options.seed),
        *code,
    ]


def _elsewhere(path: Path) -> str:
    inside = path.absolute().is_relative_to(ROOT)
    return path.absolute().relative_to(ROOT).as_posix() if inside else path.name


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # `kill` ends what was started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, _stopped)
    sys.exit(exit_code(main))
