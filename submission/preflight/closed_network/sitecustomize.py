"""Python reads this file at the start of every process of the trial, so child processes are watched too.

An audit hook sees connections and opened files before they happen. It records both, and refuses connections to other
machines as if there were no network. Sockets within this machine work: an engine may run in a separate process.
"""

import errno
import json
import os
import socket
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

RECORD = "PREFLIGHT_RECORD"
# The evaluator's machine too has the kernel's files, the system's settings and libraries, and Python's.
_EVERYWHERE = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/run", "/var")
_HERE = {"", "localhost", "localhost.localdomain", "ip6-localhost", "::1", "::", "0.0.0.0"}


class Watch:
    """Records each connection and each opened file once, a JSON object per line."""

    def __init__(self, record: str) -> None:
        self._descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
        self._seen: set[tuple[str, str]] = set()
        prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix)
        named = (*prefixes, os.environ.get("TMPDIR", ""), str(Path(__file__).parent.parent))
        real = [os.path.realpath(folder) for folder in named if folder]
        self._allowed = tuple(f"{folder.rstrip('/')}/" for folder in (*named, *real, *_EVERYWHERE) if folder)
        self._here = {*_HERE, socket.gethostname()}

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Record one audit event, and refuse it if it connects to another machine."""
        if event == "open":
            self._opened(arguments[0], arguments[2])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._reached(event, arguments)
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            self._resolved(arguments[0])

    def _opened(self, path: object, flags: object) -> None:
        if not isinstance(path, str | bytes) or not isinstance(flags, int) or flags & os.O_ACCMODE != os.O_RDONLY:
            return
        full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - to resolve links would open files itself
        if not full.startswith(self._allowed):
            self._write("open", full)

    def _reached(self, event: str, arguments: tuple[object, ...]) -> None:
        connection, address = arguments[0], arguments[1]
        if not isinstance(connection, socket.SocketType) or not isinstance(address, tuple):
            return
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or self._is_here(address[0]):
            return
        # Connecting a datagram socket sends nothing: libraries do it to learn this machine's own address.
        if event != "socket.connect" or connection.type != socket.SOCK_DGRAM:
            self._write("connect", f"{address[0]}:{address[1]}")
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def _resolved(self, host: object) -> None:
        name = os.fsdecode(host) if isinstance(host, str | bytes) else ""
        try:
            ip_address(name)
        except ValueError:
            # Only a name needs a look-up.
            if not self._is_here(name):
                self._write("connect", name)
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None

    def _is_here(self, host: object) -> bool:
        name = str(host).removeprefix("::ffff:")
        return name in self._here or name.startswith("127.")

    def _write(self, what: str, name: str) -> None:
        if (what, name) not in self._seen:
            self._seen.add((what, name))
            line = json.dumps({"what": what, "name": name}) + "\n"
            # A process that closed all its descriptors is no longer recorded; it is still refused.
            with suppress(OSError):
                os.write(self._descriptor, line.encode())


if RECORD in os.environ:
    sys.addaudithook(Watch(os.environ[RECORD]))
