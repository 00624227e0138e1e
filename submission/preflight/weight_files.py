"""Checks that the weights are complete, in the safe format, in Git LFS, and within the size limits."""

from pathlib import Path, PurePosixPath

from models.engines.damaged_files import DamagedFileError
from models.engines.safetensors_header import Tensor
from models.engines.weights_folder import check_model
from submission.preflight.repository import FailedError, Repository, listed
from utilities.errors import UserError
from utilities.git import git

UNSAFE = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".h5", ".msgpack"})
LFS_LIMIT_GB = 200.0
PLAIN_LIMIT = 15_000_000
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_LONGEST_POINTER = 1024
_FETCH = (
    "run `python -m models.engines.weights fetch` for the default model, or copy a whole model folder there "
    "(docs/submission.md says where from)"
)


def check_weights(repository: Repository) -> str:
    """Require a whole model in the folder that the settings name: configuration, tokenizer and every shard."""
    tensors = tensors_of(repository)
    size = sum(tensor.bytes for tensor in tensors)
    return f"{_folder(repository)}: {len(tensors)} tensors, {size / 1e9:.2f} GB"


def tensors_of(repository: Repository) -> tuple[Tensor, ...]:
    """Return the tensors of all shards, or raise a `FailedError` of "weights" if a file is missing or damaged."""
    folder = repository.weights_folder
    _require_folder(repository, folder)
    try:
        return check_model(folder)
    except DamagedFileError as error:
        found = f"{repository.name_of(error.path)} {error.problem}"
        raise FailedError(found, error.remedy, "weights") from None
    except UserError:
        raise FailedError(f"{_folder(repository)}: the folder holds no model", _FETCH, "weights") from None


def _require_folder(repository: Repository, folder: Path) -> None:
    if not folder.exists():
        raise FailedError(f"{_folder(repository)}: there is no such folder", _FETCH, "weights")
    if (folder / ".git").exists():
        found = f"{_folder(repository)}: it is a separate git repository"
        raise FailedError(found, "remove its .git, or git would store a link only", "weights")


def _folder(repository: Repository) -> str:
    return repository.name_of(repository.weights_folder)


def check_format(repository: Repository) -> str:
    """Refuse every file in a format that can carry code."""
    unsafe = [name for name in repository.files if PurePosixPath(name).suffix.lower() in UNSAFE]
    if unsafe:
        remedy = "save weights as safetensors (`save_pretrained` does) and remove these files"
        raise FailedError(f"{listed(unsafe)}: a format that can run code when it is read", remedy)
    return "safetensors only"


def check_lfs(repository: Repository) -> str:
    """Require that .gitattributes gives the weights to Git LFS, and that none is committed in full."""
    weights = [name for name in repository.weights_files if name.endswith(".safetensors")]
    if not weights:
        tensors_of(repository)
    if private := repository.private_filters:
        found = f"{listed(private)} has a rule for a filter, and is never pushed"
        raise FailedError(found, "move the rule to .gitattributes")
    plain = sorted(set(weights) - repository.stored_by_lfs(weights))
    if plain:
        rule = f"{_folder(repository)}/** filter=lfs diff=lfs merge=lfs -text"
        raise FailedError(f"{listed(plain)}: not given to Git LFS", f"add to .gitattributes: {rule}")
    committed = sorted(repository.tracked.intersection(weights))
    raw = [name for name in committed if not is_pointer(repository.root, f":{name}")]
    if raw:
        remedy = f"run `git lfs migrate import --include '{_folder(repository)}/**'`"
        raise FailedError(f"{listed(raw)}: committed in full, not as a Git LFS pointer", remedy)
    return f"{len(weights)} safetensors file{'s' * (len(weights) != 1)} by .gitattributes"


def is_pointer(root: Path, blob: str) -> bool:
    """Return whether git's object `blob` ("commit:path", ":path") is a Git LFS pointer."""
    small = int(git(root, "cat-file", "-s", blob)) <= _LONGEST_POINTER
    return small and git(root, "cat-file", "blob", blob).startswith(LFS_POINTER)


def check_sizes(repository: Repository) -> str:
    """Require 200 GB at most in Git LFS, and no large file in git itself."""
    files = [(name, repository.root / name) for name in repository.files]
    sizes = {name: path.stat().st_size for name, path in files if path.is_file() and not path.is_symlink()}
    by_lfs = repository.stored_by_lfs(sorted(sizes))
    large = sorted(name for name in sizes if name not in by_lfs and sizes[name] > PLAIN_LIMIT)
    if large:
        found = f"{listed(large)}: over {PLAIN_LIMIT / 1e6:.0f} MB and not given to Git LFS"
        raise FailedError(found, "give them to Git LFS in .gitattributes, or remove them")
    stored = sum(sizes[name] for name in by_lfs) / 1e9
    if stored > LFS_LIMIT_GB:
        raise FailedError(f"{stored:.1f} GB in Git LFS, the limit is 200 GB", "remove weights that are not used")
    return f"{stored:.2f} GB in Git LFS, {sum(sizes.values()) / 1e6 - stored * 1000:.1f} MB in git"
