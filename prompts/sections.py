"""Removes section marks from text, and checks that a prompt's list can be read back."""

from prompts.prompt import Prompt
from prompts.reading import read_numbered_list

EXAMPLE = "[Example]"
QUESTION = "[Question]"
THOUGHT = "[Chain of Thought]"
ANSWER = "[Answer]"

_ROUND = str.maketrans("[]", "()")


def without_marks(text: str) -> str:
    """Return the text with round brackets for square ones, so that it contains no section mark."""
    return text.translate(_ROUND)


def keeps_list(prompt: Prompt, user: str, begins: int) -> bool:
    """Return whether the list that is read back from `user` is the question's own; the question begins at `begins`.

    Candidates are reordered by reading their list back. An earlier list with the same texts would be reordered instead.
    A list that cannot be read back does no harm: the candidates keep their order.
    """
    texts = getattr(prompt.space, "texts", ())
    own, found = read_numbered_list(prompt.user), read_numbered_list(user)
    if not texts or found is None or tuple(item.text for item in found.items) != texts:
        return True
    return own is not None and len(found.before) == begins + len(own.before)
