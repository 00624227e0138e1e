"""What all ways of scoring share: limits, and the head of a chat computed once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.engines.causal_lm import CausalLM
from models.engines.rendering import head
from models.engines.token_tree import grow_tree


@dataclass(frozen=True)
class ScoringSettings:
    """Limits in tokens: of a padded batch, and of one prompt."""

    token_budget: int
    max_prompt_tokens: int


ScoringRow = tuple[str, list[int], list[list[int]]]
"""System message, the prompt's tokens, the tokens of its continuations."""


def score_behind_head(
    model: CausalLM, rows: Sequence[ScoringRow], settings: ScoringSettings
) -> list[list[list[float]]]:
    """Return every continuation token's log-probability; what chats with one system message share is computed once."""
    scores: list[list[list[float]]] = [[] for _ in rows]
    for shared, indices in by_head(model, [row[0] for row in rows], [row[1] for row in rows]):
        prefix = model.prefix(shared) if shared else None
        trees = [grow_tree(rows[index][1][len(shared) :], rows[index][2]) for index in indices]
        for index, found in zip(indices, model.score(trees, prefix, settings.token_budget), strict=True):
            scores[index] = found
    return scores


def by_head(
    model: CausalLM, systems: Sequence[str], prompts: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Group prompts by what they begin with: yield the shared tokens, none for the rest, and the prompts' indices."""
    left = set(range(len(prompts)))
    for system in dict.fromkeys(systems):
        shared = head(model, system)
        same = [i for i in sorted(left) if systems[i] == system and list(prompts[i][: len(shared)]) == shared]
        left -= set(same)
        if same and shared:
            yield shared, same
    if left:
        yield [], sorted(left)
