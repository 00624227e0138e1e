"""A prompt as plain data: the text for the model, the answer space, and the evidence."""

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
    """A question as a builder prepares it for an engine.

    Attributes:
        system: the role that the model is given. user: the question as the model reads it, with its options. space: the
        answers that are allowed. fallback: the answer that is returned if no model answers; a member of the space.
        bare: the question without its printed options, for scoring the texts of the options; empty if they are not
        scored. cue: the words that the answer follows, such as "Answer:". neutral_cue: a cue that asks for no
        particular phrase; it measures how likely a phrase is in any case. neutral_share: the share of that
        log-probability which is subtracted, 0 to 1. as_statement: whether `bare` and `cue` are plain text that the
        answer continues, not a turn of a chat. kind: the kind of question, one of `retrieval.fusion.KINDS`, which
        selects the weights of its evidence. evidence: a source's name to its score for each label of the space, higher
        is better. model: the model that answers, a name of `models/engines/model_registry.yaml`; empty for the model of
        the settings. adapter: the folder of the LoRA adapter that answers; empty for none, None for the model's own
        adapter.
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
        """The chat with the whole question."""
        return (Message("system", self.system), Message("user", self.user))
