"""Which wording and how much evidence a prompt gets."""

from dataclasses import dataclass

from prompts.task_type import TaskType
from utilities.errors import UserError


@dataclass(frozen=True)
class PromptSettings:
    """One field a task type, each the name of a variant; the files of the task types list theirs.

    `external_information` is the number of candidates shown as `[External information]` to ranking questions, 0 is off.
    `choice_evidence`, `ranking_evidence` and `retrieval_evidence` are the shares, 0 to 1, of lexical evidence in the
    order of options or candidates; the rest is the model's.
    """

    multiple_choice: str = "base"
    retrieval: str = "base"
    ranking: str = "base"
    generation: str = "base"
    named_entity_recognition: str = "base"
    external_information: int = 3
    choice_evidence: float = 0.5
    ranking_evidence: float = 0.3
    retrieval_evidence: float = 0.4

    def __post_init__(self) -> None:
        if self.external_information < 0:
            raise UserError("setting prompts.external_information must be 0 (off) or a positive number")
        for name in ("choice_evidence", "ranking_evidence", "retrieval_evidence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"setting prompts.{name} must lie between 0 and 1")

    def evidence_share(self, task_type: TaskType) -> float:
        """Return the share of lexical evidence in the order of a task type's candidates, 0 where there is none."""
        shares = {
            TaskType.MULTIPLE_CHOICE: self.choice_evidence,
            TaskType.RANKING: self.ranking_evidence,
            TaskType.RETRIEVAL: self.retrieval_evidence,
        }
        return shares.get(task_type, 0.0)
