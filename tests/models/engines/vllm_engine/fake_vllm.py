"""A stand-in for vLLM's interface over a tiny model: its outputs, its prefix cache, its two model runners."""

import asyncio
import json
import math
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from models.engines.settings import VllmSettings
from models.engines.transformers_engine.engine import CausalLM

VLLM = VllmSettings(max_model_len=1024)
BLOCK = 4


class DeadError(Exception):
    pass


class FakeVllm:
    """Keeps what it was asked; `fault`, once set, is raised by every request."""

    def __init__(self, model: CausalLM, *, by_rows: bool) -> None:
        self.vllm_config = SimpleNamespace(use_v2_model_runner=by_rows)
        self.arguments: dict[str, Any] = {}
        self.asked: list[SimpleNamespace] = []
        self.fault: Exception | None = None
        self.pause = 0.0
        self.closed = False
        self._model = model
        self._cache: dict[tuple[int | None, int], list[tuple[int, ...]]] = {}
        self.loaded: list[SimpleNamespace] = []
        self.refuses: Exception | None = None

    def from_engine_args(self, arguments: SimpleNamespace) -> "FakeVllm":
        self.arguments = vars(arguments)
        return self

    async def add_lora(self, lora_request: SimpleNamespace) -> None:
        assert self.arguments["enable_lora"]
        if self.refuses is not None:
            raise self.refuses
        self.loaded.append(lora_request)

    def shutdown(self) -> None:
        self.closed = True

    async def generate(
        self,
        prompt: list[int],
        sampling: SimpleNamespace,
        request_id: str,
        lora_request: SimpleNamespace | None = None,
        data_parallel_rank: int | None = None,
    ) -> AsyncIterator[SimpleNamespace]:
        self._model.use(lora_request.lora_name if lora_request else "")
        adapter = lora_request.lora_int_id if lora_request else 0
        told = {"rank": data_parallel_rank, "id": request_id, "adapter": adapter}
        self.asked.append(SimpleNamespace(tokens=prompt, sampling=sampling, **told))
        if self.fault is not None:
            raise self.fault
        cached = self._cached(prompt, sampling, (data_parallel_rank, adapter))
        output = SimpleNamespace(num_cached_tokens=cached, finished=False, outputs=[], prompt_logprobs=None)
        self._score_prompt(output, prompt, sampling)
        written: list[int] = []
        while not output.finished:
            await asyncio.sleep(self.pause)
            scores = self._scores([*prompt, *written])[-1]
            if not written:
                wanted = getattr(sampling, "logprob_token_ids", None) or ()
                first = [{token: SimpleNamespace(logprob=float(scores[token])) for token in wanted}]
            written.append(self._next(scores, written, sampling))
            output.finished = len(written) == sampling.max_tokens or self._ends(written, sampling)
            text = str(self._model.tokenizer.decode(written, skip_special_tokens=True))
            output.outputs = [SimpleNamespace(token_ids=list(written), text=text, logprobs=first)]
            yield output

    @torch.inference_mode()
    def _scores(self, tokens: Sequence[int]) -> torch.Tensor:
        logits: torch.Tensor = self._model.model(input_ids=torch.tensor([list(tokens)])).logits[0]
        return logits.float().log_softmax(-1)

    def _cached(self, prompt: Sequence[int], sampling: SimpleNamespace, place: tuple[int | None, int]) -> int:
        seen = self._cache.setdefault(place, [])
        scores_prompt = hasattr(sampling, "prompt_logprobs") or hasattr(sampling, "prompt_logprob_token_ids")
        skips = getattr(sampling, "skip_reading_prefix_cache", scores_prompt)
        shared = max((_shared(prompt, other) for other in seen), default=0)
        seen.append(tuple(prompt))
        return 0 if skips else min(shared, len(prompt) - 1) // BLOCK * BLOCK

    def _score_prompt(self, output: SimpleNamespace, prompt: Sequence[int], sampling: SimpleNamespace) -> None:
        cached = output.num_cached_tokens
        scores = self._scores(prompt)
        if hasattr(sampling, "prompt_logprob_token_ids"):
            assert self.vllm_config.use_v2_model_runner
            start, rows = sampling.prompt_logprob_start, sampling.prompt_logprob_token_ids
            assert len(rows) == len(prompt) - 1 - start
            width = max(map(len, rows))
            told = [[float(scores[start + index][token]) for token in row] for index, row in enumerate(rows)]
            told = [row + [-math.inf] * (width - len(row)) for row in told]
            output.prompt_token_id_logprobs = told if cached <= start else None
        elif hasattr(sampling, "prompt_logprobs"):
            own = [float(scores[i][token]) if i >= cached else 7.0 for i, token in enumerate(prompt[1:])]
            places = [{token: SimpleNamespace(logprob=value)} for token, value in zip(prompt[1:], own, strict=True)]
            output.prompt_logprobs = [None, *places]

    def _next(self, scores: torch.Tensor, written: Sequence[int], sampling: SimpleNamespace) -> int:
        allowed = scores.clone()
        if len(written) < getattr(sampling, "min_tokens", 0):
            allowed[sampling.stop_token_ids] = -torch.inf
        grammar = getattr(sampling, "structured_outputs", None)
        if grammar is None:
            return int(allowed.argmax())
        decode = self._model.tokenizer.decode
        lists = Grammar(grammar.grammar)
        whole = lists.admits(decode(written))
        order = allowed.argsort(descending=True).tolist()
        fits = (token for token in order if decode([token]) and lists.begins(decode([*written, token])))
        return next(fits, self._model.ends[0]) if not whole else self._model.ends[0]

    def _ends(self, written: Sequence[int], sampling: SimpleNamespace) -> bool:
        return written[-1] in [*getattr(sampling, "stop_token_ids", ()), self._model.ends[0]]


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


