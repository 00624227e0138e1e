"""A prompt as plain data: what to say, what may be answered, what is known."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from prompts.answer_space import AnswerSpace
from retrieval.fusion import Scores


class Message(NamedTuple):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Prompt:
    """What a prompt builder makes of a question.

    Attributes:
        system: the role that the model is given.
        user: the question as the model reads it, with its options.
        space: what may be answered.
        fallback: the best member of the space that is known without a model.
        bare: the question without its printed options, for scoring the options' texts; empty when there is none.
        cue: the words that the answer follows, such as "Answer:".
        neutral_cue: a cue that asks for nothing special, for what a phrase of the question is worth in any case.
        neutral_share: how much of that is taken off, 0 to 1.
        as_statement: show `bare` and `cue` as running text that the answer continues, not as a turn of a chat.
        kind: the kind of question, one of `retrieval.fusion.KINDS`, for how its evidence is weighed.
        evidence: a source's name to its score for each label of the space, higher is better.
        model: what answers it, by a name of `models/engines/model_registry.yaml`; empty for the model of the settings.
        adapter: the folder of the LoRA adapter that it is answered with, empty for none; None for the model's own.
    """

    system: str
    user: str
    space: AnswerSpace
    fallback: str
    bare: str = ""
    cue: str = "Answer:"
    neutral_cue: str = ""
    neutral_share: float = 0.5
    as_statement: bool = False
    kind: str = ""
    evidence: Scores = field(default_factory=dict)
    model: str = ""
    adapter: str | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        """The chat that shows the whole question."""
        return (Message("system", self.system), Message("user", self.user))
