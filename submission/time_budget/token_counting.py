"""Counts the work of prompts: the engines' own code run with a real tokenizer and models that compute nothing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import DynamicCache

from evaluation.questions import QuestionRow
from models.engines.answering.language_model import LogProbabilities, ScoringRow, WritingRow
from models.engines.answering.scoring import ScoringSettings, by_head
from models.engines.answering.solvers import solve
from models.engines.answering.token_tree import TokenTree, grow_tree
from models.engines.answering.ways import way_of
from models.engines.settings import EngineSettings
from models.engines.transformers_engine.causal_lm import CausalLM
from models.engines.transformers_engine.forward import PrefixCache
from models.engines.usage import Usage
from models.engines.vllm_engine.probes import probes
from prompts.clipping import clipped
from prompts.detection import detect_task_type
from prompts.prompt import Prompt
from prompts.reading import Question
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from submission.time_budget.work import Head, Pass, Work, make_pass

_VLLM = "vllm"
_VLLM_BLOCK = 16  # tokens: what vLLM's prefix cache keeps and finds again


class CountingModel(CausalLM):
    """The model of the transformers engine without weights: it encodes, batches and pads, and notes each forward pass.

    Texts are written to their limit, which real ones seldom reach.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.ends = [tokenizer.eos_token_id]
        self.pad = tokenizer.pad_token_id or tokenizer.eos_token_id or 0
        self.usage = Usage()
        self.deadline = math.inf
        self.device = torch.device("cpu")
        self.passes: list[Pass] = []
        self.heads: dict[Head, Pass] = {}
        self.adapter = ""
        self._prefixes = {}
        self._vocabulary = len(tokenizer)
        self._filler = self.encode("a")[0]

    def prefix(self, tokens: Sequence[int]) -> PrefixCache:
        """Note the pass at the first call."""
        head = tuple(tokens)
        key = self.adapter, head
        if key not in self._prefixes:
            self._prefixes[key] = PrefixCache(head, ())
            self.heads[head] = make_pass([len(head)], [0], 0)
        return self._prefixes[key]

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,  # noqa: ARG002 - a pass costs the same wherever its tokens stand
        mask: torch.Tensor,
        cache: DynamicCache | None,  # noqa: ARG002 - nothing is kept
    ) -> torch.Tensor:
        """Note the pass of rows that are written, and return states of size 1."""
        rows, width = ids.shape
        past = mask.shape[-1] - width
        seen = [int(count) for count in mask[:, 0, -1].sum(-1)]
        decode = width == 1 and past > 0
        lengths = [1] * rows if decode else [count - past for count in seen]
        pasts = [count - 1 for count in seen] if decode else [past] * rows
        self.passes.append(replace(make_pass(lengths, pasts, rows, width), decode=decode))
        return torch.zeros(rows, width, 1)

    def log_probabilities(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the same likeliest token for every row: one that ends nothing and begins no word."""
        scores = torch.zeros(len(states), self._vocabulary)
        scores[:, self._filler] = 1.0
        yield scores

    def _score_batch(self, trees: Sequence[TokenTree], prefix: PrefixCache | None) -> LogProbabilities:
        lengths = [tree.length for tree in trees]
        pasts = [len(prefix.tokens) if prefix else 0] * len(trees)
        outputs = sum(len(tree.tokens) for tree in trees)
        self.passes.append(make_pass(lengths, pasts, outputs, max(lengths)))
        return [[[0.0] * len(path) for path in tree.paths] for tree in trees]


class CountingVllm(CountingModel):
    """The same for the vLLM engine: a request is a row, nothing is padded, shared beginnings are kept in blocks."""

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:  # noqa: ARG002
        """Note one pass over the requests that score the rows; rows with the same prompt are one tree."""
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
        """Note a pass over the prompts, and steps over the rows that are still written."""
        pasts = self._known([row.system for row in rows], [row.prompt for row in rows])
        lengths = [max(len(row.prompt) - past, 1) for row, past in zip(rows, pasts, strict=True)]
        self.passes.append(make_pass(lengths, pasts, len(rows)))
        for step in range(1, max(row.limit for row in rows)):
            left = [len(row.prompt) + step for row in rows if row.limit > step]
            self.passes.append(replace(make_pass([1] * len(left), left, len(left)), decode=True))
        return [""] * len(rows)

    def _known(self, systems: Sequence[str | None], prompts: Sequence[Sequence[int]]) -> list[int]:
        """Return how many tokens of each prompt the cache holds, as other chats begin with the same message."""
        known = [0] * len(prompts)
        for shared, indices in by_head(self, systems, prompts):
            if shared:
                self.prefix(shared)
            for index in indices:
                known[index] = _blocks(len(shared))
        return known


def _blocks(tokens: int) -> int:
    return tokens // _VLLM_BLOCK * _VLLM_BLOCK


def _requests(tree: TokenTree, shared: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each request of a tree the tokens that are read, those that the cache holds, and the rows of logits."""
    kept: set[tuple[int, ...]] = set()
    for probe in probes(tree):
        ends = range(_VLLM_BLOCK, len(probe.tokens), _VLLM_BLOCK)
        known = max((end for end in ends if probe.tokens[:end] in kept), default=min(shared, len(probe.tokens) - 1))
        kept.update(probe.tokens[:end] for end in (*ends, _blocks(len(probe.tokens))))
        yield len(probe.tokens) - known, known, 1 + len(probe.rows)


def prompts_of(questions: Sequence[QuestionRow], settings: PromptSettings) -> list[Prompt]:
    """Build the prompts as the UserModel does: its own detection, not the data's task type."""
    texts = [(clipped(question.input_field), question.is_multiple_choice) for question in questions]
    return [
        BUILDERS[detect_task_type(Question(text), is_choice)](Question(text), settings, QUESTION_ALONE)
        for text, is_choice in texts
    ]


def count_work(tokenizer: Any, batches: Sequence[Sequence[Prompt]], settings: EngineSettings) -> Work:
    """Return the passes that the settings' engine and ways of answering make of these batches."""
    model = CountingVllm(tokenizer) if settings.name == _VLLM else CountingModel(tokenizer)
    work = Work(sum(map(len, batches)), heads=model.heads)
    limits = ScoringSettings(settings.token_budget, settings.max_prompt_tokens)
    for batch in batches:
        solve(model, batch, [way_of(prompt.space, settings) for prompt in batch], limits)
        work.batches.append(tuple(model.passes))
        model.passes.clear()
    return work
