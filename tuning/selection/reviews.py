"""Star reviews: a text and one to five stars, which become a rating question."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from retrieval.products.columns import Columns
from tuning.selection.rows import Dropped, Names, Reading, ReadingOptions, Row, from_rows
from utilities.errors import UserError
from utilities.task_type import TaskType

WORDS = "a text and its stars, 1 to 5; --columns text=COLUMN,stars=COLUMN names others"
TASK = "review_rating"
COLUMNS = {
    "text": ("text", "review", "review_text", "reviewText", "review_body", "content"),
    "stars": ("stars", "rating", "star_rating", "overall", "score"),
}
FIELDS: Names = tuple(COLUMNS.values())
_STARS = re.compile(r"([1-5])(?:[.,]0+)?(?:\s*(?:/|out of)\s*5(?:\.0+)?)?(?:\s*stars?)?", re.IGNORECASE)
_WORDINGS = (
    "A customer wrote the review below. How does the customer feel about the product, on a scale from 1 "
    "(very negative) to 5 (very positive)? Answer with one number.\nReview: {review}\nRating:",
    "Read what a shopper says and give the rating from 1 to 5 that goes with it, where 1 is very negative and 5 is "
    "very positive. Only write the number.\nReview: {review}\nOutput:",
    "Which number of stars, 1 to 5, belongs to this review? 1 star stands for very negative, 5 stars for very positive."
    "\nReview: {review}\nAnswer:",
    "Review: {review}\nRate the sentiment of this review between 1 and 5: 1 means very negative, 3 neutral, 5 very "
    "positive. Answer with the number alone.\nOutput:",
)


def read(path: Path, options: ReadingOptions) -> Iterator[Reading]:
    """Yield a rating question for each review; every number of stars gets all wordings equally often."""
    columns = Columns(COLUMNS, options.columns, "--columns")
    asked: Counter[int] = Counter()

    def make(place: str, fields: dict[str, object]) -> Row | Dropped:
        review = columns.text(fields, "text", place)
        stars = _stars(columns.text(fields, "stars", place), place)
        if not review or not stars:
            return Dropped(TASK, "empty field" if not review else "no whole number of stars")
        wording = _WORDINGS[asked[stars] % len(_WORDINGS)]
        asked[stars] += 1
        text = wording.format(review=review)
        return Row(text, stars, TASK, TaskType.MULTIPLE_CHOICE, "accuracy", path.stem)

    return from_rows(path, make, partial(columns.chosen, path, (("text",), ("stars",))))


def _stars(text: str, place: str) -> int:
    """Return 1 to 5, or 0 for anything but a whole number of stars."""
    match = _STARS.fullmatch(text.strip())
    if match:
        return int(match[1])
    if text and not re.search(r"\d", text):
        raise UserError(f"{place}: stars are {text[:40]!r}: write a number from 1 to 5")
    return 0
