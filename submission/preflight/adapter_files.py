"""The LoRA adapters: whether they are there, whole, in git, and such as the engine runs."""

from collections.abc import Mapping

from models.engines.adapter_config import CONFIG, MATRIX, TENSORS, AdapterConfig, read_adapter_config
from models.engines.vllm_engine.lora_requests import UNCHANGED, room_for
from submission.preflight.repository import Repository, UsedAdapter
from submission.preflight.tensor_headers import FLOATS, Tensor, read_tensors
from submission.preflight.verdict import FailedError, listed
from utilities.errors import UserError

MB = 1000**2


def check_adapters(repository: Repository) -> str:
    """Require that every adapter of the settings is whole, committed, and of a rank that its engine runs."""
    adapters = repository.adapters
    if not adapters:
        return "none is named"
    tensors = tensors_of_adapters(repository)
    missing = [file for adapter in adapters for file in _files(repository, adapter) if file not in repository.tracked]
    if missing:
        raise FailedError(f"not in git: {listed(missing)}", "`git add` them and commit; a submission adds weights only")
    return f"{listed([adapter.name for adapter in adapters])}: {sum(tensor.bytes for tensor in tensors) / MB:.1f} MB"


def _files(repository: Repository, adapter: UsedAdapter) -> list[str]:
    folder = adapter.folder.relative_to(repository.root)
    return [(folder / name).as_posix() for name in (CONFIG, TENSORS)]


def tensors_of_adapters(repository: Repository) -> tuple[Tensor, ...]:
    """Return the matrices of all adapters; what is missing or damaged is reported in the name of "adapters"."""
    found: list[Tensor] = []
    for adapter in repository.adapters:
        try:
            found += _tensors(adapter)
        except FailedError as error:
            raise FailedError(f"{adapter.name}: {error.found}", error.remedy, "adapters") from None
    return tuple(found)


def _tensors(adapter: UsedAdapter) -> tuple[Tensor, ...]:
    missing = [name for name in (CONFIG, TENSORS) if not (adapter.folder / name).is_file()]
    if missing:
        raise FailedError(
            f"{' and '.join(missing)}: there is no such file",
            "copy an adapter there (`python -m tuning.finetune` makes one), or set engine.adapter to none",
        )
    try:
        config = read_adapter_config(adapter.folder)
        if adapter.engine == "vllm":
            room_for(adapter.folder)
    except UserError as error:
        raise FailedError(str(error), "train or copy another adapter, or set engine.adapter to none") from None
    tensors = read_tensors(adapter.folder / TENSORS)
    modules = _modules(tensors, config)
    if adapter.engine == "vllm" and any(module.endswith(UNCHANGED) for module in modules):
        raise FailedError(f"changes {UNCHANGED}, which the vLLM engine cannot", "train the adapter without it")
    return tensors


def _modules(tensors: tuple[Tensor, ...], config: AdapterConfig) -> list[str]:
    """Return the modules that are changed; both matrices of each are floats and of the rank that the config says."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor in tensors:
        named = MATRIX.fullmatch(tensor.name)
        if named is None or tensor.dtype not in FLOATS or len(tensor.shape) != 2:
            raise FailedError(
                f"{tensor.name} ({tensor.dtype}, {list(tensor.shape)}) is no matrix of a linear layer's LoRA",
                "train the adapter without it",
            )
        shapes.setdefault(named["module"], {})[named["side"]] = tensor.shape
    for module, pair in shapes.items():
        _require_rank(module, pair, config.rank_of(module))
    return list(shapes)


def _require_rank(module: str, pair: Mapping[str, tuple[int, ...]], rank: int) -> None:
    if pair.keys() != {"A", "B"} or (pair["A"][0], pair["B"][1]) != (rank, rank):
        found = ", ".join(f"lora_{side} {list(shape)}" for side, shape in sorted(pair.items()))
        raise FailedError(f"{module} has {found}; {CONFIG} says rank {rank}", "copy the adapter again")
