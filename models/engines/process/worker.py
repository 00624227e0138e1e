"""An engine in its own process, which the package kills when it hangs and replaces when it dies.

    python -m models.engines.process.worker FD

FD is the number of an open pipe to the package, which starts this process (`models.engines.process.supervised`). The
first message on it holds the engine's settings. This is no command for people.
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
from models.engines.process.wire import Json, answer_to_json, prompt_from_json, receive, send
from models.engines.registry import create_engine
from models.engines.settings import LABEL, WRITE, EngineSettings
from prompts.prompt import Choice, Prompt, Text
from utilities.errors import UserError
from utilities.quiet import following_log
from utilities.typed_yaml import build

_LOG = logging.getLogger("shopalign")
_SECONDS_BETWEEN_LOOKS = 1.0
_LINES = "\n".join(f"{number}. a bottle of steel that keeps water cold for {number} hours" for number in range(8))
_CHOICE = Prompt("", f"Which of these is a bottle?\n{_LINES}", Choice(tuple("01234567")), fallback="0")
_TEXT = Prompt("", "Describe a bottle of steel.", Text(8, stop=()), fallback="A bottle.")
_ROUNDS = 2


def main(argv: Sequence[str], make: Callable[[EngineSettings], Engine] = create_engine) -> int:
    """Run the engine that `make` returns, and serve it on the command line's pipe until the other side closes it."""
    link = Connection(int(argv[0]))
    # Nothing that the engine starts may hold the pipe open when this process has ended.
    os.set_inheritable(link.fileno(), False)
    # The output of libraries must not mix with the evaluator's.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        with following_log():
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
    """Start an engine, report that it is ready, and answer requests.

    Raises:
        EOFError: the other side is gone.
    """
    try:
        engine = make()
        warm_up(engine)
    except UserError as error:
        send(link, {"user_error": str(error)})
        return
    except Exception as error:  # noqa: BLE001 - whatever a library raises while it loads a folder ends the start
        _LOG.exception("the engine cannot start")
        found = " ".join(f"{type(error).__name__}: {error}".split())
        remedy = "check the configuration, the tokenizer and the template of the weights, and the memory of the device"
        send(link, {"user_error": f"the engine cannot start ({found}): {remedy}"})
        return
    send(link, {"ready": dict(engine.describe()), "usage": asdict(engine.usage())})
    while True:
        send(link, _reply(engine, receive(link)))


def _reply(engine: Engine, request: Json) -> Json:
    try:
        prompts = [prompt_from_json(prompt) for prompt in request["prompts"]]
        answers = [answer_to_json(answer) for answer in engine.answer(prompts, request["ways"], request["seconds"])]
    except LostEngineError:
        # The engine's own processes are gone: only a new worker helps.
        raise
    except Exception as error:  # noqa: BLE001 - the package answers by its fallbacks
        _LOG.warning("the engine failed on %d prompts: %s: %s", len(request["prompts"]), type(error).__name__, error)
        return {"error": f"{type(error).__name__}: {error}", "usage": asdict(engine.usage())}
    return {"answers": answers, "usage": asdict(engine.usage())}


def warm_up(engine: Engine) -> None:
    """Ask two small questions before the clock runs, so that kernels are compiled and the engine's speed is known.

    Loading and compiling belong to the first call, so only the usage of the second is kept.

    Raises:
        UserError: the engine answers no question, for example because its template or tokenizer is damaged.
    """
    try:
        for _ in range(_ROUNDS):
            engine.usage().clear()
            engine.answer((_CHOICE, _TEXT), (LABEL, WRITE))
    except UserError:
        raise
    except Exception as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"the engine cannot answer a trial question ({found}): check the chat template, the tokenizer and the "
            "config of the weights, and the memory of the device"
        ) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
