"""One line of trace.jsonl: how the model answered one question. A run writes it, the report reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StrictBool

LARGEST = 1e100
"""The largest number of a run's files; sums of larger ones could overflow."""


Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
"""A finite number of a JSON file."""
Amount = Annotated[Number, Field(ge=0)]
"""A finite number of a JSON file that is not negative."""


@dataclass(frozen=True)
class TracedQuestion:
    """How the model answered one question.

    Attributes:
        task_type: the detected one.
        system: the system prompt.
        user: the prompt, with evidence if it shows any.
        bare: the question without its printed options, for scoring the options' texts.
        cue: the words that the answer follows.
        as_statement: whether `bare` and `cue` are running text instead of a turn of a chat.
        way: the way of answering that the settings name, one of `models.engines.answering.solvers`.
        kind: the kind of question, which selects the weights of evidence.
        labels: the labels to choose from, empty for spans and text.
        texts: the labels' texts, or empty.
        evidence: a source's name to its score for each label.
        model_scores: the model's score for each label, or empty.
        scores: model and evidence combined, a score for each label.
        written: the model's answer before evidence was added.
        fallback: the reason for answering by the fallback, empty for the model's answer.
        seconds: an equal share of the batch's.
        tokens_read: an equal share of the batch's.
        tokens_written: an equal share of the batch's.
    """

    task_type: str
    system: str
    user: str
    bare: str
    cue: str
    as_statement: StrictBool
    way: str
    kind: str
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    evidence: Mapping[str, tuple[Number, ...]]
    model_scores: tuple[Number, ...]
    scores: tuple[Number, ...]
    written: str
    fallback: str
    seconds: Number
    tokens_read: Number
    tokens_written: Number
