"""Messages of the selection of training rows, and of chains of commands."""

import json
from pathlib import Path

import pytest

from tests.remedies.case import NEXT, Case

SELECT = "tuning.select_data --output out"
DATA = f"{SELECT} --source ranking.jsonl"
FILE = "tuning/select_data.py"
FILES = "tuning/selection/selection_files.py"
FILTERS = "tuning/selection/rows.py"
DRAWING = "tuning/selection/drawing.py"
COLUMNS = "retrieval/products/columns.py"
REVIEWS = f"{SELECT} --source reviews=reviews.jsonl"
UNKNOWN = f"{SELECT} --source reviews.jsonl --columns text=body"
HELD_OUT = f"{DATA} --held-out 2 --held-out-output"
CHAIN = "tuning.chain --recipe chain.yaml --output out"
GIVEN = f"{CHAIN} --given rows=choices.jsonl"
OTHER = "tuning.select_data --source ranking.jsonl --output other"


def chain(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write a chain of one step, which is run by a stub."""
    step = {"name": "only", "run": "tuning.select_data", "options": {"source": "{rows}", "sizes": 1}}
    recipe = {"given": {"rows": "a file of rows"}, "steps": [step]}
    (folder / "chain.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    patch.setattr("tuning.chain._run", lambda *_: 0.0)


def selected_before(folder: Path, _: pytest.MonkeyPatch) -> None:
    """Put rows where a selection writes its own."""
    (folder / "out").mkdir()
    (folder / "multiple-choice.jsonl").rename(folder / "out" / "train_6.jsonl")


CASES = (
    Case(FILE, "--held-out-output needs", f"{DATA} --held-out-output held.jsonl", "... --held-out 2"),
    Case(FILE, "are more than the", f"{DATA} --held-out 900", f"{DATA} --held-out 2"),
    Case(FILE, "leaves no row to train on", f"{DATA} --held-out 6", f"{DATA} --held-out 2"),
    Case(FILE, "rows are too many", f"{DATA} --sizes 900 --held-out 2", f"{DATA} --sizes 3 --held-out 2",
         also=((FILE, " beside --held-out"),)),
    Case(FILE, "read_columns(--columns)", f"{REVIEWS} --columns body", f"{REVIEWS} --columns text=body",
         also=((COLUMNS, "is not a pair"),)),
    Case(FILE, "read_columns(--columns)", f"{REVIEWS} --columns body=text", f"{REVIEWS} --columns text=body",
         also=((COLUMNS, "there is no field"),)),
    Case("tuning/selection/reviews.py", "Columns(--columns)", REVIEWS, "... --columns text=body",
         also=((COLUMNS, "name one with"),)),
    Case("tuning/selection/registry.py", "is of no known format", UNKNOWN, f"{REVIEWS} --columns text=body"),
    Case("tuning/selection/cleaning.py", "--leave-out: no row", f"{DATA} --leave-out nothing",
         f"{DATA} --leave-out product_ranking --source choices.jsonl"),
    Case("tuning/selection/cleaning.py", "with --skip-corrupt", f"{SELECT} --source corrupt.jsonl",
         "... --skip-corrupt"),
    Case(DRAWING, "(--most)", f"{DATA} --most nothing=2", f"{DATA} --most product_ranking=2",
         also=((DRAWING, "no row is left of a task"),)),
    Case(DRAWING, "(--weight)", f"{DATA} --weight nothing=2", f"{DATA} --weight product_ranking=2"),
    Case("tuning/selection/esci.py", "with --products FILE", f"{SELECT} --source esci=judgements.jsonl",
         "... --products products.jsonl"),
    Case(FILTERS, "no row of", f"{SELECT} --source ecinstruct.jsonl --setting none",
         f"{SELECT} --source ecinstruct.jsonl --setting IND_Diverse_Instruction"),
    Case(FILTERS, "leave the option out", f"{SELECT} --source esci=plain.jsonl --locale jp",
         f"{SELECT} --source esci=plain.jsonl"),
    Case(FILES, "cannot be written", f"{DATA} --output file", OTHER),
    Case(FILES, "cannot be written", f"{HELD_OUT} file/held.jsonl", f"{HELD_OUT} held.jsonl"),
    Case(FILE, "is a folder: name a file", f"{HELD_OUT} .", f"{HELD_OUT} ./held.jsonl"),
    Case(FILES, "would be replaced", f"{SELECT} --source out/train_6.jsonl",
         "tuning.select_data --source out/train_6.jsonl --output other", selected_before),
    Case(FILES, "would be replaced", f"{SELECT} --source choices.jsonl --held-out 1 --held-out-output choices.jsonl",
         f"{SELECT} --source choices.jsonl --held-out 1 --held-out-output held.jsonl"),
    Case(FILE, "is not a format", f"{SELECT} --source esc=plain.jsonl", f"{SELECT} --source esci=plain.jsonl"),
    Case(FILE, "is not a task with a number", f"{DATA} --weight product_ranking", f"{DATA} --weight product_ranking=2"),
    Case("tuning/chain.py", "is not NAME=PATH", f"{CHAIN} --given rows", GIVEN, chain),
    Case("tuning/chain.py", "needs --given", CHAIN, "... --given rows=choices.jsonl", chain),
    Case("tuning/chain.py", "asks for", f"{CHAIN} --given row=choices.jsonl", GIVEN, chain),
    Case("tuning/chain.py", "does not exist", f"{CHAIN} --given rows=none", GIVEN, chain),
    Case("tuning/chain_record.py", "name another --output", f"{GIVEN}{NEXT}{CHAIN} --given rows=ranking.jsonl",
         "tuning.chain --recipe chain.yaml --output other --given rows=ranking.jsonl", chain),
)  # fmt: skip
