"""Preflight names every broken folder of weights, and ends with the exit code of a failed check."""

import re
import shutil
from pathlib import Path

import pytest

from submission.preflight.__main__ import main
from submission.preflight.repository import FailedError, Repository, Request
from submission.preflight.weight_files import check_weights
from tests.models.engines.weights.broken_weights import MODELS, SINGLE
from tests.models.engines.weights.tiny_weights import write_model
from tests.submission.submission_copies import WEIGHTS

pytestmark = pytest.mark.slow


def test_each_broken_folder_is_named_with_a_remedy(copy: Path) -> None:
    repository = Repository(Request(copy))
    for name, broken in MODELS.items():
        shutil.rmtree(copy / WEIGHTS)
        broken.damage(write_model(copy / WEIGHTS))
        with pytest.raises(FailedError) as caught:
            check_weights(repository)
        error = caught.value
        assert re.search(broken.words, f"{error.found}: {error.remedy}"), name
        assert error.found.startswith(WEIGHTS)
        assert error.owner == "weights"


def test_the_report_fails_without_a_traceback(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    MODELS["a zip"].damage(copy / WEIGHTS)
    assert main(["--root", str(copy), "--skip-run"]) == 1
    printed = capsys.readouterr().out
    assert f"{WEIGHTS}/{SINGLE} is a zip archive" in printed
    assert "cannot be checked" not in printed
