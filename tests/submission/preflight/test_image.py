"""The image: what its Dockerfile, .dockerignore and requirements install, copy and exclude."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from submission.preflight import image
from submission.preflight.image import copied_sources, installed_requirements, read_dockerignore, read_instructions
from submission.preflight.metadata import check_aicrowd
from submission.preflight.registry import judged
from submission.preflight.repository import Repository, Request
from tests.submission.submission_copies import edit
from utilities.files import ROOT

FILES = ("Dockerfile", ".dockerignore", "requirements.txt", "requirements-gpu.txt", "apt.txt", "aicrowd.json")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the files that the image is built from."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_options_hashes_and_included_files_of_requirements_are_no_packages(root: Path) -> None:
    edit(
        root,
        "requirements-gpu.txt",
        lambda text: (
            f"-r requirements.txt\n-r requirements-gpu.txt\n--extra-index-url https://x.org/y  # why\n{text}"
            "sympy==1.14.0 \\\n  --hash=sha256:0a \\\n  --hash=sha256:0b\n"
        ),
    )
    repository = Repository(Request(root))
    assert image.check_requirements(repository).endswith("exact versions")
    found = list(image.read_requirements(repository, "requirements-gpu.txt"))
    assert {"torch", "sympy"} <= {each.name for each in found}
    assert all(each.version for each in found)
    assert next(each.version for each in found if each.name == "sympy") == "1.14.0"


@pytest.mark.parametrize("name", ["aicrowd.json", ".dockerignore", "Dockerfile", "apt.txt", "requirements.txt"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_content_of_a_file_makes_a_check_raise(root: Path, name: str, content: bytes) -> None:
    for other in FILES:
        shutil.copy(ROOT / other, root / other)
    (root / name).write_bytes(content)
    repository = Repository(Request(root))
    for check in (check_aicrowd, image.check_dockerfile, image.check_apt, image.check_requirements):
        verdict = judged("any", lambda made=check: made(repository))  # type: ignore[misc]
        assert verdict.state == "ok" or verdict.remedy or verdict.state == "skip"
        assert "cannot be checked" not in verdict.found


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        ("models/weights", "models/weights/x/a.safetensors", True),
        ("models/weights/", "models/weights/x", True),
        ("/models/weights", "models/weights", True),
        ("weights", "models/weights/x", False),
        ("**/weights", "models/weights/x", True),
        ("**/weights", "weights/x", True),
        ("*.txt", "requirements.txt", True),
        ("*.txt", "data/requirements.txt", False),
        ("models/*/x", "models/weights/x", True),
        ("models\n!models/weights", "models/weights/x", False),
        ("!models\nmodels", "models/weights/x", True),
        ("# models", "models/x", False),
        ("require[a-n]ents.txt", "requirements.txt", True),
        ("*", "models/weights/x", True),
        ("*\n!requirements*.txt", "requirements-gpu.txt", False),
        ("models\n!models/*/x", "models/weights/x/y", False),
        ("**", "models/weights/x", True),
        ("models/**", "models/weights/x", True),
        ("models/**/x", "models/x", True),
        ("models/**/x", "models/a/b/x", True),
        ("**.bin", "models/weights/x.bin", True),
        ("models/**x", "models/weights/x", True),
        ("./models//weights/../adapters", "models/adapters/x", True),
        ("  models  ", "models/x", True),
        (" # models", "# models", True),
        ("\\*.txt", "a.txt", False),
        (".\n/\n\n!", "models/x", False),
    ],
)
def test_dockerignore_follows_dockers_rules(patterns: str, path: str, ignored: bool) -> None:
    assert read_dockerignore(patterns).match_file(path) is ignored


def test_a_dockerfile_is_read_over_continuations_comments_and_stages() -> None:
    instructions = read_instructions(
        "FROM a AS b\n# COPY no .\nCOPY --chown=1:1 x.txt \\\n  # why\n  y.txt ./\nCOPY --from=b /z /z\n"
        'ADD ["with space", "/w"]\nRUN echo && pip3 install \\\n  -r /tmp/requirements.txt; cat -r other.txt\n'
    )
    assert copied_sources(instructions) == ["x.txt", "y.txt", "with space"]
    assert installed_requirements(instructions) == {"requirements.txt"}


def test_the_image_installs_torch_first_and_runs_as_the_evaluators_user() -> None:
    instructions = read_instructions((ROOT / "Dockerfile").read_text())
    runs = [rest for keyword, rest in instructions if keyword == "RUN"]
    order = [next(i for i, run in enumerate(runs) if part in run) for part in ("apt.txt", "torch==", "-gpu.txt")]
    assert order == sorted(order)
    assert "--no-build-isolation" in next(run for run in runs if "-gpu.txt" in run)
    assert [rest for keyword, rest in instructions if keyword == "USER"][-1] == "aicrowd"
    assert {"apt.txt", *image.REQUIREMENTS} == set(copied_sources(instructions))
    assert all((ROOT / source).is_file() for source in copied_sources(instructions))
