"""Chain of thought: a prompt that asks for reasoning about a multiple-choice question, and the question with reasoning.

After Wei et al. (2022), "Chain-of-Thought Prompting Elicits Reasoning in Large Language Models"; another model
than the one that answers may write the reasoning.
"""

import re
from dataclasses import replace

from prompts.prompt import Choice, Prompt, Text
from prompts.reading.lists import without_marker
from prompts.reading.question import clipped
from prompts.sections import ANSWER, QUESTION, THOUGHT, keeps_list, without_marks
from retrieval.lexical import CJK

CHOICE, RATING = "choice", "rating"
KINDS = (CHOICE, RATING)
"""Kinds of multiple-choice question: with printed options, and with the steps of a rating."""
CUE = "Therefore, the answer is"

_SYSTEM = "You know online shops and their products well. You weigh every option before anybody decides."
# Numbers mean nothing if options are scored by their texts or shown in another order.
_TASK = (
    "Think this through step by step, in at most {words} words. Name options by their words, never by their numbers, "
    "and stop before you give an answer."
)
_OPENING = "Let us go through this step by step."
_WORD = re.compile(rf"[{CJK}]{{1,2}}|[^\s{CJK}]+")
_LONGEST_WORD = 12  # characters; more than the mean of any language that puts spaces between words


def kind_of(prompt: Prompt) -> str:
    """Return the kind of a prompt, one of `KINDS`; empty for a prompt of no such kind."""
    if not isinstance(prompt.space, Choice):
        return ""
    return RATING if prompt.as_statement else prompt.kind


def reasoning_prompt(prompt: Prompt, words: int) -> Prompt:
    """Return the prompt that asks for up to `words` words of reasoning about the question of `prompt`."""
    user = f"{without_marker(prompt.user)}\n\n{_TASK.format(words=words)}"
    return Prompt(_SYSTEM, user, Text(words, stop=()), fallback="", cue=_OPENING)


def reasoning_of(written: str, words: int) -> str:
    """Return the first `words` words of the written text, in one line without section marks; it may be empty.

    In a script without spaces two characters count as a word.
    """
    line = " ".join(without_marks(clipped(written)).split()[:words])
    ends = [word.end() for word in _WORD.finditer(line)][:words]
    return line[: min(ends[-1], words * _LONGEST_WORD)].rstrip() if ends else ""


def with_reasoning(prompt: Prompt, reasoning: str) -> Prompt:
    """Return the prompt with the reasoning between its question and its answer.

    The answer space stays the same. If the reasoning could pass for the question's list, the prompt stays unchanged.
    """
    user = _sections(without_marker(prompt.user), reasoning)
    if not reasoning or not keeps_list(prompt, user, begins=len(QUESTION) + 1):
        return prompt
    return replace(prompt, user=user, bare=_bare(prompt, reasoning), cue=CUE)


def _bare(prompt: Prompt, reasoning: str) -> str:
    if not prompt.bare:
        return ""
    return f"{prompt.bare}\n{reasoning}" if prompt.as_statement else _sections(prompt.bare, reasoning)


def _sections(question: str, reasoning: str) -> str:
    return f"{QUESTION}\n{question}\n\n{THOUGHT}\n{reasoning}\n\n{ANSWER}"
