"""Settings of the prompts: their wording, and how much evidence and how many exemplars they show."""

from utilities.typed_yaml import Whole, checked


@checked
class PromptSettings:
    """The name of a variant for each task type, and the blocks around the question.

    Attributes:
        multiple_choice: a key of `prompts.multiple_choice.VARIANTS`; likewise for the other task types.
        external_information: how many candidates a ranking prompt shows as `[External information]`, 0 for none.
        external_tokens: about the most tokens of that block, the catalogue's related products included.
        exemplars: how many fixed examples stand before a question, 0 for none.
        dynamic_exemplars: also show an earlier question of the run with its predicted answer.
        exemplar_tokens: about the most tokens of all examples.
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
