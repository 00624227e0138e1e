"""How vLLM spreads a model over GPUs and machines, and what memory it takes."""

from dataclasses import dataclass

from utilities.errors import UserError

BACKENDS = ("auto", "mp", "ray")
_COUNTS = ("tensor_parallel", "pipeline_parallel", "data_parallel")
_FEWEST_TOKENS = 256


@dataclass(frozen=True)
class VllmSettings:
    """What only the vLLM engine is told.

    Attributes:
        tensor_parallel: GPUs that share every layer; they must divide the model's attention heads.
        pipeline_parallel: groups of GPUs that share the layers; over several machines with `distributed_backend` ray.
        data_parallel: replicas of the whole model, each with GPUs of its own.
        distributed_backend: `mp` for processes of one machine, `ray` for a Ray cluster, `auto` for vLLM's choice.
        max_model_len: most tokens of a prompt with its answer; the cache of keys and values must hold one such prompt.
        memory_fraction: share of each GPU's memory that vLLM takes for weights and cache (of main memory on a CPU).
        prefix_caching: compute what prompts begin with once and keep it.
        enforce_eager: do not capture CUDA graphs: a quicker start and less memory, slower writing.
    """

    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    distributed_backend: str = "auto"
    max_model_len: int = 4096
    memory_fraction: float = 0.9
    prefix_caching: bool = True
    enforce_eager: bool = False

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise UserError(f"setting engine.vllm.{name} is {getattr(self, name)}; it must be at least 1")
        if self.distributed_backend not in BACKENDS:
            raise UserError(
                f"setting engine.vllm.distributed_backend is {self.distributed_backend!r}; "
                f"choose one of: {', '.join(BACKENDS)}"
            )
        if self.max_model_len < _FEWEST_TOKENS:
            raise UserError(
                f"setting engine.vllm.max_model_len is {self.max_model_len}; "
                f"it must be at least {_FEWEST_TOKENS} tokens"
            )
        if not 0 < self.memory_fraction < 1:
            raise UserError(
                f"setting engine.vllm.memory_fraction is {self.memory_fraction}; it must lie between 0 and 1"
            )
