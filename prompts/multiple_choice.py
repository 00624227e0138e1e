"""Multiple choice: the prompt offers the numbers that the question prints, or the steps of a rating."""

import re
from collections.abc import Mapping
from dataclasses import replace

from prompts.plain import plain_prompt
from prompts.prompt import ASSISTANT, Choice, Prompt, variant
from prompts.reading import NumberedList, Question
from prompts.reading.lists import without_list, without_marker
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE, Knowledge
from retrieval.lexical import best_first
from utilities.task_type import TaskType

VARIANTS: Mapping[str, str] = {
    "base": ASSISTANT,
    "cautious": f"{ASSISTANT} Think cautiously, the answers are very important.",
    "relation_rewriting": ASSISTANT,
}

_RELATIONS: Mapping[str, str] = {
    "complement": "Users who buy {first} may also buy {second}.",
    "irrelevant": "{first} and {second} are irrelevant.",
    "substitute": "{first} and {second} are similar.",
    "narrowing": "{first} is a further search of {second}.",
}
_QUOTED = re.compile(r"[\"“”「]([^\"“”「」\n]{1,200})[\"“”」]")
_SENTIMENTS = ("very negative", "negative", "neutral", "positive", "very positive")
_KIND = "choice"
_RATING_CUE = "Overall, the customer's rating is"


def build(question: Question, settings: PromptSettings, knowledge: Knowledge = QUESTION_ALONE) -> Prompt:
    """Offer the printed options, or the steps of a rating, or 0 to 3 for a question without both."""
    system = variant(settings.multiple_choice, VARIANTS, "multiple_choice")
    listed = question.listed
    options = _one_digit(listed) if listed else {}
    if listed and options:
        evidence = knowledge.evidence(listed.before, list(options.values()))
        likeliest = best_first(knowledge.combined(_KIND, evidence, len(options)))[0]
        prompt = _from_list(question.text, listed, options, system, settings)
        return replace(prompt, fallback=list(options)[likeliest], evidence=evidence)
    if question.rating_range:
        return _from_rating(question.text, question.rating_range, system)
    return plain_prompt(question, TaskType.MULTIPLE_CHOICE, system)


def _one_digit(listed: NumberedList) -> dict[str, str]:
    """Keep the options that the evaluator can read: it reads only the first character of an answer."""
    return {item.label: item.text for item in listed.items if len(item.label) == 1}


def _from_list(
    question: str, listed: NumberedList, options: dict[str, str], system: str, settings: PromptSettings
) -> Prompt:
    if settings.multiple_choice == "relation_rewriting":
        sentences = _as_sentences(listed.before, options)
        question = _rewritten(question, options, sentences)
        options = sentences
    texts = tuple(options.values()) if all(options.values()) else ()
    space = Choice(tuple(options), texts)
    return Prompt(system, question, space, fallback=next(iter(options)), bare=without_list(listed), kind=_KIND)


def _from_rating(question: str, rating: tuple[int, int], system: str) -> Prompt:
    steps = tuple(str(step) for step in range(max(rating[0], 0), min(rating[1], 9) + 1))
    texts = _SENTIMENTS if len(steps) == len(_SENTIMENTS) else ()
    middle = steps[len(steps) // 2]
    bare = without_marker(question)
    space = Choice(steps, texts)
    return Prompt(system, question, space, fallback=middle, bare=bare, cue=_RATING_CUE, as_statement=True)


def _as_sentences(before: str, options: dict[str, str]) -> dict[str, str]:
    """Turn relation labels into sentences about the two quoted queries; other options stay unchanged."""
    quoted = _QUOTED.findall(before)
    first, second = (f'"{text}"' for text in quoted[:2]) if len(quoted) > 1 else ("query 1", "query 2")
    return {
        label: _RELATIONS.get(text.strip().lower(), text).format(first=first, second=second)
        if text.strip().lower() in _RELATIONS
        else text
        for label, text in options.items()
    }


def _rewritten(question: str, options: dict[str, str], sentences: dict[str, str]) -> str:
    for label, text in options.items():
        line = re.compile(rf"^(\W*{label}\W{{1,3}}){re.escape(text)}", re.MULTILINE)
        found = line.search(question)
        if found:
            question = question[: found.end(1)] + sentences[label] + question[found.end() :]
    return question
