"""An engine in a process of its own, so that it can be stopped when it hangs and replaced when it dies.

    python -m models.engines.process.worker FD

FD is the number of an open socket to the package that started the process. The first message that comes in are the
engine's settings. There is nothing to be typed here: `models.engines.process.supervised` starts it.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection

from models.engines.interface import Engine, LostEngineError
from models.engines.process.warm_up import warm_up
from models.engines.process.wire import Json, answer_to_json, prompt_from_json, receive, send
from models.engines.registry import create_engine
from models.engines.settings import EngineSettings
from utilities.errors import UserError
from utilities.typed_yaml import build

_LOG = logging.getLogger("shopalign")
_SECONDS_BETWEEN_LOOKS = 1.0


def main(argv: Sequence[str], make: Callable[[EngineSettings], Engine] = create_engine) -> int:
    """Serve the engine that `make` makes on the socket that the command line names, until the other side is gone."""
    link = Connection(int(argv[0]))
    # Nothing that the engine starts may hold the socket open when this process has ended.
    os.set_inheritable(link.fileno(), False)
    # What libraries print must not mix with what the evaluator reads.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        serve(link, lambda: make(build(EngineSettings, receive(link)["settings"], "settings: ")))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0
    return 0


def _end_with(parent: int) -> None:
    """End this process and all that it started once `parent`, which may have been killed, is gone."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.killpg(0, signal.SIGKILL)


def serve(link: Connection, make: Callable[[], Engine]) -> None:
    """Start an engine, say so, and answer requests.

    Raises:
        EOFError: the other side is gone.
    """
    try:
        engine = make()
        warm_up(engine)
    except UserError as error:
        send(link, {"user_error": str(error)})
        return
    send(link, {"ready": dict(engine.describe()), "usage": asdict(engine.usage())})
    while True:
        send(link, _reply(engine, receive(link)))


def _reply(engine: Engine, request: Json) -> Json:
    try:
        prompts = [prompt_from_json(prompt) for prompt in request["prompts"]]
        answers = [answer_to_json(answer) for answer in engine.answer(prompts, request["ways"], request["seconds"])]
    except LostEngineError:
        # What the engine consists of is gone: only a new process helps.
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the package answers without this engine's help
        _LOG.warning("the engine failed on %d prompts: %s: %s", len(request["prompts"]), type(error).__name__, error)
        return {"error": f"{type(error).__name__}: {error}", "usage": asdict(engine.usage())}
    return {"answers": answers, "usage": asdict(engine.usage())}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
