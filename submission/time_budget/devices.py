"""Devices as data: peaks, bandwidths and assumed efficiencies; the CPU is measured on the spot."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from utilities.errors import UserError
from utilities.typed_yaml import build, checked, read_mapping

DEVICES_FILE = Path(__file__).resolve().parent / "devices.yaml"
CPU = "cpu"

_MEASURED_ROWS = 1024
_MEASURED_SIDE = 2048
_MEASURED_RUNS = 10
_STREAMED_ROWS = 8  # as many texts are written side by side; a CPU streams weights at half the speed that one row gets
_STREAMED_BYTES = 256e6  # far more than any cache holds
_CPU_PREFILL, _CPU_DECODE, _CPU_LAYER_MICROSECONDS = 0.8, 1.0, 300.0


@checked
class Device:
    """One accelerator; `submission/time_budget/devices.yaml` says what the fields mean.

    Raises:
        ValueError: a figure is not positive, or an efficiency is over 1.
    """

    name: str
    half_tflops: float
    single_tflops: float
    bandwidth_gb: float
    memory_gb: float
    usable_gb: float
    interconnect_gb: float
    interconnect_microseconds: float
    prefill_efficiency: float
    decode_efficiency: float
    awq_efficiency: float
    layer_microseconds: float

    def __post_init__(self) -> None:
        _check_positive(self)
        for name in ("prefill_efficiency", "decode_efficiency", "awq_efficiency"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a share is at most 1")

    def flops(self, value_bytes: int) -> float:
        """Return the peak in float operations a second, for values of so many bytes."""
        return (self.half_tflops if value_bytes == 2 else self.single_tflops) * 1e12


@checked
class Assumptions:
    """What is assumed whatever the device; `submission/time_budget/devices.yaml` says what the fields mean.

    Raises:
        ValueError: a figure is not positive.
    """

    disk_gb: float
    start_seconds: float
    pass_tokens: int
    unpack_from_tokens: int
    runtime_gb: float

    def __post_init__(self) -> None:
        _check_positive(self)


def read_devices(path: Path = DEVICES_FILE) -> tuple[dict[str, Device], Assumptions]:
    """Read all devices, by name, and the assumptions.

    Raises:
        UserError: the file cannot be read, or a field is unknown, missing or wrong.
    """
    content = read_mapping(path, "the devices", "restore the file")
    blocks, assumed = content.get("devices"), content.get("assumptions")
    if not isinstance(blocks, dict) or not isinstance(assumed, dict):
        raise UserError(f"{path}: two blocks are needed, assumptions and devices; restore the file")
    devices = {name: _device(path, str(name), values) for name, values in blocks.items()}
    return devices, build(Assumptions, assumed, f"{path}: assumptions.", "field")


def device_named(name: str, path: Path = DEVICES_FILE) -> tuple[Device, Assumptions]:
    """Return the device of this name, `cpu` measured now, and the assumptions.

    Raises:
        UserError: there is no such device.
    """
    devices, assumptions = read_devices(path)
    if name == CPU:
        return measured_cpu(), assumptions
    if name not in devices:
        raise UserError(f"there is no device {name!r} in {path}; choose one of: {', '.join(devices)}, {CPU}")
    return devices[name], assumptions


def measured_cpu() -> Device:
    """Measure this machine's arithmetic and bandwidth in float32, as matrix products of torch reach them."""
    # Here, because torch takes seconds to import.
    import torch
    from torch.nn.functional import linear

    from benchmarks.floor import best_seconds

    side = _MEASURED_SIDE
    rows, matrix = torch.randn(_MEASURED_ROWS, side), torch.randn(side, side)
    product = best_seconds(lambda: rows @ matrix, runs=_MEASURED_RUNS)
    matrices = [torch.randn(side, side) for _ in range(round(_STREAMED_BYTES / (4 * side * side)))]
    few = rows[:_STREAMED_ROWS]
    streamed = best_seconds(lambda: [linear(few, each) for each in matrices], runs=_MEASURED_RUNS)
    tflops = 2.0 * _MEASURED_ROWS * side * side / product / 1e12
    bandwidth = 4.0 * side * side * len(matrices) / streamed / 1e9
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
        prefill_efficiency=_CPU_PREFILL,
        decode_efficiency=_CPU_DECODE,
        awq_efficiency=1.0,
        layer_microseconds=_CPU_LAYER_MICROSECONDS,
    )


def _device(path: Path, name: str, values: Any) -> Device:
    if not isinstance(values, dict):
        raise UserError(f"{path}: devices.{name} is {values!r}; a device is a block of fields and values")
    return build(Device, {"name": name, **values}, f"{path}: devices.{name}.", "field")


def _check_positive(figures: Device | Assumptions) -> None:
    for field in dataclasses.fields(figures):
        value = getattr(figures, field.name)
        if not isinstance(value, str) and value <= 0:
            raise ValueError(f"{field.name} is {value}; it must be over 0")
