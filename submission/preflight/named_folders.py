"""Checks of the other folders that the settings name: LoRA adapters and the catalogue of products."""

import os
from pathlib import Path

from models.engines.adapter_config import CONFIG, MATRIX, TENSORS, AdapterConfig, check_adapter, read_adapter_config
from models.engines.damaged_files import DamagedFileError
from models.engines.safetensors_header import Tensor
from models.engines.vllm_engine.adapters import UNCHANGED, reserved_rank
from retrieval.products.catalogue import Catalog
from retrieval.products.manifest import MANIFEST
from submission.preflight.repository import FailedError, Repository, UsedAdapter, listed
from utilities.errors import UserError

_OTHER = "copy or train another adapter (`python -m tuning.finetune` makes one), or set engine.adapter to none"


def check_catalogue(repository: Repository) -> str:
    """Require that the catalogue of the settings can be opened and is committed with the code."""
    named = repository.settings.values["knowledge"]["catalog"]
    if not named:
        return "none is named"
    folder = Path(os.path.normpath(repository.root / named))
    if not folder.is_relative_to(repository.root):
        raise FailedError(f"{named} lies outside of the repository", "build it inside", "paths")
    try:
        manifest = Catalog.open(folder).manifest
    except UserError as error:
        raise FailedError(str(error), "build it, or clear knowledge.catalog in models/settings.yaml") from None
    names = [MANIFEST, *(entry.name for entry in manifest.files)]
    missing = [file for name in names if (file := repository.name_of(folder / name)) not in repository.tracked]
    if missing:
        raise FailedError(f"not in git: {listed(missing)}", f"run `git lfs track '{named}/**'`, then `git add {named}`")
    return f"{named}: {manifest.counts.products} products, {len(names)} files in git"


def check_adapters(repository: Repository) -> str:
    """Require that every adapter of the settings is complete, committed, and of a rank that its engine runs."""
    adapters = repository.adapters
    if not adapters:
        return "none is named"
    tensors = tensors_of_adapters(repository)
    files = [repository.name_of(adapter.folder / name) for adapter in adapters for name in (CONFIG, TENSORS)]
    missing = [file for file in files if file not in repository.tracked]
    if missing:
        raise FailedError(f"not in git: {listed(missing)}", "`git add` them and commit; a submission adds weights only")
    return f"{listed([adapter.name for adapter in adapters])}: {sum(tensor.bytes for tensor in tensors) / 1e6:.1f} MB"


def tensors_of_adapters(repository: Repository) -> tuple[Tensor, ...]:
    """Return the matrices of all adapters, or raise a `FailedError` of "adapters" if one is missing or damaged."""
    found: list[Tensor] = []
    for adapter in repository.adapters:
        try:
            found += _tensors(adapter)
        except FailedError as error:
            raise FailedError(f"{adapter.name}: {error.found}", error.remedy, "adapters") from None
    return tuple(found)


def _tensors(adapter: UsedAdapter) -> tuple[Tensor, ...]:
    try:
        tensors = check_adapter(adapter.folder, _OTHER)
        config = read_adapter_config(adapter.folder)
        if adapter.engine == "vllm":
            reserved_rank(adapter.folder)
    except DamagedFileError as error:
        raise FailedError(f"{error.path.name} {error.problem}", error.remedy) from None
    except UserError as error:
        raise FailedError(str(error).removesuffix(f": {_OTHER}"), _OTHER) from None
    modules = _modules(tensors, config)
    if adapter.engine == "vllm" and any(module.endswith(UNCHANGED) for module in modules):
        raise FailedError(f"changes {UNCHANGED}, which the vLLM engine cannot", "train the adapter without it")
    return tensors


def _modules(tensors: tuple[Tensor, ...], config: AdapterConfig) -> list[str]:
    """Return the changed modules; both matrices of each must be floats and have the rank that the config names."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor in tensors:
        named = MATRIX.fullmatch(tensor.name)
        if named is None or not tensor.is_float or len(tensor.shape) != 2:
            raise FailedError(
                f"{tensor.name} ({tensor.dtype}, {list(tensor.shape)}) is not a matrix of a linear layer's LoRA",
                "train the adapter without it",
            )
        shapes.setdefault(named["module"], {})[named["side"]] = tensor.shape
    for module, pair in shapes.items():
        rank = config.rank_of(module)
        if pair.keys() != {"A", "B"} or (pair["A"][0], pair["B"][1]) != (rank, rank):
            found = ", ".join(f"lora_{side} {list(shape)}" for side, shape in sorted(pair.items()))
            raise FailedError(f"{module} has {found}; {CONFIG} says rank {rank}", "copy the adapter again")
    return list(shapes)
