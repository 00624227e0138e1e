"""vLLM's engine: started once, then handed batches of requests that it works on side by side."""

import asyncio
import math
import os
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.engines.interface import EngineError, LostEngineError
from models.engines.local_folder import INSTALL
from models.engines.settings import EngineSettings, adapter_folders
from models.engines.vllm_engine.changes import change_fields
from models.engines.vllm_engine.lora_requests import adapter_fields, numbered
from models.engines.vllm_engine.requests import Reply, Request, read_reply, sampling_fields
from utilities.errors import UserError

_QUIET = {
    # What the evaluator runs has no network, and what anybody else runs shall not use it either.
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
_MOST_SEQUENCES = 256
_ROOM_FOR_ANSWERS = 128  # tokens of the longest option that is scored


class VllmClient:
    """One vLLM engine with all its replicas; everything that it starts ends with this object."""

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        """Load the model and its adapters.

        Raises:
            UserError: vLLM is not installed, or it cannot run this model with these settings or adapters.
        """
        longest = settings.max_prompt_tokens + _ROOM_FOR_ANSWERS
        if settings.vllm.max_model_len < longest:
            raise UserError(
                f"setting engine.vllm.max_model_len is {settings.vllm.max_model_len}; it must be at least {longest}: "
                "engine.max_prompt_tokens and an answer"
            )
        os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
        self._api = _Api()
        adapters = adapter_folders(settings)
        adapted = {**adapter_fields(adapters), **change_fields(folder, adapters)}
        self._running = _Running(self._started({**engine_fields(folder, settings), **adapted}))
        self._adapters = self._loaded(adapters)
        self._adapter: Any = None
        self.by_rows = bool(self._running.engine.vllm_config.use_v2_model_runner)
        self._sent = 0
        self.replicas = settings.vllm.data_parallel
        self.close = weakref.finalize(self, self._running.close)

    def run(self, requests: Sequence[Request], deadline: float = math.inf) -> list[Reply]:
        """Work on all requests until each is done or `deadline`, in monotonic seconds, has passed.

        Requests are scheduled in order, so that a later one finds in the cache what an earlier one left there.

        Raises:
            EngineError: vLLM refused a request.
            LostEngineError: vLLM's processes are gone.
        """
        replies = [Reply() for _ in requests]
        if requests:
            self._running.loop.run_until_complete(self._worked_off(requests, replies, deadline))
        return replies

    def use(self, adapter: str) -> None:
        """Have the requests of the next runs answered with the adapter of this name, "" for none.

        Raises:
            EngineError: it was not loaded.
        """
        if adapter not in self._adapters:
            raise EngineError(f"adapter {adapter or 'none'!r} was not loaded")
        self._adapter = self._adapters[adapter]

    def describe(self) -> dict[str, object]:
        """Return vLLM's version and what it runs on."""
        return {"vllm": self._api.version, "device": self._api.device, "runner": "v2" if self.by_rows else "v1"}

    def _started(self, fields: dict[str, Any]) -> Any:
        try:
            return self._api.engine_class.from_engine_args(self._api.arguments_class(**fields))
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{fields['model']}: vLLM cannot run this model with these settings: {reason}") from error

    def _loaded(self, adapters: Mapping[str, Path | None]) -> dict[str, Any]:
        """Load adapters and return vLLM's request for each by its name, None for the base alone."""
        requests = {
            name: self._api.adapter_class(lora_name=name, lora_int_id=number, lora_path=str(adapters[name]))
            for name, number in numbered(adapters).items()
        }
        for name, request in requests.items():
            try:
                self._running.loop.run_until_complete(self._running.engine.add_lora(request))
            except Exception as error:  # vLLM's processes hand over whatever they raise
                self._running.close()
                reason = " ".join(str(error).split())
                raise UserError(
                    f"{adapters[name]}: vLLM cannot use this adapter ({reason}): merge it into its base by "
                    "`python -m tuning.apply_adapter`, or set engine.name to transformers"
                ) from error
        return {name: requests.get(name) for name in adapters}

    async def _worked_off(self, requests: Sequence[Request], replies: Sequence[Reply], deadline: float) -> None:
        started = time.perf_counter()
        pairs = zip(requests, replies, strict=True)
        tasks = [asyncio.create_task(self._asked(request, reply, started)) for request, reply in pairs]
        left = None if deadline == math.inf else max(deadline - time.monotonic(), 0.0)
        done, late = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_EXCEPTION)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        errors = [task.exception() for task in done]
        self._check(next((error for error in errors if error is not None), None))

    async def _asked(self, request: Request, reply: Reply, started: float) -> None:
        self._sent += 1
        prompt = self._api.prompt(list(request.tokens))
        outputs = self._running.engine.generate(
            prompt,
            self._sampling(request),
            str(self._sent),
            lora_request=self._adapter,
            data_parallel_rank=self._replica(request),
        )
        async for output in outputs:
            read_reply(request, output, reply, time.perf_counter() - started)
            if reply.done:
                break
        await outputs.aclose()

    def _replica(self, request: Request) -> int | None:
        return request.replica % self.replicas if self.replicas > 1 else None

    def _sampling(self, request: Request) -> Any:
        fields = sampling_fields(request, by_rows=self.by_rows)
        if request.grammar:
            fields["structured_outputs"] = self._api.structured_class(grammar=request.grammar)
        streamed = request.limit > 1
        fields["output_kind"] = self._api.kinds.CUMULATIVE if streamed else self._api.kinds.FINAL_ONLY
        return self._api.sampling_class(**fields)

    def _check(self, error: BaseException | None) -> None:
        if error is None:
            return
        if isinstance(error, self._api.dead_error):
            raise LostEngineError(f"vLLM's processes are gone: {error}") from error
        raise EngineError(f"vLLM refused a request: {type(error).__name__}: {error}") from error


