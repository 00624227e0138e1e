"""Prompts as tokens: tokenizers and chat templates, heads that chats share, and trees of possible continuations."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from jinja2 import TemplateError

from models.engines.answering.language_model import Coder
from models.engines.local_folder import LOCAL
from prompts.prompt import Message, Prompt
from utilities.errors import UserError


@dataclass(frozen=True)
class ScoringSettings:
    """Limits in tokens: of a padded batch, and of one prompt."""

    token_budget: int
    max_prompt_tokens: int


def render(model: Coder, messages: Sequence[Message], cue: str = "") -> str:
    """Return the rendered chat up to the assistant's turn, followed by `cue`.

    A template that refuses or drops the system message gets its text at the head of the first user turn. A model
    without template gets plain text behind its token of a text's beginning, if its tokenizer has one.

    Raises:
        UserError: the template cannot be rendered at all.
    """
    if model.tokenizer.chat_template is None:
        begin = model.tokenizer.bos_token or ""
        return begin + "\n\n".join(message.content for message in messages) + f"\n{cue}"
    system = "".join(message.content for message in messages if message.role == "system").strip()
    with suppress(TemplateError):
        text = _templated(model, messages)
        if system in text:
            return text + cue
    try:
        return _templated(model, _without_system(messages)) + cue
    except TemplateError as error:
        raise UserError(
            f"the chat template cannot be rendered ({error}): repair it in the folder of the weights, or name one of "
            "this package by the setting engine.chat_template"
        ) from error


def _templated(model: Coder, messages: Sequence[Message]) -> str:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return str(model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """Move the text of the system message to the head of the first user turn."""
    system = [message.content for message in messages if message.role == "system" and message.content]
    first, *others = (message for message in messages if message.role != "system")
    return [Message(first.role, "\n\n".join([*system, first.content])), *others]


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
    return fit(plain_tokens(model, f"{prompt.bare.strip()}\n{prompt.cue}".strip()) or [model.pad], limit)


def plain_tokens(model: Coder, text: str) -> list[int]:
    """Return the tokens of a text without a chat, with the special tokens that the tokenizer adds.

    A model without chat template also gets the token of a text's beginning, if its tokenizer has one: a base model
    such as Gemma answers nonsense without it.
    """
    tokens: list[int] = model.tokenizer.encode(text)
    begin = model.tokenizer.bos_token_id
    if model.tokenizer.chat_template is None and begin is not None and tokens[:1] != [begin]:
        return [begin, *tokens]
    return tokens


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


class TextCoder:
    """A model's tokenizer.

    Attributes:
        tokenizer: transformers' tokenizer of the folder.
        ends: the tokens that end an answer, the tokenizer's own first.
        pad: the padding token.
    """

    def __init__(self, folder: Path, generation_config: Any) -> None:
        """Load the tokenizer; `generation_config` is the model's, of transformers."""
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **LOCAL)
        configured = generation_config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        ends = dict.fromkeys([self.tokenizer.eos_token_id, *listed])
        self.ends: list[int] = [token for token in ends if token is not None]
        self.pad: int = self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text` without any special token around them."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def continuation(self, text: str) -> list[int]:
        """Return the tokens of `text` as they stand behind other text.

        The tokenizers of Llama 2, Mistral and Phi-3 add a space before every text, which is right at the beginning
        only.
        """
        behind, tokens = self.encode("\n"), self.encode(f"\n{text}")
        return tokens[len(behind) :] if tokens[: len(behind)] == behind else self.encode(text)


@dataclass(frozen=True)
class TokenTree:
    """A prompt's tokens followed by a trie of continuations.

    The continuations are merged where they begin alike; `parents[n]` is the node before node n, -1 for the prompt's
    last token. `paths[c]` are the nodes of continuation c, in order. A node that ends every continuation through it
    predicts nothing, so it takes part in no forward pass: `inner` lists the nodes that do.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]
    inner: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many tokens the forward pass sees."""
        return len(self.prompt) + len(self.inner)


def grow_tree(prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> TokenTree:
    """Merge `continuations` into a trie behind `prompt`.

    Raises:
        ValueError: the prompt or a continuation has no token.
    """
    if not prompt or not all(continuations):
        raise ValueError("a token tree needs a prompt and continuations of at least one token")
    nodes: dict[tuple[int, int], int] = {}
    paths = []
    for continuation in continuations:
        path: list[int] = []
        for token in continuation:
            edge = (path[-1] if path else -1, token)
            path.append(nodes.setdefault(edge, len(nodes)))
        paths.append(tuple(path))
    parents = tuple(parent for parent, _ in nodes)
    inner = tuple(sorted(set(parents) - {-1}))
    return TokenTree(tuple(prompt), tuple(token for _, token in nodes), parents, tuple(paths), inner)


@dataclass(frozen=True)
class PackedTrees:
    """Token trees as one left-padded batch.

    `input_ids` and `position_ids` are [batch, length]; `mask` is [batch, 1, length, past + length], true where a token
    may look. `columns[b][n]` is the column of inner node n of row b; the prompt's last token has key -1.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    mask: torch.Tensor
    columns: tuple[dict[int, int], ...]


def pack_trees(trees: Sequence[TokenTree], past: int, pad: int) -> PackedTrees:
    """Pack `trees` behind `past` cached tokens; a node sees the prompt, its own ancestors and itself."""
    width = max(tree.length for tree in trees)
    ids = torch.full((len(trees), width), pad, dtype=torch.long)
    positions = torch.zeros((len(trees), width), dtype=torch.long)
    sees = torch.zeros((len(trees), 1, width, past + width), dtype=torch.bool)
    sees[:, 0, :, past:] = torch.eye(width, dtype=torch.bool)
    columns = []
    for row, tree in enumerate(trees):
        start = width - tree.length
        columns.append(_columns(tree, start))
        _fill_row(tree, start, past, ids[row], positions[row], sees[row, 0])
    return PackedTrees(ids, positions, sees, tuple(columns))


def _columns(tree: TokenTree, start: int) -> dict[int, int]:
    first = start + len(tree.prompt)
    return {-1: first - 1, **{node: first + rank for rank, node in enumerate(tree.inner)}}


def _fill_row(
    tree: TokenTree, start: int, past: int, ids: torch.Tensor, positions: torch.Tensor, sees: torch.Tensor
) -> None:
    size = len(tree.prompt)
    end = start + size
    ids[start:end] = torch.tensor(tree.prompt)
    positions[start:end] = torch.arange(past, past + size)
    sees[start:, :past] = True
    sees[start:end, past + start : past + end] = torch.ones(size, size, dtype=torch.bool).tril()
    columns = _columns(tree, start)
    for node in tree.inner:
        column, before = columns[node], columns[tree.parents[node]]
        ids[column] = tree.tokens[node]
        positions[column] = positions[before] + 1
        sees[column, past + start :] = sees[before, past + start :]
        sees[column, past + column] = True


def batches_by_budget(lengths: Sequence[int], budget: int, pass_cost: int | None = None) -> list[list[int]]:
    """Group indices, longest first, so that no group's padded size (rows x longest row) is over `budget` tokens.

    The padded tokens of all groups and `pass_cost` tokens for each group are as few as they can be. Without a cost a
    group costs the budget, so that groups are few. A row that is longer than the budget is a group by itself.
    """
    cost = budget if pass_cost is None else pass_cost
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    cheapest, begins = [0], [0]
    for end in range(1, len(order) + 1):
        found = []
        for begin in range(end - 1, -1, -1):
            size = (end - begin) * lengths[order[begin]]
            if size > budget and begin < end - 1:
                break
            found.append((cheapest[begin] + size + cost, begin))
        least, begin = min(found)
        cheapest.append(least)
        begins.append(begin)
    groups, end = [], len(order)
    while end:
        groups.append(order[begins[end] : end])
        end = begins[end]
    return groups[::-1]
