import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.products.__main__ import main
from submission.preflight import __main__ as preflight
from submission.preflight import image, metadata
from submission.preflight import weight_files as weights
from submission.preflight.dockerfile import copied_sources, installed_requirements, read_instructions
from submission.preflight.dockerignore import is_ignored, read_patterns
from submission.preflight.registry import CHECKS, RUN_CHECKS, verdicts
from submission.preflight.repository import Repository, Request
from submission.preflight.source_scan import scan
from submission.preflight.verdict import State, Verdict, judged
from tests.submission.submission_copies import (
    WEIGHTS,
    cached_weights,
    commit,
    copy_of,
    edit,
    edit_aicrowd,
    git,
    linked_folder,
    make_template,
    write_sparse_tensor,
)
from utilities.errors import exit_code
from utilities.files import ROOT
from utilities.tracks import TRACKS, track_by_number, track_of

TRACK = TRACKS[2]


@pytest.fixture(scope="module")
def template(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"), tiny_folder, challenge_id=TRACK.challenge_id, gpu=True)


@pytest.fixture
def copy(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copy_of(template, tmp_path, monkeypatch)


def failing(request: Request) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in verdicts(request) if verdict.state is State.FAIL}


def test_a_copy_of_the_repository_passes_with_a_real_run(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOPALIGN_WEIGHTS", str(tmp_path / "not" / "heeded"))
    found = list(verdicts(Request(copy, track=TRACK, tag="submission-v1", questions=4)))
    assert {verdict.check: verdict.found for verdict in found if verdict.state is not State.OK} == {}
    assert [verdict.check for verdict in found] == [name for name, _ in (*CHECKS, *RUN_CHECKS)]
    assert git(copy, "status", "--porcelain") == ""


def drop_line(name: str, part: str) -> Callable[[Path], None]:
    return lambda root: edit(root, name, lambda text: "".join(x for x in text.splitlines(True) if part not in x))


def add_line(name: str, line: str) -> Callable[[Path], None]:
    return lambda root: edit(root, name, lambda text: f"{text}{line}\n")


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def aicrowd(**fields: object) -> Callable[[Path], None]:
    return lambda root: edit_aicrowd(root, **fields)


def setting(key: str, value: str) -> Callable[[Path], None]:
    return write("models/settings.yaml", f"engine:\n  {key}: {value}\n")


def without_gpu(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(root: Path) -> None:
        edit_aicrowd(root, gpu=False)
        change(root)

    return both


def quantised(root: Path) -> None:
    path = root / WEIGHTS / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "quantization_config": {"quant_method": "awq", "bits": 4}}))


def tensor_of(elements: int) -> Callable[[Path], None]:
    return lambda root: write_sparse_tensor(root / WEIGHTS / "model.safetensors", elements)


def spread(elements: int = 0, **counts: int) -> Callable[[Path], None]:
    """Choose vLLM with so many GPUs, and a model of 64 attention heads with so many elements of four bytes."""

    def change(root: Path) -> None:
        parts = ", ".join(f"{name}_parallel: {count}" for name, count in counts.items())
        write("models/settings.yaml", f"engine:\n  name: vllm\n  dtype: float32\n  vllm: {{{parts}}}\n")(root)
        path = root / WEIGHTS / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "num_attention_heads": 64}))
        if elements:
            tensor_of(elements)(root)

    return change


def missing_shard(root: Path) -> None:
    folder = root / WEIGHTS
    names = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def cut_short(root: Path) -> None:
    path = root / WEIGHTS / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def no_index(root: Path) -> None:
    folder = root / WEIGHTS
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")


def committed_raw(root: Path) -> None:
    off = ("-c", "filter.lfs.process=", "-c", "filter.lfs.clean=", "-c", "filter.lfs.required=false")
    git(root, *off, "add", "--force", f"{WEIGHTS}/model.safetensors")


def too_much_for_lfs(root: Path) -> None:
    (root / WEIGHTS / "spare").touch()
    with (root / WEIGHTS / "spare").open("r+b") as file:
        file.truncate(201 * 10**9)


def link_out(root: Path) -> None:
    (root / "data" / "more.json").symlink_to("/etc/hostname")