def engine_fields(folder: Path, settings: EngineSettings) -> dict[str, Any]:
    """Return the fields of vLLM's `AsyncEngineArgs`."""
    vllm = settings.vllm
    backend = None if vllm.distributed_backend == "auto" else vllm.distributed_backend
    return {
        "model": str(folder),
        "dtype": settings.dtype,
        "load_format": "safetensors",
        "trust_remote_code": False,
        "generation_config": "vllm",  # none of the folder's own sampling settings
        "tensor_parallel_size": vllm.tensor_parallel,
        "pipeline_parallel_size": vllm.pipeline_parallel,
        "data_parallel_size": vllm.data_parallel,
        "distributed_executor_backend": backend,
        "max_model_len": vllm.max_model_len,
        "max_num_batched_tokens": settings.token_budget,
        "max_num_seqs": min(_MOST_SEQUENCES, settings.token_budget),
        "gpu_memory_utilization": vllm.memory_fraction,
        "enable_prefix_caching": vllm.prefix_caching,
        "enforce_eager": vllm.enforce_eager,
        "max_logprobs": -1,
        "disable_log_stats": True,
        "enable_log_requests": False,
    }


class _Api:
    """What is used of vLLM, imported when an engine is made, since that takes many seconds."""

    def __init__(self) -> None:
        try:
            import vllm
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.inputs import tokens_input
            from vllm.lora.request import LoRARequest
            from vllm.platforms import current_platform
            from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
            from vllm.v1.engine.async_llm import AsyncLLM
            from vllm.v1.engine.exceptions import EngineDeadError
        except ImportError as error:
            raise UserError(
                f"vLLM cannot be imported ({error}): run `{INSTALL}`, or set engine.name to transformers"
            ) from error
        self.version = vllm.__version__
        self.device = current_platform.device_type
        self.engine_class, self.arguments_class = AsyncLLM, AsyncEngineArgs
        self.sampling_class, self.structured_class = SamplingParams, StructuredOutputsParams
        self.kinds, self.prompt, self.dead_error = RequestOutputKind, tokens_input, EngineDeadError
        self.adapter_class = LoRARequest


class _Running:
    """vLLM's front end and the event loop that it lives in."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        self.engine.shutdown()
        self.loop.run_until_complete(_cancel_all())
        self.loop.close()
        # Left for the interpreter's end, it would be deleted after what its destructor calls.
        self.engine = None


async def _cancel_all() -> None:
    """End the tasks that read from vLLM's processes."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
