"""Marks that tell a question from what is put around it."""

from prompts.prompt import Prompt
from prompts.reading import read_numbered_list

EXAMPLE = "[Example]"
QUESTION = "[Question]"
THOUGHT = "[Chain of Thought]"
ANSWER = "[Answer]"

_ROUND = str.maketrans("[]", "()")


def without_marks(text: str) -> str:
    """Return a text that holds none of the marks, whatever was written in it."""
    return text.translate(_ROUND)


def keeps_list(prompt: Prompt, user: str, begins: int) -> bool:
    """Tell whether no other list passes for the question's where `user` shows the question from `begins` on.

    Candidates are put into other orders by reading their list back: another one with the same texts would be changed in
    its place. A list that is not found any more does no harm, the candidates keep their order.
    """
    texts = getattr(prompt.space, "texts", ())
    own, found = read_numbered_list(prompt.user), read_numbered_list(user)
    if not texts or found is None or tuple(item.text for item in found.items) != texts:
        return True
    return own is not None and len(found.before) == begins + len(own.before)
