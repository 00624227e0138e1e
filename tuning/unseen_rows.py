"""Training rows and the rows that a model is judged by are different ones."""

from pathlib import Path

from evaluation.questions import read_questions
from tuning.selection.question_text import folded
from utilities.errors import UserError


def check_unseen(rows: Path, held_out: Path) -> None:
    """Refuse training rows that are held out too, compared by their words.

    Raises:
        UserError: there are such rows, or a file cannot be read.
    """
    unseen = {folded(question.input_field) for question in read_questions(held_out)}
    places = [
        number
        for number, question in enumerate(read_questions(rows), start=1)
        if folded(question.input_field) in unseen
    ]
    if places:
        raise UserError(
            f"{rows}: {len(places)} rows, the first of them row {places[0]}, are held out too in {held_out}: "
            "use files of one selection by `python -m tuning.select_data`"
        )
