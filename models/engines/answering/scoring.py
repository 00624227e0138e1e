"""What all ways of scoring share: limits, and the head of a chat that several prompts begin with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.engines.answering.language_model import Coder, LanguageModel, LogProbabilities, ScoringRow
from models.engines.answering.rendering import head


@dataclass(frozen=True)
class ScoringSettings:
    """Limits in tokens: of a padded batch, and of one prompt."""

    token_budget: int
    max_prompt_tokens: int


def score_behind_head(model: LanguageModel, rows: Sequence[ScoringRow], settings: ScoringSettings) -> LogProbabilities:
    """Return every continuation token's log-probability; what chats with one system message share is computed once."""
    return model.score_rows(rows, settings.token_budget)


def by_head(
    model: Coder, systems: Sequence[str | None], prompts: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Group prompts by what they begin with: yield the shared tokens, none for the rest, and the prompts' indices."""
    left = set(range(len(prompts)))
    for system in dict.fromkeys(systems):
        shared = [] if system is None else head(model, system)
        same = [i for i in sorted(left) if systems[i] == system and list(prompts[i][: len(shared)]) == shared]
        if same and shared:
            left -= set(same)
            yield shared, same
    if left:
        yield [], sorted(left)
