"""Counts the work of prompts: the engines' own code runs with a real tokenizer and models that compute nothing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from transformers import GenerationConfig

from evaluation.questions import QuestionRow
from models.engines.answering.language_model import LogProbabilities, ScoringRow, WritingRow
from models.engines.answering.solvers import solve
from models.engines.answering.tokens import ScoringSettings, TextCoder, TokenTree, batches_by_budget, by_head, grow_tree
from models.engines.interface import Usage
from models.engines.model_registry import DEFAULT_MODEL, ModelEntry, template_text
from models.engines.settings import EngineSettings, way_of, weights_folder
from models.engines.transformers_engine.decoding import write
from models.engines.transformers_engine.engine import PrefixCache
from models.engines.vllm_engine.tree_scoring import probes
from models.engines.weights_folder import missing_weights_message
from models.settings import load_settings
from prompts.detection import detect_task_type
from prompts.prompt import Prompt
from prompts.reading import Question
from prompts.reading.question import clipped
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from submission.time_budget.prediction import Head, Pass, Work, make_pass
from utilities.errors import UserError
from utilities.files import ROOT

# Characters per token in all prompts of data/development.json: with the default model's vocabulary, and with
# vocabularies of 32,768 and 131,072 tokens, which represent all vocabularies of about their size.
_DEFAULT_DENSITY, _SMALL_DENSITY, _LARGE_DENSITY = 2.72, 2.79, 3.18
_SMALL, _LARGE = 40_000, 100_000
_VLLM_BLOCK = 16  # tokens: the unit of vLLM's prefix cache


@dataclass(frozen=True)
class Counting:
    """A tokenizer, the model's tokens per token of it, and a sentence that explains both."""

    tokenizer: TextCoder
    scale: float
    statement: str


def counting_for(entry: ModelEntry) -> Counting:
    """Return how the model's prompts are counted: with its own tokenizer, else with the default model's.

    Raises:
        UserError: both tokenizers are missing.
    """
    default = weights_folder(load_settings().engine)
    own = default if entry.name == DEFAULT_MODEL else ROOT / entry.weights
    if (own / "tokenizer_config.json").is_file():
        return Counting(load_tokenizer(own, entry), 1.0, "counted with the model's own tokenizer")
    if not (default / "tokenizer_config.json").is_file():
        raise UserError(missing_weights_message(default))
    vocabulary = entry.shape.vocabulary
    larger = _LARGE_DENSITY if vocabulary >= _LARGE else _DEFAULT_DENSITY
    density = _SMALL_DENSITY if vocabulary <= _SMALL else larger
    statement = (
        f"counted with the default model's tokenizer x {_DEFAULT_DENSITY / density:.3f}: {_DEFAULT_DENSITY} characters "
        f"per token with it, about {density} with a vocabulary of {vocabulary:,} tokens"
    )
    return Counting(load_tokenizer(default, entry), _DEFAULT_DENSITY / density, statement)


def load_tokenizer(folder: Path, entry: ModelEntry) -> TextCoder:
    """Return the tokenizer of a folder, with the chat template that the package has for the model, if any."""
    untyped: Any = GenerationConfig
    coder = TextCoder(folder, untyped())
    coder.tokenizer.chat_template = template_text(entry.chat_template) or coder.tokenizer.chat_template
    return coder


