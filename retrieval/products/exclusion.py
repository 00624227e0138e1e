"""Keep what occurs in evaluation questions out of a catalogue, so that a score never rests on a copy of its answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from evaluation.questions import QuestionRow, read_questions
from prompts.reading import Question, read_actions, read_numbered_list, read_query
from retrieval.products.catalogue import LONGEST_QUERY, query_key, query_words
from retrieval.products.near_queries import NearQueries
from retrieval.products.strict_words import strict_words
from utilities.wheels import sha256

Hashes = npt.NDArray[np.uint64]

IN_A_ROW = 8
"""A product that shares this many words in a row with a question counts as copied from it, or the other way round."""

SHORTEST_IN_A_ROW = 3
"""Titles of fewer words ("garden hose") stand in many questions by chance: they count only as a whole list item."""

# So many arrays of hashes are gathered before equal ones are dropped.
_MOST_PIECES = 100_000
_CUT = ("…", "...")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Evaluation:
    """What may not be in the catalogue because of one evaluation file.

    Attributes:
        file: its name without the folder.
        sha256: of its bytes.
        runs: sorted hashes of the runs of words that its questions hold, of 3 to 8 words.
        items: the words of each list item, joined by blanks.
        starts: the same for items of three words or more, also without a last word that may have been cut.
        queries: keys of each query, list item and line of a session.
        near: each query and line of a session by the guard's words.
        served: the same by the words of a search.
    """

    file: str
    sha256: str
    runs: Hashes
    items: frozenset[str]
    starts: frozenset[str]
    queries: frozenset[str]
    near: NearQueries
    served: NearQueries


class Guard:
    """Tells which titles and queries occur in evaluation files, compared by `strict_words`."""

    def __init__(self, evaluations: Sequence[Evaluation], stemming: str) -> None:
        self.evaluations = tuple(evaluations)
        self._stemming = stemming

    @classmethod
    def read(cls, paths: Sequence[Path], stemming: str) -> "Guard":
        """Read evaluation files, JSON Lines in the evaluator's format.

        Raises:
            UserError: a file cannot be read or a line is no question.
        """
        return cls([_evaluation(path, stemming) for path in paths], stemming)

    def titles(self, titles: Sequence[str]) -> list[int | None]:
        """Return for each title the first evaluation that holds it, None for a title that may stay.

        It is held where all its words stand in a row within a question, or any 8 of them do; where a list
        item of three words or more is its beginning; and a title of one or two words only where it is the whole of one.
        """
        found: list[int | None] = [None] * len(titles)
        if not self.evaluations:
            return found
        folded = [strict_words(title, self._stemming) for title in titles]
        for index, evaluation in reversed(list(enumerate(self.evaluations))):
            for at in _held(folded, evaluation):
                found[at] = index
        return found

    def query(self, text: str) -> int | None:
        """Return the first evaluation that holds a query, None for one that may stay.

        It is held where a query, list item or line of a session has the same set of words, or where a search for one
        of these queries or lines could take it for the nearest.
        """
        if not self.evaluations:
            return None
        strict = _query_words(text, self._stemming)
        searched = frozenset(query_words(text, self._stemming))
        return next((at for at, each in enumerate(self.evaluations) if _asks(each, strict, searched)), None)


def _asks(evaluation: Evaluation, strict: frozenset[str], searched: frozenset[str]) -> bool:
    same = query_key(strict) in evaluation.queries
    return same or evaluation.near.near(strict) or evaluation.served.near(searched)


def _query_words(text: str, stemming: str) -> frozenset[str]:
    return frozenset(strict_words(text[:LONGEST_QUERY], stemming))


def _held(titles: Sequence[Sequence[str]], evaluation: Evaluation) -> Iterator[int]:
    short = [at for at, title in enumerate(titles) if len(title) < SHORTEST_IN_A_ROW]
    yield from (at for at in short if " ".join(titles[at]) in evaluation.items)
    yield from (at for at, title in enumerate(titles) if _begins(title, evaluation.starts))
    by_length: dict[int, list[int]] = {}
    for at, title in enumerate(titles):
        by_length.setdefault(min(len(title), IN_A_ROW), []).append(at)
    for length in range(SHORTEST_IN_A_ROW, IN_A_ROW + 1):
        yield from _sharing(titles, by_length.get(length, []), length, evaluation.runs)


def _begins(title: Sequence[str], starts: frozenset[str]) -> bool:
    return any(" ".join(title[:count]) in starts for count in range(SHORTEST_IN_A_ROW, len(title) + 1))


def _starts(item: str, folded: Sequence[str]) -> Iterator[str]:
    """Yield the words of a list item that may be the beginning of a longer title, if they are enough."""
    cut = item.rstrip().endswith(_CUT)
    for count in (len(folded), *([len(folded) - 1] if cut else [])):
        if count >= SHORTEST_IN_A_ROW:
            yield " ".join(folded[:count])


def _sharing(titles: Sequence[Sequence[str]], chosen: Sequence[int], length: int, runs: Hashes) -> list[int]:
    """Return those of the chosen titles that have one of the runs of `length` words."""
    if not chosen:
        return []
    hashes = [_run_hashes(_word_hashes(titles[at]), length) for at in chosen]
    owners = np.repeat(np.array(chosen), [len(each) for each in hashes])
    return [int(at) for at in np.unique(owners[_contains(runs, np.concatenate(hashes))])]


def _contains(runs: Hashes, asked: Hashes) -> npt.NDArray[np.bool_]:
    if not len(runs):
        return np.zeros(len(asked), dtype=np.bool_)
    places = np.minimum(np.searchsorted(runs, asked), len(runs) - 1)
    found: npt.NDArray[np.bool_] = runs[places] == asked
    return found


def _word_hashes(folded: Sequence[str]) -> Hashes:
    return np.array([hash(word) & 0xFFFFFFFFFFFFFFFF for word in folded], dtype=np.uint64)


def _run_hashes(each: Hashes, length: int) -> Hashes:
    """Return a 64-bit hash of each run of `length` words: a polynomial of the words' own hashes.

    With a million titles against a million questions an equal hash of unequal runs is one chance in thousands.
    """
    count = max(len(each) - length + 1, 0)
    total: Hashes = np.full(count, length, dtype=np.uint64)
    for offset in range(length):
        total = total * _FACTOR + each[offset : offset + count]
    return total


def _evaluation(path: Path, stemming: str) -> Evaluation:
    items, asked, runs = set[str](), set[str](), _Runs()
    for question in tqdm(read_questions(path), desc=f"reading {path.name}", disable=None):
        own_items = _items(question)
        items.update(own_items)
        asked.update(_queries(question))
        for text in (*_texts(question), *own_items):
            runs.add(strict_words(text, stemming))
    folded = {item: strict_words(item, stemming) for item in items}
    queries = [_query_words(text, stemming) for text in asked]
    return Evaluation(
        file=path.name,
        sha256=sha256(path),
        runs=runs.sorted(),
        items=frozenset(map(" ".join, folded.values())),
        starts=frozenset(start for item, found in folded.items() for start in _starts(item, found)),
        queries=frozenset(map(query_key, (*folded.values(), *queries))) - {""},
        near=NearQueries(queries),
        served=NearQueries(frozenset(query_words(text, stemming)) for text in asked),
    )


class _Runs:
    """Gathers the hashes of runs of words, each once."""

    def __init__(self) -> None:
        self._found: list[Hashes] = [np.zeros(0, dtype=np.uint64)]

    def add(self, folded: Sequence[str]) -> None:
        each = _word_hashes(folded)
        self._found += [_run_hashes(each, length) for length in range(SHORTEST_IN_A_ROW, IN_A_ROW + 1)]
        if len(self._found) > _MOST_PIECES:
            self._found = [self.sorted()]

    def sorted(self) -> Hashes:
        return np.unique(np.concatenate(self._found))


def _texts(question: QuestionRow) -> list[str]:
    """Return a question's text and its reference answers that are text."""
    reference = question.output_field
    answers = reference if isinstance(reference, list) else [reference]
    return [question.input_field, *(answer for answer in answers if isinstance(answer, str))]


def _items(question: QuestionRow) -> list[str]:
    listed = read_numbered_list(question.input_field)
    return [item.text for item in listed.items] if listed else []


def _queries(question: QuestionRow) -> list[str]:
    query = read_query(Question(question.input_field))
    return [*([query] if query else []), *read_actions(Question(question.input_field))]
