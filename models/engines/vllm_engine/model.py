"""A language model that vLLM runs: the same tokens and the same questions as of any other, put otherwise."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transformers import AutoConfig, GenerationConfig

from models.engines.answering.language_model import LogProbabilities, ScoringRow, WritingRow
from models.engines.answering.rendering import fit
from models.engines.answering.token_tree import grow_tree
from models.engines.interface import Usage
from models.engines.local_folder import LOCAL, TextCoder
from models.engines.vllm_engine.client import VllmClient
from models.engines.vllm_engine.tree_scoring import score_trees
from models.engines.vllm_engine.writing import Line, batch_times, line_of


class VllmModel(TextCoder):
    """Tokenizer and weights of one model; batches are vLLM's affair, so that a batch's budget means nothing here.

    Attributes:
        usage: what was read and written so far.
        deadline: the monotonic time after which nobody waits.
        adapter: the name of the adapter in use, "" for none.
    """

    def __init__(self, folder: Path, client: VllmClient, max_model_len: int, adapter: str) -> None:
        """Load the tokenizer; `client` runs the weights of the same folder, and begins with `adapter`."""
        super().__init__(folder, _generation_config(folder))
        self.usage = Usage()
        self.deadline = math.inf
        self._client = client
        self._max_model_len = max_model_len
        self.use(adapter)

    def use(self, adapter: str) -> None:
        """Answer with the adapter of this name from now on.

        Raises:
            EngineError: it was not loaded.
        """
        self._client.use(adapter)
        self.adapter = adapter

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:  # noqa: ARG002
        """Score every row's continuations; rows with the same prompt are one tree.

        Raises:
            EngineError: the deadline has passed, or vLLM refused a request.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, (_, prompt, continuations) in enumerate(rows):
            fitted = self._fitted(prompt, max(map(len, continuations), default=0))
            groups.setdefault(tuple(fitted), []).append(index)
        trees = [grow_tree(prompt, [c for index in same for c in rows[index][2]]) for prompt, same in groups.items()]
        started = time.perf_counter()
        values, read = score_trees(self._client, trees, self.deadline)
        self.usage.prefilled(read, time.perf_counter() - started)
        scores: LogProbabilities = [[] for _ in rows]
        for same, tree, found in zip(groups.values(), trees, values, strict=True):
            along = ([found[node] for node in path] for path in tree.paths)
            for index in same:
                scores[index] = [next(along) for _ in rows[index][2]]
        return scores

    def write_rows(self, rows: Sequence[WritingRow], budget: int) -> list[str]:  # noqa: ARG002
        """Write every row's text or labels, all of them side by side.

        Raises:
            EngineError: vLLM refused a request.
        """
        fitted = [replace(row, prompt=self._fitted(row.prompt, row.limit)) for row in rows]
        lines = [line_of(self, row, index) for index, row in enumerate(fitted)]
        while writing := [line for line in lines if not line.done]:
            self._write(writing)
        return [line.text() for line in lines]

    def _write(self, lines: Sequence[Line]) -> None:
        started = time.perf_counter()
        replies = self._client.run([line.request() for line in lines], self.deadline)
        reading, writing = batch_times(replies, time.perf_counter() - started)
        for line, reply in zip(lines, replies, strict=True):
            line.take(reply)
        written = [len(reply.tokens) for reply in replies]
        self.usage.prefilled(sum(reply.read for reply in replies), reading)
        self.usage.decoded(max(written) - 1, sum(written), writing)

    def _fitted(self, prompt: list[int], behind: int) -> list[int]:
        """Return the prompt, cut where it leaves too little room for what comes behind it."""
        return fit(prompt, max(self._max_model_len - behind - 1, 1))


def _generation_config(folder: Path) -> GenerationConfig:
    """Return what transformers gives a model that it loads from the folder."""
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder, **LOCAL))
