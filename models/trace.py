"""The trace of a run: how the model answered each question. A trace is kept on request only."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from models.engines.interface import Answer, Usage
from models.engines.settings import EngineSettings, way_of
from models.item import Item
from models.scheduling.asking import Missing
from models.traced_question import TracedQuestion
from prompts.prompt import Choice, Prompt, Selection


class Trace:
    """One `TracedQuestion` for each question, in the order of asking."""

    def __init__(self) -> None:
        self.questions: list[TracedQuestion] = []
        self._seen = Usage()

    def add(
        self, items: Sequence[Item], settings_of: Callable[[Prompt], EngineSettings], usage: Usage, seconds: float
    ) -> None:
        """Keep a batch that took `seconds` and brought the models' totals to `usage`.

        The tokens that the models read while they were loaded count for the first batch.
        """
        read = _share(usage.prefill_tokens, self._seen.prefill_tokens, len(items))
        written = _share(usage.decode_tokens, self._seen.decode_tokens, len(items))
        self._seen = Usage(prefill_tokens=usage.prefill_tokens, decode_tokens=usage.decode_tokens)
        for item in items:
            prompt = item.prompt
            self.questions.append(
                TracedQuestion(
                    task_type=item.task_type.value,
                    system=prompt.system,
                    user=prompt.user,
                    bare=prompt.bare,
                    cue=prompt.cue,
                    as_statement=prompt.as_statement,
                    way=way_of(prompt.space, settings_of(prompt)),
                    kind=prompt.kind,
                    **_labelled(prompt, item.answer),
                    scores=item.decision.scores,
                    fallback=item.decision.fallback,
                    seconds=seconds / len(items),
                    tokens_read=read,
                    tokens_written=written,
                )
            )


@runtime_checkable
class KeepsTrace(Protocol):
    """A model that adds to a trace if it has one."""

    trace: Trace | None


def start_trace(model: object) -> Trace | None:
    """Start a trace of a model; None if the model keeps none."""
    if not isinstance(model, KeepsTrace):
        return None
    model.trace = Trace()
    return model.trace


def _share(now: int, before: int, questions: int) -> float:
    """Return each question's share; the totals of a new engine process start at 0."""
    return (now - before if now >= before else now) / questions


def _labelled(prompt: Prompt, answer: Answer | Missing) -> dict[str, Any]:
    """Return the labels with their texts, evidence and model scores before these are combined."""
    space = prompt.space
    written, scores = ("", ()) if isinstance(answer, Missing) else (answer.text, tuple(answer.scores))
    if not isinstance(space, Choice | Selection):
        return {"labels": (), "texts": (), "evidence": {}, "model_scores": (), "written": written}
    evidence = {name: tuple(each) for name, each in prompt.evidence.items()}
    return {
        "labels": space.labels, "texts": space.texts, "evidence": evidence, "model_scores": scores, "written": written
    }  # fmt: skip