class Grammar:
    """A grammar of the form that the package writes: each option is quoted text, then at most one rule."""

    def __init__(self, text: str) -> None:
        lines = (line.split(" ::= ") for line in text.splitlines())
        self._rules = {name: re.findall(r'((?:"(?:[^"\\]|\\.)*" ?)+)(\w*)', body) for name, body in lines}

    def begins(self, text: str, rule: str = "root") -> bool:
        """Return whether the grammar admits a text that begins with this one."""
        return any(_of(quoted).startswith(text) or rest for quoted, rest in self._options(text, rule))

    def admits(self, text: str, rule: str = "root") -> bool:
        return any(rest == "whole" for _, rest in self._options(text, rule))

    def _options(self, text: str, rule: str) -> Iterator[tuple[str, str]]:
        for quoted, then in self._rules[rule]:
            literal = _of(quoted)
            left = text[len(literal) :]
            if not text.startswith(literal):
                yield quoted, ""
            elif not then:
                yield quoted, "" if left else "whole"
            elif self.admits(left, then):
                yield quoted, "whole"
            else:
                yield quoted, "part" if self.begins(left, then) else ""


def _of(quoted: str) -> str:
    return "".join(map(json.loads, re.findall(r'"(?:[^"\\]|\\.)*"', quoted)))


def install(monkeypatch: pytest.MonkeyPatch, fake: FakeVllm) -> None:
    """Make `import vllm` return the stand-in."""
    record = lambda **fields: SimpleNamespace(**{name: value for name, value in fields.items() if value is not None})  # noqa: E731
    contents: dict[str, dict[str, Any]] = {
        "vllm": {"__version__": "0.32.0"},
        "vllm.engine": {},
        "vllm.engine.arg_utils": {"AsyncEngineArgs": record},
        "vllm.inputs": {"tokens_input": list},
        "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": record},
        "vllm.platforms": {"current_platform": SimpleNamespace(device_type="fake")},
        "vllm.sampling_params": {
            "SamplingParams": record,
            "StructuredOutputsParams": record,
            "RequestOutputKind": SimpleNamespace(CUMULATIVE="cumulative", FINAL_ONLY="final"),
        },
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.async_llm": {"AsyncLLM": fake},
        "vllm.v1.engine.exceptions": {"EngineDeadError": DeadError},
    }
    for name, members in contents.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
