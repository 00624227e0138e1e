"""Devices by name: peaks, bandwidths and assumed efficiencies; the CPU is measured when it is asked for."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

from pydantic import Field

from utilities.errors import UserError
from utilities.typed_yaml import Positive, build, checked, read_mapping

DEVICES_FILE = Path(__file__).resolve().parent / "devices.yaml"
CPU = "cpu"

Figure = Annotated[float, Field(gt=0)]
Efficiency = Annotated[float, Field(gt=0, le=1)]

_MEASURED_ROWS, _MEASURED_SIDE, _MEASURED_RUNS = 1024, 2048, 10
_STREAMED_ROWS = 8  # texts that are written side by side; a CPU streams weights at half the speed of one row then
_STREAMED_MATRICES = 15  # 256 MB, more than any cache holds


@checked
class Device:
    """One accelerator; `submission/time_budget/devices.yaml` explains the fields."""

    name: str
    half_tflops: Figure
    single_tflops: Figure
    bandwidth_gb: Figure
    memory_gb: Figure
    usable_gb: Figure
    interconnect_gb: Figure
    interconnect_microseconds: Figure
    prefill_efficiency: Efficiency
    decode_efficiency: Efficiency
    awq_efficiency: Efficiency
    layer_microseconds: Figure

    def flops(self, value_bytes: int) -> float:
        """Return the peak in float operations per second, for values of `value_bytes` bytes."""
        return (self.half_tflops if value_bytes == 2 else self.single_tflops) * 1e12


@checked
class Assumptions:
    """The assumptions for every device; `submission/time_budget/devices.yaml` explains the fields."""

    disk_gb: Figure
    start_seconds: Figure
    pass_tokens: Positive
    unpack_from_tokens: Positive
    runtime_gb: Figure


@checked
class DevicesFile:
    """The content of `devices.yaml`."""

    assumptions: Assumptions
    devices: dict[str, Device]


def read_devices(path: Path = DEVICES_FILE) -> tuple[dict[str, Device], Assumptions]:
    """Read all devices, by name, and the assumptions, or raise a `UserError` if the file is not valid."""
    content = read_mapping(path, "the devices", "restore the file")
    if isinstance(content.get("devices"), dict):
        blocks = content["devices"].items()
        named = {name: {"name": str(name), **block} if isinstance(block, dict) else block for name, block in blocks}
        content = {**content, "devices": named}
    known = build(DevicesFile, content, f"{path}: ", "field")
    return known.devices, known.assumptions


def device_named(name: str, path: Path = DEVICES_FILE) -> tuple[Device, Assumptions]:
    """Return the device of this name (`cpu` is measured) and the assumptions, or raise a `UserError` for others."""
    devices, assumptions = read_devices(path)
    if name == CPU:
        return measured_cpu(), assumptions
    if name not in devices:
        raise UserError(f"there is no device {name!r} in {path}; choose one of: {', '.join(devices)}, {CPU}")
    return devices[name], assumptions


def measured_cpu() -> Device:
    """Measure this machine's arithmetic and bandwidth, as products in the precision that the engine would choose.

    Sizes are counted as in float32, whatever the precision: a model's dtype is `auto` before its engine has started.
    """
    # Here, because torch takes seconds to import.
    import torch

    from models.engines.transformers_engine.precision import best_seconds, fastest, multiplier

    side = _MEASURED_SIDE
    way = fastest(SimpleNamespace(hidden_size=side, intermediate_size=side))
    rows = torch.randn(_MEASURED_ROWS, side).to(way.dtype)
    multipliers = [multiplier(way, torch.randn(side, side)) for _ in range(_STREAMED_MATRICES)]
    product = best_seconds(lambda: multipliers[0](rows), runs=_MEASURED_RUNS)
    few = rows[:_STREAMED_ROWS]
    streamed = best_seconds(lambda: [multiply(few) for multiply in multipliers], runs=_MEASURED_RUNS)
    tflops = 2.0 * _MEASURED_ROWS * side * side / product / 1e12
    bandwidth = 4.0 * side * side * len(multipliers) / streamed / 1e9
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return Device(
        name=CPU,
        half_tflops=tflops,
        single_tflops=tflops,
        bandwidth_gb=bandwidth,
        memory_gb=memory,
        usable_gb=memory,
        interconnect_gb=bandwidth,
        interconnect_microseconds=1.0,
        prefill_efficiency=0.8,
        decode_efficiency=1.0,
        awq_efficiency=1.0,
        layer_microseconds=300.0,
    )
