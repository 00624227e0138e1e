"""Chooses how a CPU multiplies matrices, float32 or bfloat16, plain or packed, and times the model's shapes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import linear
from transformers import AutoConfig

from models.engines.local_folder import LOCAL
from models.engines.settings import AUTO
from utilities.packed_products import can_pack, packed, product

_ROWS = (4, 64, 256)
"""A step of decoding, a short question, and a batch of questions."""
_LARGEST = 4096
_RUNS = 3


@dataclass(frozen=True)
class Precision:
    """The type of weights and activations, whether weights are packed, and the measured rates.

    `rates` are in GFLOP/s for each way that was timed, empty if nothing was.
    """

    dtype: torch.dtype
    packed: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the dtype's name as in settings, and whether weights are packed."""
        return str(self.dtype).removeprefix("torch.") + (" packed" if self.packed else "")


def precision_of(dtype: str, device: str, folder: Path) -> Precision:
    """Return the precision that the settings `engine.dtype` and `engine.device` mean for the model of a folder.

    `auto` is the fastest on a CPU, and on a GPU bfloat16 or, if the GPU has none, float16. Weights on a CPU are packed
    if that can be done.
    """
    if device != "cpu" and torch.cuda.is_available():
        supported = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
        return Precision(getattr(torch, supported if dtype == AUTO else dtype))
    if dtype == AUTO:
        return fastest(AutoConfig.from_pretrained(folder, **LOCAL).get_text_config())
    chosen: torch.dtype = getattr(torch, dtype)
    return Precision(chosen, packed=can_pack(chosen))


def fastest(config: Any) -> Precision:
    """Return the fastest precision of this machine's CPU for a model with this `config` of transformers.

    The processor's capabilities decide, so that a machine always computes in the same precision, however busy it is:
    packed bfloat16 with units for it, else packed float32. The rates are measured for the record only.
    """
    shape = min(config.hidden_size, _LARGEST), min(config.intermediate_size, _LARGEST)
    ways = [Precision(torch.float32)]
    ways += [Precision(torch.float32, packed=True)] if can_pack(torch.float32) else []
    ways += [Precision(torch.bfloat16, packed=True)] if has_bfloat16() and can_pack(torch.bfloat16) else []
    return replace(ways[-1], rates={str(way): round(_rate(way, shape), 1) for way in ways})


def has_bfloat16() -> bool:
    """Return whether the processor has instructions for products of bfloat16."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def multiplier(way: Precision, weight: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function that multiplies states [rows, in] of any dtype by a weight [out, in] in this way."""
    laid = packed(weight.to(way.dtype)) if way.packed else weight.to(way.dtype)
    if way.packed:
        return lambda states: product(states.to(way.dtype), laid, None)
    return lambda states: linear(states.to(way.dtype), laid)


@torch.inference_mode()
def _rate(way: Precision, shape: tuple[int, int]) -> float:
    """Return GFLOP/s: the harmonic mean over `_ROWS`, since each stands for a part of the work."""
    multiply = multiplier(way, torch.full((shape[1], shape[0]), 0.01))
    states = [torch.full((rows, shape[0]), 0.01, dtype=way.dtype) for rows in _ROWS]
    seconds = [best_seconds(partial(multiply, each), 1, _RUNS) / len(each) for each in states]
    return 2e-9 * shape[0] * shape[1] * len(seconds) / sum(seconds)


def best_seconds(work: Callable[[], object], warm_ups: int = 3, runs: int = 20) -> float:
    """Return the shortest of `runs` runs after `warm_ups` that do not count."""
    for _ in range(warm_ups):
        work()
    shortest = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - started)
    return shortest
