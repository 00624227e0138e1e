"""Run the experiments of a table: each row answers the same questions, and is shown beside what was published.

A table is a YAML file of experiments/tables; its rows are settings laid over models/settings.yaml. A finished row is
kept under what decides its answers (settings, weights, questions) and not run again, so that the same command goes on
after a kill or Ctrl-C; --fresh runs it anew, which a change of the code asks for.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.planning import Planned, plan
from experiments.rendering import Filled, markdown, show
from experiments.results import results
from experiments.running import run_rows
from experiments.table import read_table, tables_of
from models.settings import ROOT
from utilities.errors import UserError, exit_code
from utilities.files import write_json, write_text

EXAMPLES = """\
examples:
  python -m experiments.run experiments/tables/prompts_ranking.yaml
  python -m experiments.run experiments/tables/finetuning.yaml --adapters chain --data development.json held_out.jsonl
  python -m experiments.run --all --markdown docs/results
      every table; rows whose model is not at hand say what they lack
"""
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
    failed = False
    for file in files:
        filled = [_filled(file, data, options) for data in options.data]
        for each in filled:
            show(each, console)
            failed = failed or bool(each.failed)
        write_json(options.output / f"{file.stem}.json", [each.to_json() for each in filled])
        if options.markdown:
            write_text(options.markdown / f"{file.stem}.md", markdown(filled, _command(file, options)))
    console.print(f"results: {options.output}")
    return 2 if failed else 0


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
    add("--limit", type=int, default=0, metavar="N", help="use the first N questions of the table's task types only")
    add("--adapters", type=Path, default=Path("models/adapters"), metavar="DIR", help="what {adapters} in a table is")
    add("--output", type=Path, default=Path("outputs/experiments"), metavar="DIR", help="where runs and results go")
    add("--markdown", type=Path, metavar="DIR", help="also write each table as a page there")
    add("--seed", type=int, default=0, metavar="N", help="of the intervals (default: 0)")
    add("--fresh", action="store_true", help="run finished rows anew")
    return parser.parse_args(argv)


def _filled(file: Path, data: Path, options: argparse.Namespace) -> Filled:
    table = read_table(file)
    planned = plan(table, data, options.limit, options.output, options.adapters.absolute())
    if options.fresh:
        _forget(planned)
    failed = run_rows(planned)
    return Filled(table, data, planned, results(planned, options.seed), failed, options.seed)


def _forget(planned: Sequence[Planned]) -> None:
    for each in planned:
        if each.finished:
            (each.folder / "scores.json").unlink()


def _command(file: Path, options: argparse.Namespace) -> list[str]:
    """Return the command as it is repeated elsewhere: folders are named by their last part."""
    data = [path if not path.is_absolute() else Path(path.name) for path in options.data]
    limit = ["--limit", str(options.limit)] if options.limit else []
    return [f"experiments/tables/{file.name}", "--data", *map(str, data), *limit, "--seed", str(options.seed)]


if __name__ == "__main__":
    sys.exit(exit_code(main))