class CountingModel:
    """An `AdaptedModel` without weights that records the transformers engine's passes and writes texts to their limit.

    Attributes:
        passes: the passes so far, without those over heads.
        heads: the passes over the tokens that several chats begin with.
    """

    def __init__(self, coder: TextCoder) -> None:
        self.tokenizer, self.ends, self.pad = coder.tokenizer, coder.ends, coder.pad
        self.encode, self.continuation = coder.encode, coder.continuation
        self.usage = Usage()
        self.deadline = math.inf
        self.adapter = ""
        self.passes: list[Pass] = []
        self.heads: dict[Head, Pass] = {}
        self._filler = self.encode("a")[0]

    def use(self, adapter: str) -> None:
        """Do nothing: every adapter's passes cost the same."""

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:
        """Record the padded batches that score the rows; return zeros."""
        for shared, indices in by_head(self, [row[0] for row in rows], [row[1] for row in rows]):
            self.prefix(shared)
            trees = [grow_tree(rows[index][1][len(shared) :], rows[index][2]) for index in indices]
            for group in batches_by_budget([tree.length for tree in trees], budget):
                lengths = [trees[index].length for index in group]
                outputs = sum(len(trees[index].tokens) for index in group)
                self.passes.append(make_pass(lengths, [len(shared)] * len(group), outputs, max(lengths)))
        return [[[0.0] * len(tokens) for tokens in row[2]] for row in rows]

    def write_rows(self, rows: Sequence[WritingRow], budget: int) -> list[str]:
        """Record the passes of the engine's own decoding, which calls the three methods below."""
        return write(cast(Any, self), rows, budget)

    def prefix(self, tokens: Sequence[int]) -> PrefixCache:
        """Record the pass over a head at the first call; return an empty cache of its length."""
        head = tuple(tokens)
        if head:
            self.heads.setdefault(head, make_pass([len(head)], [0], 0))
        return PrefixCache(head, ())

    def forward(self, ids: torch.Tensor, _positions: object, mask: torch.Tensor, _cache: object) -> torch.Tensor:
        """Record a pass over written rows; return states of size 1."""
        rows, width = ids.shape
        past = mask.shape[-1] - width
        seen = [int(count) for count in mask[:, 0, -1].sum(-1)]
        decode = width == 1 and past > 0
        lengths = [1] * rows if decode else [count - past for count in seen]
        pasts = [count - 1 for count in seen] if decode else [past] * rows
        self.passes.append(replace(make_pass(lengths, pasts, rows, width), decode=decode))
        return torch.zeros(rows, width, 1)

    def log_probabilities(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the same most likely token for every row: it ends no text and begins no word."""
        scores = torch.zeros(len(states), len(self.tokenizer))
        scores[:, self._filler] = 1.0
        yield scores


class CountingVllm(CountingModel):
    """Like `CountingModel`, for the vLLM engine: a request per row, no padding, and a prefix cache in blocks."""

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:  # noqa: ARG002
        """Record one pass over the requests that score the rows; rows with the same prompt form one tree."""
        groups: dict[tuple[int, ...], list[list[int]]] = {}
        known: dict[tuple[int, ...], int] = {}
        for row, count in zip(rows, self._known([row[0] for row in rows], [row[1] for row in rows]), strict=True):
            groups.setdefault(tuple(row[1]), []).extend(row[2])
            known[tuple(row[1])] = count
        trees = {prompt: grow_tree(prompt, continuations) for prompt, continuations in groups.items()}
        requests = [request for prompt, tree in trees.items() for request in _requests(tree, known[prompt])]
        lengths, pasts, outputs = ([request[part] for request in requests] for part in range(3))
        self.passes.append(make_pass(lengths, pasts, sum(outputs)))
        return [[[0.0] * len(tokens) for tokens in row[2]] for row in rows]

    def write_rows(self, rows: Sequence[WritingRow], budget: int) -> list[str]:  # noqa: ARG002
        """Record a pass over the prompts, and steps over the rows that are still written."""
        pasts = self._known([row.system for row in rows], [row.prompt for row in rows])
        lengths = [max(len(row.prompt) - past, 1) for row, past in zip(rows, pasts, strict=True)]
        self.passes.append(make_pass(lengths, pasts, len(rows)))
        for step in range(1, max(row.limit for row in rows)):
            left = [len(row.prompt) + step for row in rows if row.limit > step]
            self.passes.append(replace(make_pass([1] * len(left), left, len(left)), decode=True))
        return [""] * len(rows)

    def _known(self, systems: Sequence[str | None], prompts: Sequence[Sequence[int]]) -> list[int]:
        """Return how many tokens of each prompt the cache holds from other chats with the same system message."""
        known = [0] * len(prompts)
        for shared, indices in by_head(self, systems, prompts):
            self.prefix(shared)
            for index in indices:
                known[index] = _blocks(len(shared))
        return known


def _blocks(tokens: int) -> int:
    return tokens // _VLLM_BLOCK * _VLLM_BLOCK


def _requests(tree: TokenTree, shared: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each request of a tree the tokens to read, the cached tokens, and the rows of logits."""
    kept: set[tuple[int, ...]] = set()
    for probe in probes(tree):
        ends = range(_VLLM_BLOCK, len(probe.tokens), _VLLM_BLOCK)
        known = max((end for end in ends if probe.tokens[:end] in kept), default=min(shared, len(probe.tokens) - 1))
        kept.update(probe.tokens[:end] for end in (*ends, _blocks(len(probe.tokens))))
        yield len(probe.tokens) - known, known, 1 + len(probe.rows)


def prompts_of(questions: Sequence[QuestionRow], settings: PromptSettings) -> list[Prompt]:
    """Build the prompts as the UserModel does: by detection, not by the data's task type."""
    texts = [(clipped(question.input_field), question.is_multiple_choice) for question in questions]
    return [
        BUILDERS[detect_task_type(Question(text), is_choice)](Question(text), settings, QUESTION_ALONE)
        for text, is_choice in texts
    ]


def count_work(tokenizer: TextCoder, batches: Sequence[Sequence[Prompt]], settings: EngineSettings) -> Work:
    """Return the passes that the settings' engine and ways of answering make of these batches."""
    model = CountingVllm(tokenizer) if settings.name == "vllm" else CountingModel(tokenizer)
    work = Work(sum(map(len, batches)), heads=model.heads)
    limits = ScoringSettings(settings.token_budget, settings.max_prompt_tokens)
    for batch in batches:
        solve(model, batch, [way_of(prompt.space, settings) for prompt in batch], limits)
        work.batches.append(tuple(model.passes))
        model.passes.clear()
    return work
