"""Generation: free text, a title in another language, or a phrase copied from the question."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from prompts.phrases import phrases
from prompts.prompt import ASSISTANT, PREVIOUS_KNOWLEDGE, AnswerSpace, Prompt, Spans, Text, variant
from prompts.reading import (
    Question,
    asks_to_extract,
    read_aspect,
    read_category,
    read_review,
    read_source_text,
)
from prompts.settings import PromptSettings
from prompts.trimming import trim
from retrieval.knowledge import QUESTION_ALONE, Knowledge

VARIANTS: Mapping[str, str] = {
    "base": "{assistant}",
    "roles": "{role}",
    "roles_30_words": "{role} {knowledge} Response (limit to 30 words).",
}


@dataclass(frozen=True)
class SubType:
    """A kind of text: the words that ask for it in a question, the writer's role, and the word limit."""

    words: re.Pattern[str]
    role: str
    max_words: int


def _words(*stems: str) -> re.Pattern[str]:
    return re.compile("|".join(stems), re.IGNORECASE)


SUB_TYPES: Mapping[str, SubType] = {
    "post": SubType(
        _words("e-?mail", "social media", "newsletter", "hashtag", r"\bpost\b", "correo", "courriel", "メール", "投稿"),
        "You write for an online shop: a post has an opening, the product's features, hashtags and a call to action.",
        60,
    ),
    "review": SubType(
        _words(r"write [^.\n]{0,60}review", r"schreibe[^.\n]{0,60}(?:rezension|bewertung)", r"レビューを書"),
        "You are a satisfied customer who reviews a product.",
        50,
    ),
    "recommendation": SubType(
        _words("recommend", "suggest", "empfiehl", "recommand", "recomiend", "consiglia", "おすすめ"),
        "You are a personal shopping assistant who recommends products.",
        50,
    ),
    "description": SubType(
        _words("product description", "describe the product", "produktbeschreibung", "description du produit",
               "descripción del producto", "descrizione del prodotto", "商品説明"),
        "You are a marketing specialist who writes product descriptions.",
        50,
    ),
    "answer": SubType(
        _words(r"\?", "question", "frage", "pregunta", "domanda", "質問", "？"),
        "You are a customer service representative who answers questions about products.",
        40,
    ),
}  # fmt: skip
_OTHER = SubType(re.compile(""), "You are an e-commerce assistant.", 40)

_TRANSLATOR = (
    "You translate product titles for online shops. Numbers, measures, brands and model names stay as they are. "
    "Answer with the title only."
)
_KEYPHRASE_WORDS = 5
_MOST_TITLE_WORDS = 60
_SPARE_WORDS = 4  # German and French titles are longer than English ones
_KEPT = re.compile(r"\S*\d\S*|\b[A-Z]{2,}[A-Za-z]*\b")
_NO_ANSWER = "No information is available."


def build(question: Question, settings: PromptSettings, _knowledge: Knowledge = QUESTION_ALONE) -> Prompt:
    """Copy a phrase if one is asked for, translate if a language is named, else write free text."""
    wording = variant(settings.generation, VARIANTS, "generation")
    return _keyphrase(question) or _translation(question) or _free_text(question, wording)


def sub_type(question: str) -> SubType:
    """Return the first sub-type whose words occur in the question."""
    return next((kind for kind in SUB_TYPES.values() if kind.words.search(question)), _OTHER)


def _keyphrase(question: Question) -> Prompt | None:
    review = read_review(question) if asks_to_extract(question) else None
    space = Spans(review, 1, _KEYPHRASE_WORDS) if review and review.strip() else None
    candidates = phrases(space) if space else []
    if space is None or not candidates:
        return None
    aspect = read_aspect(question)
    return Prompt(
        ASSISTANT,
        question.text,
        space,
        fallback=_nearest(candidates, aspect),
        bare=f"Review: {review}",
        cue=f"The keyphrase about {aspect or 'the product'} is:",
        neutral_cue="The keyphrase is:",
        neutral_share=1.0,
        as_statement=True,
    )


def _nearest(candidates: list[str], aspect: str | None) -> str:
    """Return the shortest phrase that names the aspect, else the first phrase."""
    naming = [phrase for phrase in candidates if aspect and aspect.lower() in phrase.lower()]
    return min(naming, key=len) if naming else candidates[0]


def _translation(question: Question) -> Prompt | None:
    source = read_source_text(question) if question.target_language else None
    if not source or not source.strip():
        return None
    limit = min(len(source.split()) * 5 // 4 + _SPARE_WORDS, _MOST_TITLE_WORDS)
    space = Text(max_words=limit, keep=_protected(source, limit))
    return Prompt(
        _TRANSLATOR, question.text, space, fallback=trim(" ".join(source.split()), space) or _NO_ANSWER, cue=""
    )


def _protected(source: str, limit: int) -> tuple[str, ...]:
    """Return the numbers, measures and model names that fit into `limit`: no translation changes them."""
    found = (match[0].strip(",;:()[]'\"") for match in _KEPT.finditer(source))
    return tuple(dict.fromkeys(phrase for phrase in found if phrase))[:limit]


def _free_text(question: Question, wording: str) -> Prompt:
    kind = sub_type(question.text)
    system = wording.format(assistant=ASSISTANT, role=kind.role, knowledge=PREVIOUS_KNOWLEDGE)
    limit = 30 if "30 words" in wording else kind.max_words
    space: AnswerSpace = Text(max_words=limit, stop=("\n\n",))
    subject = read_category(question) or read_source_text(question) or _NO_ANSWER
    fallback = " ".join(subject.split()[:limit]) or _NO_ANSWER
    return Prompt(system, question.text, space, fallback=fallback, cue="")