def ignored_module(root: Path) -> None:
    add_line(".gitignore", "models/extra.py")(root)
    write("models/extra.py", "X = 1\n")(root)
    add_line("models/user_config.py", "from models import extra  # noqa")(root)


def catalogue(named: str, *, built: bool = False) -> Callable[[Path], None]:
    """Name a catalogue in the settings, and make it, ignored by git."""

    def change(root: Path) -> None:
        edit(root, "models/settings.yaml", lambda text: text.replace('catalog: ""', f"catalog: {named}"))
        if built:
            edit(root, ".gitignore", lambda text: f"{text}\n{named}/\n")
            products = root.parent / "products.jsonl"
            products.write_text('{"title": "Copper kettle"}\n', encoding="utf-8")
            assert main(["build", "--output", str(root / named), str(products)]) == 0

    return change


BROKEN: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "aicrowd.json is no JSON": ("aicrowd.json", write("aicrowd.json", '{"challenge_id": '), "cannot be read"),
    "aicrowd.json is missing": ("aicrowd.json", remove("aicrowd.json"), "cannot be read"),
    "aicrowd.json is a list": ("aicrowd.json", write("aicrowd.json", "[1]"), "not an object"),
    "an unknown track": ("aicrowd.json", aicrowd(challenge_id="amazon-kdd-cup-25"), "is no track"),
    "gpu as text": ("aicrowd.json", aicrowd(gpu="true"), "gpu is 'true'"),
    "a misspelt field": ("aicrowd.json", aicrowd(Gpu=True), "unknown field Gpu"),
    "no author": ("aicrowd.json", aicrowd(authors=[]), "authors is []"),
    "another track": ("track", aicrowd(challenge_id=TRACKS[4].challenge_id), "names track 5, asked for is track 3"),
    "an unknown setting": ("settings", write("models/settings.yaml", "engin: {}\n"), "engin"),
    "quantised without a GPU": ("gpu flag", without_gpu(quantised), "AWQ weights are for GPUs"),
    "large without a GPU": ("gpu flag", without_gpu(tensor_of(2 * 10**9)), "8.0 GB of weights, but gpu is false"),
    "cuda without a GPU": ("gpu flag", without_gpu(setting("device", "cuda")), "engine.device is cuda"),
    "too large for four GPUs": ("gpu flag", tensor_of(15 * 10**9), "60 GB of weights do not fit"),
    "eight GPUs for vLLM": ("gpu flag", spread(tensor=4, data=2), "asks for 8 GPUs (tensor_parallel 4 x"),
    "heads that three GPUs cannot share": ("gpu flag", spread(tensor=3), "does not divide the 64 attention heads"),
    "replicas that do not fit": ("gpu flag", spread(8 * 10**9, tensor=2, data=2), "16.0 GB of weights on each GPU"),
    "bfloat16 on a T4": ("gpu flag", setting("dtype", "bfloat16"), "which a T4 lacks"),
    "a missing shard": ("weights", missing_shard, "model-00002-of-00002.safetensors, which is not there"),
    "a shard without its index": ("weights", no_index, "is a shard, but"),
    "a shard cut short": ("weights", cut_short, "its header says"),
    "a pointer of Git LFS": (
        "weights",
        write(f"{WEIGHTS}/model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "is a pointer of Git LFS",
    ),
    "a configuration of another kind": ("weights", write(f"{WEIGHTS}/config.json", "[]"), "is no JSON object"),
    "no tokenizer": ("weights", remove(f"{WEIGHTS}/tokenizer.json"), "none of tokenizer.json"),
    "no weights": ("weights", lambda root: shutil.rmtree(root / WEIGHTS), "there is no such folder"),
    "weights as a clone": ("weights", write(f"{WEIGHTS}/.git", "gitdir: elsewhere\n"), "a git repository of its own"),
    "weights that run code": ("weights format", write(f"{WEIGHTS}/pytorch_model.bin", "x"), "can run code"),
    "no rule for Git LFS": ("git lfs", drop_line(".gitattributes", "filter=lfs"), "not given to Git LFS"),
    "weights committed in full": ("git lfs", committed_raw, "committed in full"),
    "a large file in git": ("sizes", write("data/large.txt", "x" * 15_000_001), "data/large.txt: over 15 MB"),
    "too much for Git LFS": ("sizes", too_much_for_lfs, "201.0 GB in Git LFS"),
    "weights in the build": (
        ".dockerignore",
        drop_line(".dockerignore", "models/weights"),
        "sent to the image's build",
    ),
    "weights let back in": (".dockerignore", add_line(".dockerignore", f"!{WEIGHTS}/*.json"), "sent to the image's"),
    "no GPU requirements": (
        "Dockerfile",
        lambda root: edit(root, "Dockerfile", lambda text: text.replace("-r requirements-gpu.txt", "gptqmodel")),
        "does not install requirements-gpu.txt",
    ),
    "a COPY of nothing": ("Dockerfile", add_line("Dockerfile", "COPY setup.cfg ."), "copies setup.cfg, which is not"),
    "a COPY from above": ("Dockerfile", add_line("Dockerfile", "COPY ../x* ."), "which is not in the repository"),
    "a COPY that is not closed": ("Dockerfile", add_line("Dockerfile", "COPY 'x ."), "cannot be read"),
    "a COPY kept out": ("Dockerfile", add_line(".dockerignore", "requirements*"), "which .dockerignore keeps out"),
    "a comment in apt.txt": ("apt.txt", add_line("apt.txt", "# compilers"), "no name of a package"),
    "an open version": ("requirements", add_line("requirements.txt", "sympy>=1.0"), "'sympy>=1.0' is not pinned"),
    "a version for another system": (
        "requirements",
        add_line("requirements.txt", 'sympy==1.0; sys_platform == "win32"'),
        "is installed under a condition only",
    ),
    "an open version in an included file": (
        "requirements",
        lambda root: (add_line("requirements.txt", "-r more.txt")(root), write("more.txt", "\nsympy\n")(root), None)[
            -1
        ],
        "more.txt, line 2: 'sympy' is not pinned",
    ),
    "two versions": ("requirements", add_line("requirements-gpu.txt", "torch==2.0.0"), "torch 2.0.0 against"),
    "a package not pinned": (
        "imports",
        add_line("models/user_config.py", "import rouge_score  # noqa"),
        "models/user_config.py, line 6: rouge_score is in no requirements file",
    ),
    "a package imported by its name": (
        "imports",
        write("models/a.py", "import importlib\n\nX = importlib.import_module('rouge_score.x')\n"),
        "models/a.py, line 3: rouge_score is in no requirements file",
    ),
    "a module not in git": ("imports", ignored_module, "models/extra.py is imported but not in git"),
    "a module that is no Python": ("imports", write("models/broken.py", "def f(:\n"), "models/broken.py is no Python"),
    "a module that is not there": ("imports", write("models/a.py", "import models.b\n"), "there is no module models.b"),
    "a changed search path": ("imports", write("models/a.py", "import sys\n\nsys.path.append('x')\n"), "sys.path"),
    "weights elsewhere": ("paths", setting("weights", "/etc"), "setting engine.weights is '/etc'"),
    "weights above": ("paths", setting("weights", "../weights"), "setting engine.weights is '../weights'"),
    "a link out": ("paths", link_out, "data/more.json is a link that leads out"),
    "weights in a hub's cache": ("paths", cached_weights, f"{WEIGHTS}/model.safetensors is a link: git would store"),
    "a linked folder of weights": ("paths", linked_folder, "models/weights is a link: git would store the link"),
    "a catalogue that is not there": ("catalogue", catalogue("nowhere"), "nowhere is no folder with a catalogue"),
    "a catalogue elsewhere": ("paths", catalogue("../shop"), "setting knowledge.catalog is '../shop'"),
    "a catalogue that is not committed": ("catalogue", catalogue("shop", built=True), "not in git: shop/catalog.json"),
    "a path of one machine": ("paths", write("models/a.py", "X = '/home/me/x'\n"), "models/a.py, line 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_copy_is_named_and_nothing_else_is(copy: Path, name: str) -> None:
    check, change, phrase = BROKEN[name]
    change(copy)
    commit(copy)
    found = failing(Request(copy, track=TRACK))
    assert {verdict.check: verdict.found for verdict in found.values()} == {check: found[check].found}
    assert phrase in found[check].found
    assert found[check].remedy


@pytest.mark.parametrize("change", [spread(14 * 10**9, tensor=2, pipeline=2), spread(3 * 10**9, tensor=1, data=4)])
def test_weights_that_vllm_spreads_so_that_they_fit_pass(copy: Path, change: Callable[[Path], None]) -> None:
    change(copy)
    assert weights.check_gpu(Repository(Request(copy))).startswith("gpu true with")


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("sys.path += ['x']", True),
        ("sys.path = ['x']", True),
        ("sys.path[:0] = ['x']", True),
        ("del sys.path[0]", True),
        ("sys.path.insert(0, 'x')", True),
        ("x = sys.path[0], sys.path", False),
        ("os.path.join('a', sys.path[0])", False),
    ],
)
def test_a_changed_search_path_is_found_however_it_is_written(line: str, changes: bool) -> None:
    assert scan(f"import os, sys\n{line}\n".encode()).path_changes == ((2,) if changes else ())


