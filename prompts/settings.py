"""Which wording a prompt gets, and how much of the evidence it shows."""

from utilities.typed_yaml import Whole, checked


@checked
class PromptSettings:
    """One field a task type, each the name of a variant; the files of the task types list theirs.

    `external_information` is the number of candidates shown as `[External information]` to ranking questions, 0 is off.
    `external_tokens` is about how many tokens all of that may take, with the catalogue's related products.
    `exemplars` is the number of fixed examples shown before a question, 0 is off; `dynamic_exemplars` shows an earlier
    question of the run with its predicted answer as well, and `exemplar_tokens` is about how many tokens they may take
    together.
    """

    multiple_choice: str = "base"
    retrieval: str = "base"
    ranking: str = "base"
    generation: str = "roles_30_words"
    named_entity_recognition: str = "base"
    external_information: Whole = 3
    external_tokens: Whole = 400
    exemplars: Whole = 0
    dynamic_exemplars: bool = False
    exemplar_tokens: Whole = 400
