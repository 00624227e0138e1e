from pathlib import Path

import pytest

from submission.preflight import repository
from submission.preflight.repository import UsedSettings
from tests.submission.submission_copies import copy_of, edit_aicrowd, loading_once, make_template
from utilities.tracks import TRACKS


@pytest.fixture(scope="session")
def template(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed copy of the parts of the repository that a submission needs, for track 3 with GPUs."""
    fields = {"challenge_id": TRACKS[2].challenge_id, "gpu": True}
    return make_template(tmp_path_factory.mktemp("template"), tiny_folder, lambda root: edit_aicrowd(root, **fields))


@pytest.fixture(scope="session")
def known_settings() -> dict[tuple[bytes, ...], tuple[Path, UsedSettings]]:
    return {}


@pytest.fixture
def copy(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    known_settings: dict[tuple[bytes, ...], tuple[Path, UsedSettings]],
) -> Path:
    """A copy of the template; equal settings are loaded once for all copies."""
    monkeypatch.setattr(repository, "loaded_settings", loading_once(known_settings))
    return copy_of(template, tmp_path, monkeypatch)
