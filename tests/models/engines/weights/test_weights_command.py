"""The command line of the weights, and the sentences about missing weights."""

from pathlib import Path

import pytest

from models.engines import weights
from models.engines.registry import check_engine
from models.engines.settings import EngineSettings
from models.engines.weights_folder import DEFAULT_FOLDER, VARIABLE, default_weights, missing_weights_message
from tests.models.engines.weights.tiny_weights import write_model
from utilities.errors import UserError, exit_code
from utilities.files import ROOT


def test_the_variable_names_the_folder_and_spares_the_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "fetch", lambda *_: pytest.fail("fetched"))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert default_weights() == tmp_path
    with pytest.raises(UserError, match="no model weights at"):
        weights.main(["fetch"])
    write_model(tmp_path)
    assert weights.main(["fetch"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


def test_the_default_folder_lies_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    root = ROOT
    assert default_weights() == root / "models" / "weights" / "smollm2-135m-instruct"


def test_missing_weights_are_explained_with_both_remedies() -> None:
    message = missing_weights_message(DEFAULT_FOLDER)
    for part in (str(DEFAULT_FOLDER), "python -m models.engines.weights fetch", VARIABLE):
        assert part in message


def test_a_folder_that_fetch_would_not_fill_is_not_to_be_fetched() -> None:
    assert missing_weights_message(Path("some/folder"), named_by="--base") == (
        "no model weights at some/folder: name a folder that holds config.json and *.safetensors by --base"
    )


def test_missing_weights_of_a_known_model_are_to_be_copied_from_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="copy the files of meta-llama/Meta-Llama-3-8B-Instruct there") as told:
        check_engine(EngineSettings(model="llama3-8b", weights=str(tmp_path)))
    assert "fetch" not in str(told.value)


def test_verify_of_a_folder_without_weights_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: weights.main(["verify", str(tmp_path)])) == 2
    assert "python -m models.engines.weights fetch" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"], ["verify", "--help"]])
def test_help_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        weights.main(arguments)
    assert caught.value.code == 0
    assert "python -m models.engines.weights" in capsys.readouterr().out
