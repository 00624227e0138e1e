"""Two small questions before the clock runs: kernels are compiled, and the engine's speed is known."""

import logging

from models.engines.answering.ways import LABEL, WRITE
from models.engines.interface import Engine
from prompts.answer_space import Choice, Text
from prompts.prompt import Prompt

_LINES = "\n".join(f"{number}. a bottle of steel that keeps water cold for {number} hours" for number in range(8))
_CHOICE = Prompt("", f"Which of these is a bottle?\n{_LINES}", Choice(tuple("01234567")), fallback="0")
_TEXT = Prompt("", "Describe a bottle of steel.", Text(8, stop=()), fallback="A bottle.")
_LOG = logging.getLogger("shopalign")
_ROUNDS = 2


def warm_up(engine: Engine) -> None:
    """Have an engine read a list and write a few words, so that its usage tells how fast it is.

    What is loaded and compiled at the first call must not pass for its speed: only the second call is kept.
    """
    try:
        for _ in range(_ROUNDS):
            engine.usage().clear()
            engine.answer((_CHOICE, _TEXT), (LABEL, WRITE))
    except Exception as error:  # noqa: BLE001 - what is wrong will show on real questions, too, and is counted there
        _LOG.warning("warming up failed: %s: %s", type(error).__name__, error)
