"""Keeps log records, warnings and progress bars of other libraries out of the terminal.

Records and warnings go to the file that the environment variable SHOPALIGN_LOG names. This package's own lines, and
errors of libraries, stay on stderr too. A command sets the variable, and the engine's process inherits it. The
evaluator sets none, so there everything stays on stderr.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

LOG_VARIABLE = "SHOPALIGN_LOG"
LOG_FILE = Path(__file__).resolve().parent.parent / "outputs" / "libraries.log"
"""The file if the variable names none."""
_OURS = "shopalign"
_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
_NO_BARS: Mapping[str, str] = {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Send the lines of libraries that are imported in this block, and in processes it starts, to the log file."""
    before = dict(os.environ)
    os.environ.setdefault(LOG_VARIABLE, str(LOG_FILE))
    for name, value in _NO_BARS.items():
        os.environ.setdefault(name, value)
    # The variable has no effect on a library that was imported before.
    imported = sys.modules.get("transformers.utils.logging")
    bars = imported if imported and imported.is_progress_bar_enabled() else None
    try:
        if bars:
            bars.disable_progress_bar()
        with following_log():
            yield
    finally:
        if bars:
            bars.enable_progress_bar()
        for name in (LOG_VARIABLE, *_NO_BARS):
            os.environ.pop(name, None)
            os.environ.update({name: before[name]} if name in before else {})


@contextmanager
def following_log() -> Iterator[None]:
    """Send the lines of libraries to the file that SHOPALIGN_LOG names; change nothing if it names none."""
    path = os.environ.get(LOG_VARIABLE)
    if not path:
        yield
        return
    with _log(Path(path)) as log, _redirected(log):
        yield


@contextmanager
def printing_to_log() -> Iterator[None]:
    """Send to the same file all that this block prints, for libraries that print instead of logging."""
    path = os.environ.get(LOG_VARIABLE)
    with ExitStack() as opened:
        if path:
            # Where the file cannot be written, the lines stay on the terminal.
            with suppress(OSError):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                log = opened.enter_context(Path(path).open("a", encoding="utf-8"))
                opened.enter_context(redirect_stdout(log))
                opened.enter_context(redirect_stderr(log))
        yield


class _Log(logging.FileHandler):
    """A log file that is made at its first record; where it cannot be written, records are dropped."""

    is_open = True

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and make the folder of the file."""
        with suppress(OSError):
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of the base class
        """Print nothing: a full disk must not fill the terminal."""

    def close(self) -> None:
        """Close the file."""
        self.is_open = False
        super().close()


@contextmanager
def _log(path: Path) -> Iterator[_Log]:
    log = _Log(path, encoding="utf-8", delay=True)
    log.setFormatter(logging.Formatter(_FORMAT))
    try:
        yield log
    finally:
        log.close()


class _Redirection(logging.Filter):
    """Writes the records of a library's logger to the log while it is open; only errors go further."""

    def __init__(self, log: _Log) -> None:
        super().__init__()
        self._log = log

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the handlers get the record too: those of libraries write to the terminal."""
        if not self._log.is_open:
            return True
        self._log.handle(record)
        return record.name.partition(".")[0] == _OURS or record.levelno >= logging.ERROR


@contextmanager
def _redirected(log: _Log) -> Iterator[None]:
    """Redirect the loggers that exist, and those that are made in this block."""
    redirection, usual = _Redirection(log), logging.getLoggerClass()

    class RedirectedLogger(logging.Logger):
        def __init__(self, name: str, level: int = logging.NOTSET) -> None:
            super().__init__(name, level)
            self.addFilter(redirection)

    existing = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    for logger in existing:
        logger.addFilter(redirection)
    logging.setLoggerClass(RedirectedLogger)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        logging.setLoggerClass(usual)
        for logger in existing:
            logger.removeFilter(redirection)
