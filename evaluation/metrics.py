"""The evaluator's metrics: they score parsed answers against references.

A metric scores many questions in one call, because embeddings are computed in batches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictInt, TypeAdapter, ValidationError

from evaluation.parsers import RETRIEVED_ITEMS
from retrieval.embeddings import ENGLISH, MULTILINGUAL, NotScorableError, load_encoder
from utilities.task_type import TaskType

MAX_WEIGHT = 1000
"""The largest gain of an item: 2^w of a larger one is not a finite float."""

Count = Annotated[int, Field(strict=True, ge=0)]


class Counts(NamedTuple):
    """True positives, false positives and false negatives of one question, or their sums over a task."""

    tp: Count
    fp: Count
    fn: Count


Score = float | Counts


def accuracy(choice: int, truth: int) -> float:
    """Return 1 for the right option, else 0."""
    return float(choice == truth)


def hit_rate_at_3(retrieved: Sequence[int], relevant: Sequence[int]) -> float:
    """Return the share of the relevant items that are among the first three retrieved."""
    return len(set(relevant) & set(retrieved[:RETRIEVED_ITEMS])) / len(relevant)


def ndcg(ranked: Sequence[int], weights: Sequence[float]) -> float:
    """Return the normalised discounted cumulative gain: gains 2^w - 1, discount log2(rank + 1).

    `ranked` are item numbers from 1, best first; `weights` belong to the items in list order. Item 0 earns
    the last item's gain (it is Python's index -1), an item beyond the list nothing; if all gains are 0, the score is 0.
    """
    gains = [np.power(2.0, weight) - 1 for weight in weights]
    gained = [gains[item - 1] if item <= len(gains) else 0.0 for item in ranked[: len(gains)]]
    ideal = _discounted(sorted(gains, reverse=True))
    return _discounted(gained) / ideal if ideal else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return float(sum(gain / np.log2(rank + 1) for rank, gain in enumerate(gains, start=1)))


def match_phrases(phrases: Sequence[str], truth: Sequence[str]) -> Counts:
    """Count the distinct phrases found, ignoring case; a repeated phrase is a false positive."""
    found = {phrase.lower().strip() for phrase in phrases} & {phrase.lower() for phrase in truth}
    return Counts(len(found), len(phrases) - len(found), len(truth) - len(found))


def micro_f1(counts: Sequence[Counts]) -> float:
    """Return the F1 of the summed counts, 0 when nothing was found."""
    tp, fp, fn = (sum(count[kind] for count in counts) for kind in range(3))
    if not tp:
        return 0.0
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return 2 * precision * recall / (precision + recall)


def rouge_l(text: str, truth: str) -> float:
    """Return the F-measure of ROUGE-L over stemmed words (package rouge-score)."""
    return float(_rouge_scorer().score(text, truth)["rougeL"].fmeasure)


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def bleu(text: str, truth: str, tokenizer: str = "13a") -> float:
    """Return the BLEU (0 to 1) of the first line of `text`: a lower-cased corpus of one sentence (sacrebleu).

    Exponential smoothing and all four n-gram orders, so that a sentence of fewer than four tokens scores 0.

    Raises:
        NotScorableError: the tokenizer's dictionary is not installed.
    """
    first_line = text.strip("\n").split("\n")[0]
    return float(_bleu_scorer(tokenizer).corpus_score([first_line], [[truth]]).score) / 100


@cache
def _bleu_scorer(tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    try:
        return BLEU(lowercase=True, tokenize=tokenizer, smooth_method="exp", effective_order=False)
    except RuntimeError:
        raise NotScorableError(f"the tokenizer {tokenizer} is missing: run `pip install 'sacrebleu[ja]'`") from None


def cosines(texts: Sequence[str], truths: Sequence[str | Sequence[str]], model_name: str) -> list[float]:
    """Return the mean cosine between each text and its reference or references, floored at 0.

    Raises:
        NotScorableError: the embedding model is not on this machine.
    """
    references = [[truth] if isinstance(truth, str) else list(truth) for truth in truths]
    distinct = sorted({*texts, *(reference for group in references for reference in group)})
    embeddings = dict(zip(distinct, load_encoder(model_name)(distinct), strict=True))

    def mean_cosine(text: str, group: Sequence[str]) -> float:
        return float(np.mean([_cosine(embeddings[text], embeddings[reference]) for reference in group]))

    return [max(mean_cosine(text, group), 0.0) for text, group in zip(texts, references, strict=True)]


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    return np.float32(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


class Reference(NamedTuple):
    """The form of `output_field` that a metric needs: in words for an error message, and as a type."""

    words: str
    form: TypeAdapter[Any]

    def fits(self, value: object) -> bool:
        """Return whether a JSON value has this form."""
        try:
            self.form.validate_python(value)
        except ValidationError:
            return False
        return True


_SOME = Field(min_length=1)
_Weight = Annotated[float, Field(strict=True, ge=0, le=MAX_WEIGHT)]
_NUMBER = Reference("an integer", TypeAdapter(StrictInt))
_NUMBERS = Reference("a list of at least one integer", TypeAdapter(Annotated[list[StrictInt], _SOME]))
_WEIGHTS = Reference(
    f"a list of at least one number from 0 to {MAX_WEIGHT}", TypeAdapter(Annotated[list[_Weight], _SOME])
)
_PHRASES = Reference("a list of strings", TypeAdapter(list[str]))
_TEXT = Reference("a string", TypeAdapter(str))
_TEXTS = Reference("a string or a list of at least one string", TypeAdapter(str | Annotated[list[str], _SOME]))


@dataclass(frozen=True)
class Metric:
    """Scores answers of some task types: `score` takes predictions and references and returns their scores."""

    task_types: frozenset[TaskType]
    reference: Reference
    score: Callable[[Sequence[Any], Sequence[Any]], list[Score]]


def _each(score: Callable[[Any, Any], Score]) -> Callable[[Sequence[Any], Sequence[Any]], list[Score]]:
    return lambda predictions, references: [score(p, r) for p, r in zip(predictions, references, strict=True)]


def _embedded(model_name: str) -> Callable[[Sequence[Any], Sequence[Any]], list[Score]]:
    return lambda predictions, references: [*cosines(predictions, references, model_name)]


MICRO_F1 = "micro f1"
_ITEMS = frozenset({TaskType.RETRIEVAL, TaskType.RANKING})
_GENERATION = frozenset({TaskType.GENERATION})

METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(frozenset({TaskType.MULTIPLE_CHOICE}), _NUMBER, _each(accuracy)),
    "hit rate@3": Metric(_ITEMS, _NUMBERS, _each(hit_rate_at_3)),
    "ndcg": Metric(_ITEMS, _WEIGHTS, _each(ndcg)),
    MICRO_F1: Metric(frozenset({TaskType.NAMED_ENTITY_RECOGNITION}), _PHRASES, _each(match_phrases)),
    "rougel": Metric(_GENERATION, _TEXT, _each(rouge_l)),
    "bleu": Metric(_GENERATION, _TEXT, _each(bleu)),
    "jp-bleu": Metric(_GENERATION, _TEXT, _each(partial(bleu, tokenizer="ja-mecab"))),
    "sent-transformer": Metric(_GENERATION, _TEXTS, _embedded(ENGLISH)),
    "multilingual-sent-transformer": Metric(_GENERATION, _TEXTS, _embedded(MULTILINGUAL)),
}
"""The metrics by the evaluator's names."""
