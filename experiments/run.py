"""Fill tables of experiments: all rows of a table answer the same questions and are compared with the first row.

A table is a YAML file of experiments/tables; its rows override the settings in use. Finished runs are kept under a key
of all that affects the answers (settings, weights, evidence, questions, code, packages), so the same command resumes
after a kill or Ctrl-C. --any-code also accepts runs of different code, and names them. A row asks the model of the
settings (SHOPALIGN_SETTINGS, SHOPALIGN_MODEL, SHOPALIGN_WEIGHTS, SHOPALIGN_ADAPTER) unless it names another.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.filled_table import Filled, markdown, show
from experiments.results import readable, results
from experiments.row_plan import NoQuestionsError, Options, RowError, plan
from experiments.row_settings import Base, base_settings, public_path
from experiments.running import run_rows
from experiments.table import read_table
from utilities.errors import UserError, exit_code
from utilities.files import ROOT, check_folder, write_json, write_text
from utilities.options import command_parser, positive, whole

EXAMPLES = """\
examples:
  python -m experiments.run experiments/tables/prompts_ranking.yaml
  python -m experiments.run experiments/tables/finetuning.yaml --adapters chain --data development.json held_out.jsonl
  python -m experiments.run experiments/tables/orders.yaml --limit 20 --markdown orders.md
  python -m experiments.run --all --markdown docs/results
      every table; ends with the missing weights of rows that could not be run

exit code: 0 when every row that could be run is finished, 2 when a row failed or an input is invalid
"""
ADAPTERS = Path("models/adapters")
TABLES = ROOT / "experiments" / "tables"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tables of the command line; return 0 when every row that could be run is finished, 2 when one failed."""
    options = _options(argv)
    files = sorted(TABLES.glob("*.yaml")) if options.all else options.tables
    if not files:
        raise UserError("name a table of experiments/tables, or --all")
    _check_outputs(options, files)
    base = base_settings()
    parts = [(file, part) for file in files for part in _written(file, options, base)]
    if options.all:
        # Files of questions share their missing rows.
        lacking = dict.fromkeys(f"{file.stem}: {remark}" for file, part in parts for remark in part.lacking())
        for line in lacking or ["all rows could be run"]:
            print(line)
    print(f"results: {options.output}")
    return 2 if any(part.failed for _, part in parts) else 0


def _check_outputs(options: argparse.Namespace, files: Sequence[Path]) -> None:
    """Refuse, before anything runs, outputs that could not be written afterwards."""
    page = options.markdown
    if _is_page(page) and len(files) > 1:
        raise UserError(f"--markdown {page} is one page for {len(files)} tables: name a folder")
    stems = [file.stem for file in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice:
        raise UserError(f"two tables are called {twice} and would write the same results: run them one by one")
    check_folder(options.output, "--output")
    if page:
        check_folder(page.parent if _is_page(page) else page, "--markdown")


def _is_page(page: Path | None) -> bool:
    return page is not None and page.suffix == ".md"


def _written(file: Path, options: argparse.Namespace, base: Base) -> list[Filled]:
    """Run, show and write one table; return a part for each file of questions that has any for it."""
    filled = []
    for data in options.data:
        try:
            filled.append(_filled(file, data, options, base))
        except NoQuestionsError as error:
            if not options.all:
                raise
            print(f"{file.stem} was left out: {error}")
            continue
        show(filled[-1])
    if filled:
        write_json(options.output / f"{file.stem}.json", [each.to_json() for each in filled])
    if filled and options.markdown:
        page = options.markdown if _is_page(options.markdown) else options.markdown / f"{file.stem}.md"
        write_text(page, markdown(filled, _command(file, options)))
    return filled


def _filled(file: Path, data: Path, options: argparse.Namespace, base: Base) -> Filled:
    table = read_table(file)
    common = Options(options.output, options.adapters.absolute(), base, options.limit, options.any_code)
    try:
        planned = plan(table, data, common)
    except RowError as error:
        raise UserError(f"{file}, {error}") from None
    failed = run_rows(planned, options.fresh)
    found, damaged = readable(planned)
    scored = results(planned, found, options.seed)
    return Filled(table, data, planned, scored, failed | damaged, options.seed, base.name)


def _command(file: Path, options: argparse.Namespace) -> list[str]:
    """Return the arguments that repeat a table's page, without folders outside the repository."""
    data = [public_path(path.absolute()) for path in options.data]
    adapters = ["--adapters", public_path(options.adapters.absolute())] if options.adapters != ADAPTERS else []
    limit = ["--limit", str(options.limit)] if options.limit else []
    code = ["--any-code"] if options.any_code else []
    return [public_path(file.absolute()), "--data", *data, *limit, *adapters, "--seed", str(options.seed), *code]


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m experiments.run", __doc__, EXAMPLES)
    add = parser.add_argument
    data = Path("data/development.json")
    add("tables", type=Path, nargs="*", metavar="FILE", help="tables, as in experiments/tables")
    add("--all", action="store_true", help="every table of experiments/tables")
    add("--data", type=Path, nargs="+", default=[data], metavar="FILE", help=f"files of questions (default: {data})")
    add("--limit", type=positive, default=0, metavar="N", help="the first N questions of the table's task types")
    add("--adapters", type=Path, default=ADAPTERS, metavar="DIR", help="the folder that replaces {adapters} in a table")
    add("--output", type=Path, default=Path("outputs/experiments"), metavar="DIR", help="folder of runs and results")
    add("--markdown", type=Path, metavar="PATH", help="also write a table as this page (.md), or each in this folder")
    add("--seed", type=whole, default=0, metavar="N", help="seed of the intervals (default: 0)")
    finished = parser.add_mutually_exclusive_group()
    finished.add_argument("--fresh", action="store_true", help="run finished rows again")
    finished.add_argument("--any-code", action="store_true", help="accept finished rows of different code")
    return parser.parse_args(argv)


if __name__ == "__main__":
    # `kill` then ends the processes of the rows too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(exit_code(main))
