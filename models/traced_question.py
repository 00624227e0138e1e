"""What a model did with one question, as one line of trace.jsonl: written by a run, read by the report."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard


@dataclass(frozen=True)
class TracedQuestion:
    """One question on its way to an answer.

    Attributes:
        task_type: the one that was detected.
        system: the role that the model was given.
        user: the question as the model reads it, with evidence if it shows any.
        bare: the question without its printed options, for scoring the options' texts.
        cue: the words that the answer follows.
        as_statement: whether `bare` and `cue` are shown as running text, not as a turn of a chat.
        way: how the settings have it answered, one of `models.engines.answering.ways`.
        kind: the kind of question, for how its evidence is weighed.
        labels: the labels that may be answered, none for spans and text.
        texts: what the labels stand for, or none.
        evidence: a source's name to its score for each label.
        model_scores: the model's score for each label, none where it gave none.
        scores: model and evidence combined, a score for each label.
        written: what the model answered before evidence was added.
        fallback: why the answer is not the model's, empty where it is.
        seconds: of the batch, an equal share.
        tokens_read: of the batch, an equal share.
        tokens_written: of the batch, an equal share.
    """

    task_type: str
    system: str
    user: str
    bare: str
    cue: str
    as_statement: bool
    way: str
    kind: str
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    evidence: Mapping[str, tuple[float, ...]]
    model_scores: tuple[float, ...]
    scores: tuple[float, ...]
    written: str
    fallback: str
    seconds: float
    tokens_read: float
    tokens_written: float

    def to_json(self) -> dict[str, object]:
        """Return the fields as they stand in a line of trace.jsonl."""
        return asdict(self)


_STRINGS = ("task_type", "system", "user", "bare", "cue", "way", "kind", "written", "fallback")
_LISTS_OF_STRINGS = ("labels", "texts")
_LISTS_OF_NUMBERS = ("model_scores", "scores")
_LARGEST = 1e100
_NUMBERS = ("seconds", "tokens_read", "tokens_written")


def read_traced(value: object) -> TracedQuestion:
    """Read a line's JSON value; fields of other names are ignored.

    Raises:
        ValueError: a field is missing or of another form; the message names it.
    """
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    fields: dict[str, Any] = {}
    fields |= {name: _checked(value, name, "a string", _is_string) for name in _STRINGS}
    fields |= {name: tuple(_checked(value, name, "a list of strings", _are_strings)) for name in _LISTS_OF_STRINGS}
    fields |= {name: tuple(_checked(value, name, "a list of numbers", _are_numbers)) for name in _LISTS_OF_NUMBERS}
    fields |= {name: _checked(value, name, "a number", is_number) for name in _NUMBERS}
    fields["as_statement"] = _checked(value, "as_statement", "true or false", lambda given: isinstance(given, bool))
    evidence = _checked(value, "evidence", "names with lists of numbers", _are_sources)
    traced = TracedQuestion(**fields, evidence={name: tuple(scores) for name, scores in evidence.items()})
    _check_lengths(traced)
    return traced


def _check_lengths(traced: TracedQuestion) -> None:
    """Require one number and one text a label, wherever there are any."""
    lists = {"texts": traced.texts, "model_scores": traced.model_scores, "scores": traced.scores, **traced.evidence}
    for name, items in lists.items():
        if items and len(items) != len(traced.labels):
            raise ValueError(f"field {name!r} holds {len(items)} items for {len(traced.labels)} labels")


def _checked(value: Mapping[str, Any], name: str, words: str, fits: Callable[[object], bool]) -> Any:
    if name not in value:
        raise ValueError(f"field {name!r} is missing")
    if not fits(value[name]):
        raise ValueError(f"field {name!r} is not {words}")
    return value[name]


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a JSON value is a finite number, and one that sums of many stay finite with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _are_strings(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_string, value))


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


def _are_sources(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_numbers, value.values()))
