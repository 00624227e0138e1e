"""Adapts llama.cpp to the engine interface: the package's prompts and solvers with llama.cpp's arithmetic."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from models.engines.answering.language_model import LogProbabilities, ScoringRow, WritingRow
from models.engines.answering.solvers import solve
from models.engines.answering.tokens import ScoringSettings, TextCoder
from models.engines.interface import NO_LIMIT, Answer, Usage
from models.engines.settings import EngineSettings, way_of
from models.engines.transformers_engine.decoding import constrained
from prompts.prompt import Prompt

_ROOM_FOR_ANSWERS = 512


class LlamaCppModel(TextCoder):
    """A model in a GGUF file; it computes one row at a time, and a row's prompt once for all its continuations."""

    def __init__(self, folder: Path, gguf: Path, context: int, threads: int) -> None:
        """Load `gguf`, and the tokenizer from `folder`, which has the same vocabulary."""
        from llama_cpp import Llama

        super().__init__(folder, GenerationConfig.from_pretrained(folder, local_files_only=True))
        self.usage = Usage()
        self.deadline = math.inf
        self._llama: Any = Llama(
            str(gguf), n_ctx=context, n_threads=threads, n_threads_batch=threads, logits_all=True, verbose=False
        )

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:  # noqa: ARG002
        """Score every row's continuations."""
        return [self._score(prompt, continuations) for _, prompt, continuations in rows]

    def write_rows(self, rows: Sequence[WritingRow], budget: int) -> list[str]:  # noqa: ARG002
        """Write every row's text or labels."""
        return [self._write(row) for row in rows]

    def _score(self, prompt: list[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        started = time.perf_counter()
        self._llama.reset()
        self._llama.eval(prompt)
        first = self._log_probabilities(len(prompt) - 1)
        scores = []
        for tokens in continuations:
            self._llama.n_tokens = len(prompt)
            if len(tokens) > 1:
                self._llama.eval(list(tokens[:-1]))
            later = [self._log_probabilities(len(prompt) + index) for index in range(len(tokens) - 1)]
            scores.append([float(row[token]) for row, token in zip([first, *later], tokens, strict=True)])
        read = len(prompt) + sum(len(tokens) - 1 for tokens in continuations)
        self.usage.prefilled(read, time.perf_counter() - started)
        return scores

    def _write(self, asked: WritingRow) -> str:
        row, read = constrained(self, asked)
        started = time.perf_counter()
        self._llama.reset()
        self._llama.eval(list(asked.prompt))
        prefilled = time.perf_counter()
        token = row.choose(self._log_probabilities(self._llama.n_tokens - 1))
        while not row.done:
            self._llama.eval([token])
            token = row.choose(self._log_probabilities(self._llama.n_tokens - 1))
        self.usage.prefilled(len(asked.prompt), prefilled - started)
        self.usage.decoded(len(row.tokens), len(row.tokens), time.perf_counter() - prefilled)
        return read(row.tokens)

    def _log_probabilities(self, position: int) -> torch.Tensor:
        return torch.from_numpy(self._llama.scores[position]).log_softmax(-1)


class LlamaCppEngine:
    """Answers prompts with the solvers of the package's engines."""

    def __init__(self, folder: Path, settings: EngineSettings, gguf: Path, threads: int) -> None:
        """Load the model from a GGUF file; the tokenizer comes from `folder`."""
        self._settings, self._gguf = settings, gguf
        self._limits = ScoringSettings(settings.token_budget, settings.max_prompt_tokens)
        self._model = LlamaCppModel(folder, gguf, settings.max_prompt_tokens + _ROOM_FOR_ANSWERS, threads)

    def answer(
        self,
        prompts: Sequence[Prompt],
        ways: Sequence[str] | None = None,
        seconds: float = NO_LIMIT,  # noqa: ARG002 - no deadline: it is only measured
    ) -> list[Answer]:
        """Answer every prompt, in order."""
        ways = ways or [way_of(prompt.space, self._settings) for prompt in prompts]
        return solve(self._model, prompts, ways, self._limits)

    def usage(self) -> Usage:
        """Return the tokens read and written so far, and the seconds."""
        return self._model.usage

    def describe(self) -> Mapping[str, object]:
        """Return the version of llama.cpp's binding and the name of the file."""
        import llama_cpp

        return {"engine": "llama.cpp", "llama_cpp": llama_cpp.__version__, "gguf": self._gguf.name}
