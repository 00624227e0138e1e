"""Phrases copied from the question, chosen by the model's probabilities.

A phrase's score is log P(phrase | cue) - share x log P(phrase | neutral cue), the cues following the same text: what
asking for this entity or aspect makes of a phrase that the text makes likely in any case.
"""

from collections.abc import Sequence

from models.engines.answering.language_model import Coder, LanguageModel, ScoringRow
from models.engines.answering.rendering import fit
from models.engines.answering.scoring import ScoringSettings
from models.engines.interface import Answer
from prompts.answer_space import Spans
from prompts.phrases import phrases, without_overlap
from prompts.prompt import Prompt
from retrieval.bm25 import best_first

_MOST_STARTS = 16  # of a review's hundred words, those that could begin the phrase by their first token
_MOST_PHRASES = 2000  # five hundred words; the tail of a longer text is not read
_MOST_COMPARED = 400
_CLOSE = 0.25  # nats: another phrase is given only beside an equal, for most questions have one answer
_END = "\n"

Continuations = list[list[int]]


def answer_spans(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Return for each prompt its best phrases.

    The end of the line counts as a token of the phrase: "kids bike" is no answer where "kids bike helmet" goes on.
    """
    candidates = _promising(model, prompts, [_candidates(prompt) for prompt in prompts], settings)
    ended = [[phrase_tokens(model, phrase) for phrase in found] for found in candidates]
    scores = _scores(model, prompts, ended, settings)
    return [_chosen(*each) for each in zip(prompts, candidates, scores, strict=True)]


def _candidates(prompt: Prompt) -> list[str]:
    assert isinstance(prompt.space, Spans)
    return phrases(prompt.space)[:_MOST_PHRASES]


def phrase_tokens(model: Coder, phrase: str) -> list[int]:
    """Return the tokens of a phrase and of the end of its line, which tells it from one that goes on."""
    return _tokens(model, phrase + _END)


def _tokens(model: Coder, phrase: str) -> list[int]:
    return model.continuation(f" {phrase}")


def _promising(
    model: LanguageModel, prompts: Sequence[Prompt], candidates: Sequence[list[str]], settings: ScoringSettings
) -> list[list[str]]:
    """Keep of a long text the phrases whose first token scores best; one forward pass of the text tells all of them."""
    firsts = [[_tokens(model, phrase)[0] for phrase in found] for found in candidates]
    long = [index for index, first in enumerate(firsts) if len(set(first)) > _MOST_STARTS]
    starts: list[Continuations] = [[[token] for token in dict.fromkeys(firsts[index])] for index in long]
    kept = list(candidates)
    found = _scores(model, [prompts[index] for index in long], starts, settings)
    for index, tokens, scores in zip(long, starts, found, strict=True):
        best = {tokens[rank][0] for rank in best_first(scores)[:_MOST_STARTS]}
        pairs = zip(candidates[index], firsts[index], strict=True)
        kept[index] = [phrase for phrase, first in pairs if first in best][:_MOST_COMPARED]
    return kept


def _scores(
    model: LanguageModel, prompts: Sequence[Prompt], continuations: Sequence[Continuations], settings: ScoringSettings
) -> list[list[float]]:
    found = [span_row(model, *pair, settings) for pair in zip(prompts, continuations, strict=True)]
    scored = model.score_rows([row for row, _ in found], settings.token_budget)
    return [_difference(prompt, cues, scores) for prompt, (_, cues), scores in zip(prompts, found, scored, strict=True)]


def span_row(
    model: Coder, prompt: Prompt, found: Continuations, settings: ScoringSettings
) -> tuple[ScoringRow, tuple[int, int]]:
    """Return what is scored for a prompt, and how many tokens the cue and the neutral cue have.

    The continuations are all phrases behind the cue, then all phrases behind the neutral cue.
    """
    asked, neutral = model.continuation(f"\n{prompt.cue}"), model.continuation(f"\n{prompt.neutral_cue}")
    text = fit(model.tokenizer.encode(prompt.bare), settings.max_prompt_tokens)
    return (None, text, [cue + tokens for cue in (asked, neutral) for tokens in found]), (len(asked), len(neutral))


def _difference(prompt: Prompt, cues: tuple[int, int], scored: Sequence[Sequence[float]]) -> list[float]:
    half = len(scored) // 2
    asked = (sum(values[cues[0] :]) for values in scored[:half])
    neutral = (sum(values[cues[1] :]) for values in scored[half:])
    return [a - prompt.neutral_share * n for a, n in zip(asked, neutral, strict=True)]


def _chosen(prompt: Prompt, candidates: Sequence[str], scores: Sequence[float]) -> Answer:
    """Take the best phrase, and others apart from it that are nearly as good."""
    assert isinstance(prompt.space, Spans)
    order = best_first(scores)
    close = [candidates[index] for index in order if scores[index] > scores[order[0]] - _CLOSE]
    return Answer(", ".join(without_overlap(prompt.space.source, close, prompt.space.max_spans)))
