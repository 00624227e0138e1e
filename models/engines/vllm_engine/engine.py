"""The engine that runs a model through vLLM: on several GPUs, on several machines, as several replicas."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from transformers import AutoConfig, GenerationConfig

from models.engines.answering.language_model import LogProbabilities, ScoringRow, WritingRow
from models.engines.answering.solvers import SolvingEngine
from models.engines.answering.tokens import TextCoder, fit, grow_tree
from models.engines.interface import Usage
from models.engines.local_folder import LOCAL
from models.engines.settings import EngineSettings, adapter_folders
from models.engines.vllm_engine.client import VllmClient
from models.engines.vllm_engine.requests import Reply, Request
from models.engines.vllm_engine.row_writers import writer_of
from models.engines.vllm_engine.tree_scoring import score_trees
from utilities.fingerprint import fingerprint, fingerprints_of_adapters
from utilities.grouping import grouped


class VllmEngine(SolvingEngine):
    """An engine that answers prompts with a model that vLLM runs in separate processes."""

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        """Start vLLM, and load the model in `folder` and its adapters.

        Raises:
            UserError: vLLM is not installed, or it cannot run this model with these settings or adapters.
        """
        self._folder = folder
        self._client = VllmClient(folder, settings)
        super().__init__(VllmModel(folder, self._client, settings), settings)

    def describe(self) -> Mapping[str, object]:
        """Return the engine's versions, its settings of parallelism, and the identity of its weights."""
        return {
            "engine": "vllm",
            "folder": self._settings.weights,
            "fingerprint": fingerprint(self._folder),
            "adapter": self._settings.adapter,
            "adapters": fingerprints_of_adapters(adapter_folders(self._settings)),
            **self._client.describe(),
            **asdict(self._settings.vllm),
        }

    def close(self) -> None:
        """End vLLM's processes."""
        self._client.close()


class VllmModel(TextCoder):
    """An `AdaptedModel` that vLLM runs; vLLM forms the batches itself, so the rows' token budget is ignored.

    Attributes:
        usage: the running totals of tokens and seconds.
        deadline: the monotonic time at which requests are cancelled.
        adapter: the name of the adapter in use, "" for none.
    """

    def __init__(self, folder: Path, client: VllmClient, settings: EngineSettings) -> None:
        """Load the tokenizer in `folder`; `client` runs the weights of the same folder."""
        super().__init__(folder, _generation_config(folder))
        self.usage = Usage()
        self.deadline = math.inf
        self._client = client
        self._max_model_len = settings.vllm.max_model_len
        self.use(settings.adapter)

    def use(self, adapter: str) -> None:
        """Answer with the adapter of this name from now on.

        Raises:
            EngineError: it was not loaded.
        """
        self._client.use(adapter)
        self.adapter = adapter

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:  # noqa: ARG002
        """Return the log-probability of every token of every continuation; rows with the same prompt are one tree.

        Raises:
            EngineError: the deadline has passed, or vLLM refused a request.
        """
        fitted = [tuple(self._fitted(row[1], max(map(len, row[2]), default=0))) for row in rows]
        groups = grouped(fitted)
        trees = [grow_tree(prompt, [c for index in same for c in rows[index][2]]) for prompt, same in groups.items()]
        started = time.perf_counter()
        values, read = score_trees(self._client, trees, self.deadline)
        self.usage.prefilled(read, time.perf_counter() - started)
        scores: LogProbabilities = [[] for _ in rows]
        for same, tree, found in zip(groups.values(), trees, values, strict=True):
            of_paths = ([found[node] for node in path] for path in tree.paths)
            for index in same:
                scores[index] = [next(of_paths) for _ in rows[index][2]]
        return scores

    def write_rows(self, rows: Sequence[WritingRow], budget: int) -> list[str]:  # noqa: ARG002
        """Write every row's text or labels; in each round all unfinished rows send a request at once.

        Raises:
            EngineError: vLLM refused a request.
        """
        fitted = [replace(row, prompt=self._fitted(row.prompt, row.limit)) for row in rows]
        writers = [writer_of(self, row, index) for index, row in enumerate(fitted)]
        texts: dict[int, str] = {}
        requests = {index: next(writer) for index, writer in enumerate(writers)}
        while requests:
            replies = dict(zip(requests, self._generate(list(requests.values())), strict=True))
            requests = {}
            for index, reply in replies.items():
                try:
                    requests[index] = writers[index].send(reply)
                except StopIteration as end:
                    texts[index] = end.value
        return [texts[index] for index in range(len(rows))]

    def _generate(self, requests: Sequence[Request]) -> list[Reply]:
        """Run requests; the seconds until all have a first token count as reading, the rest as writing."""
        started = time.perf_counter()
        replies = self._client.run(requests, self.deadline)
        seconds = time.perf_counter() - started
        reading = max(seconds if reply.first is None else reply.first for reply in replies)
        written = [len(reply.tokens) for reply in replies]
        self.usage.prefilled(sum(reply.read for reply in replies), reading)
        self.usage.cut_texts += sum(not reply.done for reply in replies)
        self.usage.decoded(max(written) - 1, sum(written), seconds - reading)
        return replies

    def _fitted(self, prompt: list[int], behind: int) -> list[int]:
        """Return the prompt, cut if it leaves less room than `behind` tokens."""
        return fit(prompt, max(self._max_model_len - behind - 1, 1))


def _generation_config(folder: Path) -> GenerationConfig:
    """Return the generation config that transformers gives a model of this folder."""
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder, **LOCAL))
