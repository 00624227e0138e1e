"""Each fault of a submission is named by one check, with a remedy, and by no other check."""

import json
import shutil
from pathlib import Path

import pytest

from retrieval.products.__main__ import main
from submission.preflight.machine_fit import check_gpu
from submission.preflight.repository import Repository, Request
from tests.submission.submission_copies import (
    WEIGHTS,
    Change,
    add_line,
    cached_weights,
    commit,
    drop_line,
    edit,
    edit_aicrowd,
    failing,
    git,
    linked_folder,
    write,
    write_sparse_tensor,
)
from utilities.tracks import TRACKS

pytestmark = pytest.mark.slow


def remove(name: str) -> Change:
    return lambda root: (root / name).unlink()


def aicrowd(**fields: object) -> Change:
    return lambda root: edit_aicrowd(root, **fields)


def setting(key: str, value: str) -> Change:
    return write("models/settings.yaml", f"engine:\n  {key}: {value}\n")


def without_gpu(change: Change) -> Change:
    def both(root: Path) -> None:
        edit_aicrowd(root, gpu=False)
        change(root)

    return both


def quantised(root: Path) -> None:
    path = root / WEIGHTS / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "quantization_config": {"quant_method": "awq", "bits": 4}}))


def tensor_of(elements: int) -> Change:
    return lambda root: write_sparse_tensor(root / WEIGHTS / "model.safetensors", elements)


