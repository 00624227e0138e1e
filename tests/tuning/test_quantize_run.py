"""A run of `tuning.quantize` around gptqmodel, which a stub replaces: the finished folder, stopping and resuming."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.tuning.quantising import command
from tuning.awq_job import Job, StoppedError
from tuning.quantize import main
from utilities.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the dense weights as the result; the first run keeps a layer and is stopped if `stop` lies beside it."""

    def quantise(job: Job, *_: object) -> None:
        (job.work / "layers").mkdir(exist_ok=True)
        stop = job.work.parent / "stop"
        if stop.exists():
            stop.unlink()
            raise StoppedError
        job.built.mkdir()
        shutil.copyfile(job.source / "model.safetensors", job.built / "model.safetensors")

    monkeypatch.setattr("tuning.quantize.version", lambda _: "7")
    monkeypatch.setattr("tuning.quantize.quantise", quantise)


def read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def test_the_finished_folder_has_the_weights_the_other_files_and_the_record(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "awq"
    assert main(command(source, output)) == 0
    assert load_file(output / "model.safetensors").keys() == load_file(source / "model.safetensors").keys()
    assert (output / "model.safetensors").stat().st_mode & 0o777 == 0o644
    assert (output / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    dense, config = read(source / "config.json"), read(output / "config.json")
    assert config.pop("quantization_config")["group_size"] == 32
    assert config == {**dense, "dtype": "float16"}
    assert read(output / "quantization.json")["settings"]["rows"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["awq"]


def test_a_stopped_run_is_resumed_with_the_same_settings_alone(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, work = tmp_path / "awq", tmp_path / "awq.partial"
    (tmp_path / "stop").touch()
    assert main(command(source, output)) == 130
    assert f"the same command resumes with the layers in {work}" in capsys.readouterr().err
    with pytest.raises(UserError, match="partial was started with another settings and calibration_sha256"):
        main(command(source, output, "--rows", "5"))
    (work / "begun.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"begun.json .*: remove .* and start over"):
        main(command(source, output))
    (work / "begun.json").unlink()
    assert main(command(source, output)) == 0
    assert not work.exists()


def test_two_runs_do_not_share_a_work_folder(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(*_: object) -> None:
        main(command(source, tmp_path / "awq"))

    monkeypatch.setattr("tuning.quantize.quantise", again)
    with pytest.raises(UserError, match=r"awq.partial: another run uses this folder: wait until it ends"):
        main(command(source, tmp_path / "awq"))