@pytest.mark.parametrize(
    ("change", "named"),
    [(write("notes.txt", "x"), "notes.txt"), (add_line("README.md", "x"), "README.md"), (remove("LICENSE"), "LICENSE")],
)
def test_what_is_not_committed_is_named(copy: Path, change: Callable[[Path], None], named: str) -> None:
    change(copy)
    found = failing(Request(copy))
    assert list(found) == ["committed"]
    assert found["committed"].found == f"not committed: {named}"


def test_options_hashes_and_included_files_of_requirements_are_no_packages(copy: Path) -> None:
    edit(
        copy,
        "requirements-gpu.txt",
        lambda text: (
            f"-r requirements.txt\n-r requirements-gpu.txt\n--extra-index-url https://x.org/y  # why\n{text}"
            "sympy==1.14.0 \\\n  --hash=sha256:0a \\\n  --hash=sha256:0b\n"
        ),
    )
    repository = Repository(Request(copy))
    assert image.check_requirements(repository).endswith("exact versions")
    found = list(image.read_requirements(repository, "requirements-gpu.txt"))
    assert {"torch", "sympy"} <= {each.name for each in found}
    assert all(each.version for each in found)
    assert next(each.version for each in found if each.name == "sympy") == "1.14.0"


def test_a_rule_of_the_persons_own_does_not_give_weights_to_lfs(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "attributes").write_text("models/weights/** filter=lfs\n")
    git(copy, "config", "--global", "core.attributesFile", str(tmp_path / "attributes"))
    drop_line(".gitattributes", "filter=lfs")(copy)
    commit(copy)
    assert list(failing(Request(copy))) == ["git lfs"]


