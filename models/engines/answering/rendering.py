"""Messages to tokens by the model's own chat template, the limits in tokens, and the head that chats share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.engines.answering.language_model import Coder
from prompts.prompt import Message, Prompt


@dataclass(frozen=True)
class ScoringSettings:
    """Limits in tokens: of a padded batch, and of one prompt."""

    token_budget: int
    max_prompt_tokens: int


def render(model: Coder, messages: Sequence[Message], cue: str = "") -> str:
    """Return the text after which the assistant speaks, ending in `cue`."""
    template = model.tokenizer.chat_template
    if template is None:
        return "\n\n".join(message.content for message in messages) + f"\n{cue}"
    turns = [{"role": message.role, "content": message.content} for message in messages]
    text: str = model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return text + cue


def head(model: Coder, system: str) -> list[int]:
    """Return the tokens that every chat with this system message begins with."""
    first, second = (model.encode(render(model, (Message("system", system), Message("user", u)))) for u in "ab")
    size = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return first[:size]


def fit(tokens: Sequence[int], limit: int) -> list[int]:
    """Cut the middle out of a prompt that is longer than `limit`: its first and last tokens carry the task."""
    if len(tokens) <= limit:
        return list(tokens)
    tail = limit // 2
    return [*tokens[: limit - tail], *tokens[len(tokens) - tail :]]


def question_tokens(model: Coder, prompt: Prompt, user: str, limit: int) -> list[int]:
    """Return the tokens of `prompt` with `user` as the user's turn, at most `limit` of them."""
    messages = (Message("system", prompt.system), Message("user", user))
    return fit(model.encode(render(model, messages, prompt.cue)), limit)


def statement_tokens(model: Coder, prompt: Prompt, limit: int) -> list[int]:
    """Return the tokens of the bare question and its cue as plain text, whose natural continuation is the answer."""
    return fit(model.tokenizer.encode(f"{prompt.bare.strip()}\n{prompt.cue}".strip()) or [model.pad], limit)


def by_head(
    model: Coder, systems: Sequence[str | None], prompts: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Group prompts by the tokens of their head: yield the shared tokens, none for the rest, and the prompts' indices.

    A head is computed once for all prompts behind it; `None` instead of a system message means no chat and no head.
    """
    left = set(range(len(prompts)))
    for system in dict.fromkeys(systems):
        shared = [] if system is None else head(model, system)
        same = [i for i in sorted(left) if systems[i] == system and list(prompts[i][: len(shared)]) == shared]
        if same and shared:
            left -= set(same)
            yield shared, same
    if left:
        yield [], sorted(left)
