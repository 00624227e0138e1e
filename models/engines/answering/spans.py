"""Phrases copied from the question: chosen by their probabilities, or written and looked up.

A scored phrase gets log P(phrase | cue) - share x log P(phrase | neutral cue), with both cues behind the same text: how
much more probable the question for this entity or aspect makes the phrase than the text alone does. Written phrases are
cheaper, and fit models that follow instructions.
"""

from collections.abc import Sequence

from models.engines.answering.language_model import Coder, LanguageModel, ScoringRow, WritingRow
from models.engines.answering.tokens import ScoringSettings, fit, plain_tokens, question_tokens
from models.engines.interface import Answer
from prompts.phrases import phrases, without_overlap
from prompts.prompt import Prompt, Spans, Text
from retrieval.lexical import best_first

_TOKENS_PER_WORD = 2
_LEAST_TOKENS = 8
_SEPARATORS = str.maketrans(dict.fromkeys(";、，\n", ","))
_EDGES = " \t'\"`*.[]()“”‘’«»「」-"
_MOST_STARTS = 16  # first tokens: of a long text, only the phrases with the best ones are scored as a whole
_MOST_PHRASES = 2000  # five hundred words; the tail of a longer text is not read
_MOST_COMPARED = 400
_CLOSE = 0.25  # nats: a further phrase must score nearly as high as the best, because most questions have one answer
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
    return phrases(_space(prompt))[:_MOST_PHRASES]


def phrase_tokens(model: Coder, phrase: str) -> list[int]:
    """Return the tokens of a phrase and of the end of its line, which excludes longer phrases."""
    return _tokens(model, phrase + _END)


def _tokens(model: Coder, phrase: str) -> list[int]:
    return model.continuation(f" {phrase}")


def _promising(
    model: LanguageModel, prompts: Sequence[Prompt], candidates: Sequence[list[str]], settings: ScoringSettings
) -> list[list[str]]:
    """Keep of a long text the phrases with the best first tokens, which one forward pass of the text scores."""
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
    """Return the row that scores a prompt's phrases, and how many tokens the cue and the neutral cue have.

    The continuations are all phrases behind the cue, then all phrases behind the neutral cue.
    """
    asked, neutral = model.continuation(f"\n{prompt.cue}"), model.continuation(f"\n{prompt.neutral_cue}")
    text = fit(plain_tokens(model, prompt.bare), settings.max_prompt_tokens)
    return (None, text, [cue + tokens for cue in (asked, neutral) for tokens in found]), (len(asked), len(neutral))


def _difference(prompt: Prompt, cues: tuple[int, int], scored: Sequence[Sequence[float]]) -> list[float]:
    half = len(scored) // 2
    asked = (sum(values[cues[0] :]) for values in scored[:half])
    neutral = (sum(values[cues[1] :]) for values in scored[half:])
    return [a - prompt.neutral_share * n for a, n in zip(asked, neutral, strict=True)]


def _chosen(prompt: Prompt, candidates: Sequence[str], scores: Sequence[float]) -> Answer:
    """Take the best phrase, and others that do not overlap with it and score nearly as high."""
    order = best_first(scores)
    close = [candidates[index] for index in order if scores[index] > scores[order[0]] - _CLOSE]
    return Answer(", ".join(without_overlap(_space(prompt).source, close, _space(prompt).max_spans)))


def copy_spans(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Write phrases and keep those that the source has; the text is empty where it has none of them."""
    texts = model.write_rows([_row(model, prompt, settings) for prompt in prompts], settings.token_budget)
    return [Answer(copied(_space(prompt), text)) for prompt, text in zip(prompts, texts, strict=True)]


def copied(space: Spans, text: str) -> str:
    """Return the phrases of `text` that the source has, spelled as there, separated by commas."""
    known = {phrase.lower(): phrase for phrase in phrases(space)}
    written = (part.strip(_EDGES).lower() for part in text.translate(_SEPARATORS).split(","))
    found = dict.fromkeys(known[part] for part in written if part in known)
    return ", ".join(without_overlap(space.source, list(found), space.max_spans))


def _row(model: LanguageModel, prompt: Prompt, settings: ScoringSettings) -> WritingRow:
    words = _space(prompt).max_spans * _space(prompt).max_words
    tokens = question_tokens(model, prompt, prompt.user, settings.max_prompt_tokens)
    return WritingRow(prompt.system, tokens, Text(words), max(_LEAST_TOKENS, _TOKENS_PER_WORD * words))


def _space(prompt: Prompt) -> Spans:
    assert isinstance(prompt.space, Spans)
    return prompt.space