@pytest.mark.parametrize("name", [".git/info/attributes", "models/weights/.gitattributes"])
@pytest.mark.parametrize("rule", ["*.safetensors filter=lfs -text", "[attr]big filter=lfs", "*.safetensors\t-filter"])
def test_a_rule_that_is_never_pushed_is_refused(copy: Path, name: str, rule: str) -> None:
    write(name, f"# filter=lfs\n*.png -text\n{rule}\n")(copy)
    found = failing(Request(copy))
    assert list(found) == ["git lfs"]
    assert f"{name} has a rule for a filter" in found["git lfs"].found
    write(name, "# any filter=lfs\n*.png -text\n")(copy)
    assert failing(Request(copy)) == {}


@pytest.mark.parametrize("tag", ["v1", "submission-", "submission-a..b", "submission-a b", "submission-x.lock"])
def test_a_tag_that_cannot_be_is_refused(copy: Path, tag: str) -> None:
    repository = Repository(Request(copy, tag=tag))
    assert judged("tag", lambda: metadata.check_tag(repository)).state is State.FAIL


def test_a_tag_that_is_taken_is_refused_here_and_at_the_remote(copy: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(copy, "remote", "add", "origin", str(tmp_path / "remote.git"))
    for tag in ("submission-a", "submission-d/1"):
        git(copy, "tag", tag)
    for tag in ("submission-b", "submission-e/1"):
        git(copy, "push", "--quiet", "origin", f"HEAD:refs/tags/{tag}")
    for tag, phrase in {
        "submission-a": "exists in this repository",
        "submission-b": "exists at origin",
        "submission-a/1": "submission-a exists in this repository, and git cannot keep",
        "submission-b/1": "submission-b exists at origin, and git cannot keep",
        "submission-d": "submission-d/1 exists in this repository, and git cannot keep",
        "submission-e": "submission-e/1 exists at origin, and git cannot keep",
        "submission-c": "is free here and at origin",
    }.items():
        repository = Repository(Request(copy, tag=tag))
        assert phrase in judged("tag", lambda asked=repository: metadata.check_tag(asked)).found  # type: ignore[misc]


def test_a_folder_without_git_is_one_failure_and_no_traceback(copy: Path) -> None:
    shutil.rmtree(copy / ".git")
    found = failing(Request(copy, tag="submission-v1"))
    assert list(found) == ["repository"]


@pytest.mark.parametrize("name", ["aicrowd.json", ".dockerignore", "Dockerfile", "apt.txt", "requirements.txt"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_content_of_a_file_makes_a_check_raise(template: Path, tmp_path: Path, name: str, content: bytes) -> None:
    for other in ("Dockerfile", ".dockerignore", "requirements.txt", "requirements-gpu.txt", "apt.txt", "aicrowd.json"):
        shutil.copy(template / other, tmp_path / other)
    (tmp_path / name).write_bytes(content)
    repository = Repository(Request(tmp_path))
    for check in (metadata.check_aicrowd, image.check_dockerfile, image.check_apt, image.check_requirements):
        verdict = judged("any", lambda made=check: made(repository))  # type: ignore[misc]
        assert verdict.state is State.OK or verdict.remedy or verdict.state is State.SKIP
        assert "cannot be checked" not in verdict.found


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x10" + b"\0" * 7 + b'{"a":{"dtype":1}', b"[" * 100])
def test_a_damaged_shard_is_a_failure_with_a_remedy(copy: Path, content: bytes) -> None:
    (copy / WEIGHTS / "model.safetensors").write_bytes(content)
    repository = Repository(Request(copy))
    verdict = judged("weights", lambda: weights.check_weights(repository))
    assert "no safetensors file" in verdict.found
    assert verdict.remedy


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
    ],
)
def test_dockerignore_follows_dockers_rules(patterns: str, path: str, ignored: bool) -> None:
    assert is_ignored(read_patterns(patterns), path) is ignored


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


def test_every_check_is_explained_in_the_docs() -> None:
    text = (ROOT / "docs" / "submission.md").read_text(encoding="utf-8")
    assert [name for name, _ in (*CHECKS, *RUN_CHECKS) if f"| `{name}` |" not in text] == []


def test_the_command_line_prints_a_line_a_check_and_writes_json(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop_line("apt.txt", "gcc")(copy)
    arguments = ["--root", str(copy), "--skip-run", "--output", str(tmp_path / "out" / "report.json")]
    assert preflight.main(arguments) == 1
    printed = capsys.readouterr().out
    assert "FAIL committed" in printed
    assert "remedy: commit the changes" in printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["passed"] is False
    assert {"check": "memory", "state": "skip", "found": "left out by --skip-run", "remedy": ""} in report["checks"]
    git(copy, "checkout", "--quiet", "apt.txt")
    assert preflight.main(arguments) == 0


@pytest.mark.parametrize("arguments", [["--root", "/nowhere/at/all"], ["--track", "9", "--skip-run"]])
def test_a_command_line_that_cannot_be_used_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: preflight.main(arguments)) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_help_explains_itself() -> None:
    import sys

    ended = subprocess.run(
        [sys.executable, "-m", "submission.preflight", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "examples:" in ended.stdout


def test_tracks_are_found_by_number_and_by_file(tmp_path: Path) -> None:
    for track in TRACKS:
        path = tmp_path / "aicrowd.json"
        path.write_text(json.dumps({"challenge_id": track.challenge_id}))
        assert track_of(path) == track == track_by_number(track.number)
