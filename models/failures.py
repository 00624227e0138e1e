"""A log of failures, counted by reason; failures are never raised to the evaluator."""

import logging
from collections import Counter
from collections.abc import Mapping

_LOG = logging.getLogger("shopalign")


class FailureLog:
    """Counts questions by the reason of their failure; their answers miss a part of the method."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, reason: str, questions: int, error: BaseException | None = None) -> None:
        """Add `questions` to the count of `reason`, and write one line to the log."""
        self._counts[reason] += questions
        detail = f": {type(error).__name__}: {error}" if error else ""
        _LOG.warning("%s (%d question%s)%s", reason, questions, "" if questions == 1 else "s", detail)

    @property
    def counts(self) -> Mapping[str, int]:
        """Reason -> number of questions."""
        return dict(self._counts)
