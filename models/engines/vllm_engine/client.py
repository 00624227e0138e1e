"""A client of vLLM: it starts vLLM once, then runs batches of requests concurrently."""

import asyncio
import math
import os
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from models.engines.interface import EngineError, LostEngineError
from models.engines.local_folder import INSTALL
from models.engines.quantization import old_awq
from models.engines.settings import EngineSettings, adapter_folders
from models.engines.vllm_engine.adapters import adapter_fields
from models.engines.vllm_engine.requests import Reply, Request, read_reply, sampling_fields
from utilities.errors import UserError

_ENVIRONMENT = {
    # The evaluator has no network; vLLM uses none on other machines either.
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
_MOST_SEQUENCES = 256
_ANSWER_TOKENS = 128  # of the longest option that is scored


class VllmClient:
    """One vLLM engine with all its replicas; `close`, or the end of this object, ends vLLM's processes.

    Attributes:
        by_rows: whether vLLM has its second model runner, which scores any tokens in place of a prompt's own.
        replicas: how many copies of the model run.
        close: a function that ends vLLM's processes.
    """

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        """Load the model in `folder` and the adapters of the settings.

        Raises:
            UserError: vLLM is not installed, or it cannot run this model with these settings or adapters.
        """
        longest = settings.max_prompt_tokens + _ANSWER_TOKENS
        if settings.vllm.max_model_len < longest:
            raise UserError(
                f"setting engine.vllm.max_model_len is {settings.vllm.max_model_len}; it must be at least {longest}: "
                f"engine.max_prompt_tokens and {_ANSWER_TOKENS} tokens of an answer"
            )
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._vllm = _import_vllm()
        adapters = adapter_folders(settings)
        running = _Running(self._start({**engine_fields(folder, settings), **adapter_fields(folder, adapters)}))
        self.close = weakref.finalize(self, running.close)
        self._running = running
        self._adapters = self._load_adapters(adapters)
        self._adapter: Any = None
        self.by_rows = bool(running.engine.vllm_config.use_v2_model_runner)
        self.replicas = settings.vllm.data_parallel
        self._sent = 0

    def run(self, requests: Sequence[Request], deadline: float = math.inf) -> list[Reply]:
        """Run all requests until each is done or `deadline`, in monotonic seconds, has passed.

        vLLM schedules requests in order, so a later one finds the tokens of an earlier one in the prefix cache.

        Raises:
            EngineError: vLLM refused a request.
            LostEngineError: vLLM's processes have ended.
        """
        replies = [Reply() for _ in requests]
        try:
            self._running.runner.run(self._run_all(requests, replies, deadline))
        except ExceptionGroup as group:
            error = group.exceptions[0]
            if isinstance(error, self._vllm.EngineDeadError):
                raise LostEngineError(f"vLLM's processes have ended: {error}") from error
            raise EngineError(f"vLLM refused a request: {type(error).__name__}: {error}") from error
        return replies

    def use(self, adapter: str) -> None:
        """Run the next requests with the adapter of this name, "" for none.

        Raises:
            EngineError: it was not loaded.
        """
        if adapter not in self._adapters:
            raise EngineError(f"adapter {adapter or 'none'!r} was not loaded")
        self._adapter = self._adapters[adapter]

    def describe(self) -> dict[str, object]:
        """Return vLLM's version, its device and its model runner."""
        return {"vllm": self._vllm.version, "device": self._vllm.device, "runner": "v2" if self.by_rows else "v1"}

    def _start(self, fields: dict[str, Any]) -> Any:
        try:
            return self._vllm.AsyncLLM.from_engine_args(self._vllm.AsyncEngineArgs(**fields))
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{fields['model']}: vLLM cannot run this model with these settings: {reason}") from error

    def _load_adapters(self, folders: Mapping[str, Path | None]) -> dict[str, Any]:
        """Load adapters, and return vLLM's request for each by its name; None for the model without adapter."""
        requests: dict[str, Any] = dict.fromkeys(folders)
        named = [(name, folder) for name, folder in folders.items() if folder is not None]
        for number, (name, folder) in enumerate(named, start=1):
            requests[name] = self._vllm.LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(folder))
            try:
                self._running.runner.run(self._running.engine.add_lora(requests[name]))
            except Exception as error:  # vLLM passes on any exception of its processes
                self.close()
                reason = " ".join(str(error).split())
                raise UserError(
                    f"{folder}: vLLM cannot use this adapter ({reason}): merge it into its base by "
                    "`python -m tuning.apply_adapter`, or set engine.name to transformers"
                ) from error
        return requests

    async def _run_all(self, requests: Sequence[Request], replies: Sequence[Reply], deadline: float) -> None:
        started = time.perf_counter()
        left = None if deadline == math.inf else max(deadline - time.monotonic(), 0.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(left), asyncio.TaskGroup() as tasks:
                for request, reply in zip(requests, replies, strict=True):
                    tasks.create_task(self._run_one(request, reply, started))

    async def _run_one(self, request: Request, reply: Reply, started: float) -> None:
        self._sent += 1
        outputs = self._running.engine.generate(
            self._vllm.tokens_input(list(request.tokens)),
            self._sampling(request),
            str(self._sent),
            lora_request=self._adapter,
            data_parallel_rank=request.replica % self.replicas if self.replicas > 1 else None,
        )
        async for output in outputs:
            read_reply(request, output, reply, time.perf_counter() - started)
            if reply.done:
                break
        await outputs.aclose()

    def _sampling(self, request: Request) -> Any:
        fields = sampling_fields(request, by_rows=self.by_rows)
        if request.grammar:
            fields["structured_outputs"] = self._vllm.StructuredOutputsParams(grammar=request.grammar)
        kinds = self._vllm.RequestOutputKind
        fields["output_kind"] = kinds.CUMULATIVE if request.limit > 1 else kinds.FINAL_ONLY
        return self._vllm.SamplingParams(**fields)


def engine_fields(folder: Path, settings: EngineSettings) -> dict[str, Any]:
    """Return the fields of vLLM's `AsyncEngineArgs`, without those for adapters."""
    vllm, awq = settings.vllm, old_awq(folder)
    return {
        "model": str(folder),
        **({"hf_overrides": {"quantization_config": awq}} if awq else {}),
        "dtype": settings.dtype,
        "load_format": "safetensors",
        "trust_remote_code": False,
        "generation_config": "vllm",  # ignores the sampling settings in the model's folder
        "tensor_parallel_size": vllm.tensor_parallel,
        "pipeline_parallel_size": vllm.pipeline_parallel,
        "data_parallel_size": vllm.data_parallel,
        "distributed_executor_backend": None if vllm.distributed_backend == "auto" else vllm.distributed_backend,
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


def _import_vllm() -> SimpleNamespace:
    """Return the names that are used of vLLM; importing it takes many seconds, and only a started engine needs it."""
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
    return SimpleNamespace(
        version=vllm.__version__,
        device=current_platform.device_type,
        AsyncEngineArgs=AsyncEngineArgs,
        AsyncLLM=AsyncLLM,
        EngineDeadError=EngineDeadError,
        LoRARequest=LoRARequest,
        RequestOutputKind=RequestOutputKind,
        SamplingParams=SamplingParams,
        StructuredOutputsParams=StructuredOutputsParams,
        tokens_input=tokens_input,
    )


class _Running:
    """A started vLLM engine and the event loop that its tasks run in."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def close(self) -> None:
        self.engine.shutdown()
        self.runner.close()
        # The engine's destructor must run before the interpreter removes the modules that it uses.
        self.engine = None
