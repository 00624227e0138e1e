"""The files that one multiple-choice answer runs through are those that docs/design.md lists, at most 20."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest
import torch

from models.engines.transformers_engine.engine import TransformersEngine
from models.settings import load_settings
from models.shopbench_model import ShopBenchModel
from tests.house import files_of
from utilities.files import ROOT
from utilities.packed_products import can_pack

pytestmark = pytest.mark.slow

QUESTION = "Which product keeps water cold?\n0. a lamp\n1. a steel bottle\n2. a fork\n3. a wool sock\nAnswer:"
MOST = 20
LAYERS = {"models/engines/transformers_engine/attention.py", "utilities/packed_products.py"}
"""These replace layers of libraries, which do not count either."""


def listed() -> list[str]:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    section = page.split("## Files to read for one multiple-choice answer")[1].split("\n## ")[0]
    return re.findall(r"^\| `([\w/]+\.py)` \|", section, re.MULTILINE)


def run_by(model: ShopBenchModel) -> set[str]:
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        model.batch_predict({"prompt": [QUESTION]}, is_multiple_choice=True)
    finally:
        sys.setprofile(None)
    return {file for file in files_of(ROOT) if str(ROOT / file) in seen}


def test_the_design_page_lists_the_files_of_one_answer(tiny_folder: Path) -> None:
    settings = load_settings()
    engine = replace(settings.engine, weights=str(tiny_folder), adapter="", adapters=(), dtype="float32", device="cpu")
    settings = replace(settings, engine=engine)
    model = ShopBenchModel(settings, TransformersEngine(tiny_folder, engine))
    found = run_by(model)
    assert found - LAYERS == set(listed())
    assert found >= LAYERS or not can_pack(torch.float32)
    assert len(listed()) <= MOST
