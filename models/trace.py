"""What a model did with each question, kept for people to look into; nothing is kept unless somebody asks."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from models.decision import fused_answer
from models.engines.answering.ways import way_of
from models.engines.interface import Answer
from models.engines.settings import EngineSettings
from models.engines.usage import Usage
from models.scheduling.asking import Missing
from models.traced_question import TracedQuestion
from prompts.answer_space import Choice, Selection, admits
from prompts.prompt import Prompt
from retrieval.fusion import MODEL, Combiner
from utilities.task_type import TaskType

Asked = tuple[TaskType, Prompt, Answer | Missing]
"""The detected task type, the prompt made of the question, and what came back for it."""


class Trace:
    """One `TracedQuestion` for each question, in the order in which they were asked."""

    def __init__(self) -> None:
        self.questions: list[TracedQuestion] = []
        self._seen = Usage()

    def add(
        self,
        batch: Iterable[Asked],
        settings_of: Callable[[Prompt], EngineSettings],
        combiner_of: Callable[[Prompt], Combiner],
        usage: Usage,
        seconds: float,
    ) -> None:
        """Keep a batch that took so many seconds and brought the models' totals to `usage`.

        The totals before the first batch, what loading read, count for the first batch.
        """
        asked = list(batch)
        read = _share(usage.prefill_tokens, self._seen.prefill_tokens, len(asked))
        written = _share(usage.decode_tokens, self._seen.decode_tokens, len(asked))
        self._seen = Usage(prefill_tokens=usage.prefill_tokens, decode_tokens=usage.decode_tokens)
        for task_type, prompt, answer in asked:
            scores, fallback = _settled(prompt, answer, combiner_of(prompt))
            self.questions.append(
                TracedQuestion(
                    task_type=task_type.value,
                    system=prompt.system,
                    user=prompt.user,
                    bare=prompt.bare,
                    cue=prompt.cue,
                    as_statement=prompt.as_statement,
                    way=way_of(prompt.space, settings_of(prompt)),
                    kind=prompt.kind,
                    **_labelled(prompt, answer),
                    scores=scores,
                    fallback=fallback,
                    seconds=seconds / len(asked),
                    tokens_read=read,
                    tokens_written=written,
                )
            )


@runtime_checkable
class KeepsTrace(Protocol):
    """A model that keeps a trace when it is given one."""

    trace: Trace | None


def start_trace(model: object) -> Trace | None:
    """Have a model keep a trace from now on; None for one that cannot."""
    if not isinstance(model, KeepsTrace):
        return None
    model.trace = Trace()
    return model.trace


def _share(now: int, before: int, questions: int) -> float:
    """Return each question's share; a new process of the engine begins its totals anew."""
    return (now - before if now >= before else now) / questions


def _labelled(prompt: Prompt, answer: Answer | Missing) -> dict[str, Any]:
    """Return what is known of each label before model and evidence are combined."""
    space = prompt.space
    written, scores = ("", ()) if isinstance(answer, Missing) else (answer.text, tuple(answer.scores))
    if not isinstance(space, Choice | Selection):
        return {"labels": (), "texts": (), "evidence": {}, "model_scores": (), "written": written}
    evidence = {name: tuple(each) for name, each in prompt.evidence.items()}
    return {
        "labels": space.labels, "texts": space.texts, "evidence": evidence, "model_scores": scores, "written": written
    }  # fmt: skip


def _settled(prompt: Prompt, answer: Answer | Missing, combiner: Combiner) -> tuple[tuple[float, ...], str]:
    """Return the scores that decide, and why the prompt's fallback is the answer, empty where it is not.

    A decoded answer has no scores, whatever the evidence says.
    """
    if isinstance(answer, Missing):
        return (), answer.reason
    try:
        text = fused_answer(prompt, answer, combiner)
        scores = tuple(answer.scores)
        if scores and prompt.evidence:
            scores = tuple(combiner.combine(prompt.kind, {**prompt.evidence, MODEL: scores}))
    except Exception:  # noqa: BLE001 - the model itself logs and counts it, and answers by the fallback
        return (), "answer not read"
    return scores, "" if admits(prompt.space, text) else "answer outside its space"
