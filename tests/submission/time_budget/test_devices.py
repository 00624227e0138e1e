"""Devices and assumptions are validated; the best of several runs is what counts."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from submission.time_budget.devices import CPU, device_named, read_devices
from utilities.errors import UserError

ASSUMED = "{disk_gb: 1, start_seconds: 1, pass_tokens: 1, unpack_from_tokens: 1, runtime_gb: 1}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices: {}\n", "assumptions: not given"),
        ("assumptions: {disk_gb: 1}\ndevices: {}\n", "assumptions.start_seconds, assumptions.pass_tokens"),
        (f"assumptions: {ASSUMED}\ndevices: {{t4: 3}}\n", "devices.t4 is 3"),
        (f"assumptions: {ASSUMED}\ndevices: {{t4: {{half_tflops: 0}}}}\n", "devices.t4.half_tflops is 0"),
    ],
)
def test_a_wrong_device_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_devices(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [("half_tflops", 0.0), ("decode_efficiency", 1.5)])
def test_a_figure_out_of_its_range_is_refused(field: str, value: float) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(read_devices()[0]["t4"], **changed)


@pytest.mark.slow
def test_the_cpu_is_measured_and_an_unknown_device_is_refused() -> None:
    device, _ = device_named(CPU)
    assert device.name == CPU
    assert device.flops(2) == device.flops(4) > 1e8
    with pytest.raises(UserError, match="there is no device 'abacus'"):
        device_named("abacus")