def spread(elements: int = 0, **counts: int) -> Change:
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
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = {"model.norm.weight": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
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


def catalogue(named: str, *, built: bool = False) -> Change:
    """Name a catalogue in the settings, and make it, ignored by git."""

    def change(root: Path) -> None:
        edit(root, "models/settings.yaml", lambda text: text.replace('catalog: ""', f"catalog: {named}"))
        if built:
            edit(root, ".gitignore", lambda text: f"{text}\n{named}/\n")
            products = root.parent / "products.jsonl"
            products.write_text('{"title": "Copper kettle"}\n', encoding="utf-8")
            assert main(["build", "--output", str(root / named), str(products)]) == 0

    return change


BROKEN: dict[str, tuple[str, Change, str]] = {
    "aicrowd.json is no JSON": ("aicrowd.json", write("aicrowd.json", '{"challenge_id": '), "cannot be read"),
    "aicrowd.json is missing": ("aicrowd.json", remove("aicrowd.json"), "cannot be read"),
    "aicrowd.json is a list": ("aicrowd.json", write("aicrowd.json", "[1]"), "not an object"),
    "an unknown track": ("aicrowd.json", aicrowd(challenge_id="amazon-kdd-cup-25"), "is not a track"),
    "gpu as text": ("aicrowd.json", aicrowd(gpu="true"), "gpu is 'true'"),
    "a misspelt field": ("aicrowd.json", aicrowd(Gpu=True), "unknown field Gpu"),
    "no author": ("aicrowd.json", aicrowd(authors=[]), "authors is []"),
    "another track": ("track", aicrowd(challenge_id=TRACKS[4].challenge_id), "names track 5, --track is 3"),
    "an unknown setting": ("settings", write("models/settings.yaml", "engin: {}\n"), "engin"),
    "quantised without a GPU": ("gpu flag", without_gpu(quantised), "AWQ weights are for GPUs"),
    "large without a GPU": ("gpu flag", without_gpu(tensor_of(2 * 10**9)), "8.0 GB of weights, but gpu is false"),
    "cuda without a GPU": ("gpu flag", without_gpu(setting("device", "cuda")), "engine.device is cuda"),
    "too large for four GPUs": ("gpu flag", tensor_of(15 * 10**9), "60 GB of weights do not fit"),
    "eight GPUs for vLLM": ("gpu flag", spread(tensor=4, data=2), "asks for 8 GPUs (tensor_parallel 4 x"),
    "heads that three GPUs cannot share": ("gpu flag", spread(tensor=3), "does not divide the 64 attention heads"),
    "replicas that do not fit": ("gpu flag", spread(8 * 10**9, tensor=2, data=2), "16.0 GB of weights on each GPU"),
    "bfloat16 on a T4": ("gpu flag", setting("dtype", "bfloat16"), "which a T4 lacks"),
    "a missing shard": ("weights", missing_shard, "model-00002-of-00002.safetensors, which is missing"),
    "a shard without its index": ("weights", no_index, "holds 1 of 2 shards and no"),
    "a shard cut short": ("weights", cut_short, "is cut short"),
    "a Git LFS pointer": (
        "weights",
        write(f"{WEIGHTS}/model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "is a Git LFS pointer",
    ),
    "a configuration of another kind": ("weights", write(f"{WEIGHTS}/config.json", "[]"), "holds a list"),
    "no tokenizer": ("weights", remove(f"{WEIGHTS}/tokenizer.json"), "none of tokenizer.json"),
    "no weights": ("weights", lambda root: shutil.rmtree(root / WEIGHTS), "there is no such folder"),
    "weights as a clone": ("weights", write(f"{WEIGHTS}/.git", "gitdir: elsewhere\n"), "a separate git repository"),
    "weights that run code": ("weights format", write(f"{WEIGHTS}/pytorch_model.bin", "x"), "can run code"),
    "no rule for Git LFS": ("git lfs", drop_line(".gitattributes", "filter=lfs"), "not given to Git LFS"),
    "weights committed in full": ("git lfs", committed_raw, "committed in full"),
    "a large file in git": ("sizes", write("data/large.txt", "x" * 15_000_001), "data/large.txt: over 15 MB"),
    "too much for Git LFS": ("sizes", too_much_for_lfs, "201.0 GB in Git LFS"),
    "weights in the build": (
        ".dockerignore",
        drop_line(".dockerignore", "models/weights"),
        "sent to the build of the image",
    ),
    "a pattern that cannot be read": (".dockerignore", add_line(".dockerignore", "docs/[z-a]"), "cannot be read"),
    "weights let back in": (".dockerignore", add_line(".dockerignore", f"!{WEIGHTS}/*.json"), "sent to the build"),
    "no GPU requirements": (
        "Dockerfile",
        lambda root: edit(root, "Dockerfile", lambda text: text.replace("-r requirements-gpu.txt", "gptqmodel")),
        "does not install requirements-gpu.txt",
    ),
    "a COPY of nothing": ("Dockerfile", add_line("Dockerfile", "COPY setup.cfg ."), "copies setup.cfg, which is not"),
    "a COPY from above": ("Dockerfile", add_line("Dockerfile", "COPY ../x* ."), "which is not in the repository"),
    "a COPY that is not closed": ("Dockerfile", add_line("Dockerfile", "COPY 'x ."), "cannot be read"),
    "a COPY kept out": ("Dockerfile", add_line(".dockerignore", "requirements*"), "which .dockerignore excludes"),
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
    "no Python": (
        "imports",
        write("models/broken.py", "def f(:\n"),
        "models/broken.py is not Python",
    ),
    "a module that is not there": ("imports", write("models/a.py", "import models.b\n"), "there is no module models.b"),
    "a changed search path": ("imports", write("models/a.py", "import sys\n\nsys.path.append('x')\n"), "sys.path"),
    "weights elsewhere": ("paths", setting("weights", "/etc"), "setting engine.weights is '/etc'"),
    "weights above": ("paths", setting("weights", "../weights"), "setting engine.weights is '../weights'"),
    "a link out": ("paths", link_out, "data/more.json is a link that leads out"),
    "weights in a hub's cache": ("paths", cached_weights, f"{WEIGHTS}/model.safetensors is a link: git would store"),
    "a linked folder of weights": ("paths", linked_folder, "models/weights is a link: git would store the link"),
    "a catalogue that is not there": ("catalogue", catalogue("nowhere"), "nowhere is not a folder with a catalogue"),
    "a catalogue elsewhere": ("paths", catalogue("../shop"), "setting knowledge.catalog is '../shop'"),
    "a catalogue that is not committed": ("catalogue", catalogue("shop", built=True), "not in git: shop/catalog.json"),
    "a path of one machine": ("paths", write("models/a.py", "X = '/home/me/x'\n"), "models/a.py, line 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_is_named_by_its_check_alone(copy: Path, name: str) -> None:
    check, change, phrase = BROKEN[name]
    change(copy)
    commit(copy)
    found = failing(copy, track=TRACKS[2])
    assert {verdict.check: verdict.found for verdict in found.values()} == {check: found[check].found}
    assert phrase in found[check].found
    assert found[check].remedy


@pytest.mark.parametrize("change", [spread(14 * 10**9, tensor=2, pipeline=2), spread(3 * 10**9, tensor=1, data=4)])
def test_weights_that_vllm_spreads_so_that_they_fit_pass(copy: Path, change: Change) -> None:
    change(copy)
    assert check_gpu(Repository(Request(copy))).startswith("gpu true with")


@pytest.mark.parametrize(
    ("change", "named"),
    [(write("notes.txt", "x"), "notes.txt"), (add_line("README.md", "x"), "README.md"), (remove("LICENSE"), "LICENSE")],
)
def test_a_file_that_is_not_committed_is_named(copy: Path, change: Change, named: str) -> None:
    change(copy)
    found = failing(copy)
    assert list(found) == ["committed"]
    assert found["committed"].found == f"not committed: {named}"


def test_a_folder_without_git_is_one_failure_and_no_traceback(copy: Path) -> None:
    shutil.rmtree(copy / ".git")
    assert list(failing(copy, tag="submission-v1")) == ["repository"]


def test_a_rule_of_the_persons_settings_does_not_give_weights_to_lfs(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "attributes").write_text("models/weights/** filter=lfs\n")
    git(copy, "config", "--global", "core.attributesFile", str(tmp_path / "attributes"))
    drop_line(".gitattributes", "filter=lfs")(copy)
    commit(copy)
    assert list(failing(copy)) == ["git lfs"]


@pytest.mark.parametrize("name", [".git/info/attributes", "models/weights/.gitattributes"])
@pytest.mark.parametrize("rule", ["*.safetensors filter=lfs -text", "[attr]big filter=lfs", "*.safetensors\t-filter"])
def test_a_rule_that_is_never_pushed_is_refused(copy: Path, name: str, rule: str) -> None:
    write(name, f"# filter=lfs\n*.png -text\n{rule}\n")(copy)
    found = failing(copy)
    assert list(found) == ["git lfs"]
    assert f"{name} has a rule for a filter" in found["git lfs"].found
    write(name, "# any filter=lfs\n*.png -text\n")(copy)
    assert failing(copy) == {}
