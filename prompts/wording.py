"""Sentences that the prompts of several task types share."""

from collections.abc import Mapping

from utilities.errors import UserError

ASSISTANT = "You are a helpful online shopping assistant. Answer the question and follow the given instructions."
PREVIOUS_KNOWLEDGE = "Based on your previous knowledge, generate the answer."


def variant(name: str, variants: Mapping[str, str], field: str) -> str:
    """Return the wording called `name`.

    Raises:
        UserError: there is no such variant; the message lists the known ones.
    """
    if name not in variants:
        raise UserError(f"setting prompts.{field} is {name!r}; choose one of: {', '.join(variants)}")
    return variants[name]
