"""A catalogue that is built once, for tests that only read it or change a copy."""

import shutil
from pathlib import Path

import pytest

from retrieval.products.build import build
from retrieval.products.catalogue import Catalog
from tests.retrieval.products.product_samples import sample


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = sample(tmp_path_factory.mktemp("built"))
    build(wanted)
    return wanted.output


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "catalog")


@pytest.fixture(scope="session")
def catalog(built: Path) -> Catalog:
    return Catalog.open(built)
