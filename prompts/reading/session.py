"""Reads the category that a question asks about, the product that was bought, or the actions of a session."""

import re

from prompts.languages import BOUGHT, SESSION, family
from prompts.reading.labels import QUOTE_MARK, labelled_line, read_labels
from prompts.reading.question import Question
from prompts.reading.quotes import read_quoted, unquoted

_END = r"\s*(?:[\n.?!:,;]|$)"
_NAMED = r"([^\W\d][^\n.?!:,;]{0,40}?|▢)"
_ARTICLE = r"(?:an? |the |eine?[nr]? |une? |una? |uno )?"
_EXPLAINED = re.compile(
    r"\b(?:product (?:type|category|attribute)(?: name)?|category|attribute|produkttyp|produktkategorie|kategorie"
    r"|type de produit|catégorie|tipo de producto|categoría|tipo di prodotto|categoria)s? (?:named |called )?"
    rf"(?!is\b|name\b|below\b|of\b|from\b|that\b|and\b|or\b|tree\b|path\b){_NAMED}(?: means?)?{_END}"
    r"|\b(?:what (?:is|are)|was (?:ist|sind)|qu'est-ce qu(?:e|'|’)|qué (?:es|son)|che cos(?:a sono|'è|a è)) "
    rf"?{_ARTICLE}{_NAMED}(?: y para\b|{_END})"
    rf"|\b(?:what|was|ce qu'est) {_ARTICLE}{_NAMED} (?:is|are|means?|ist|sind)\b"
    r"|(▢)(?:とは|って何|是什么)",
    re.IGNORECASE,
)
_POINTS_ELSEWHERE = re.compile(
    r"\b(?:this|these|that|it|you|following|diese[rsnm]?|folgende\w*|ce|cette|este|esta|questo|questa|difference"
    r"|unterschied|différence|diferencia|differenza)\b",
    re.IGNORECASE,
)
_INPUT = family(
    stems="input category product_type type attribute name term item kategorie produkttyp begriff catégorie"
    " type_de categor tipo término termine eingabe entrée entrada",
    unspaced="入力 カテゴリ 用語",
)
_LONGEST_CATEGORY = 6
PRODUCT = family(
    stems="product item artikel produkt produit article producto artículo prodotto articolo cart warenkorb",
    unspaced="商品 购买",
)
_NO_PRODUCT = family(stems="list type categor typ kategorie", unspaced="リスト")
_NEARBY = 40


def read_category(question: Question) -> str | None:
    """Return the category, type or attribute that a short question asks about; None where there is none."""
    labelled = labelled_line(question.text, _INPUT, family(stems="instruct entity query"))
    named = _EXPLAINED.search(labelled or question.words_and_list)
    if not named:
        return _short(labelled)
    found = next((group for group in named.groups() if group), "")
    if QUOTE_MARK not in found:
        return _short(found)
    return next((_short(part.text) for part in read_quoted(labelled or question.text)), None)


def _short(candidate: str | None) -> str | None:
    text = unquoted((candidate or "").strip()).rstrip(".?!")
    return text if text and len(text.split()) <= _LONGEST_CATEGORY and not _POINTS_ELSEWHERE.search(text) else None


def read_product(question: Question) -> str | None:
    """Return the product that a customer bought or looks at: quoted, or labelled; None without one."""
    prompt = question.text
    near = [
        part.text
        for part in question.quoted_outside_list
        if any(named.search(prompt[max(0, part.start - _NEARBY) : part.start]) for named in (PRODUCT, BOUGHT))
        or BOUGHT.search(prompt[part.end : part.end + _NEARBY // 2])
    ]
    if near:
        return near[0]
    listed = question.listed
    asked = f"{listed.before}\n\n{listed.after}" if listed else prompt
    labelled = labelled_line(asked, PRODUCT, _NO_PRODUCT)
    return unquoted(labelled) if labelled else None


def read_actions(question: Question) -> tuple[str, ...]:
    """Return the queries and products of a session, in order; empty if the question describes no session."""
    listed = question.listed
    if not SESSION.search(question.words):
        return ()
    before = listed.before if listed else question.text
    labels = [label.content for label in read_labels(before) if SESSION.search(label.name)]
    told = before[labels[-1] :] if labels else before
    lines = (line for line in told.split("\n") if line.strip())
    actions = [text for line in lines for text in _quoted_in(line)]
    return tuple(actions)


def _quoted_in(line: str) -> list[str]:
    """Return the quotations of a line; a quotation up to the line's end may contain quotation marks."""
    whole = re.match(r"[^'\"“「]{0,60}(['\"])(.+)\1[^'\"]{0,20}$", line.strip())
    parts = [part.text for part in read_quoted(line)]
    joined = whole and len(re.findall(r"(?<![^\s(])" + whole[1], line)) <= 1
    return [whole[2]] if whole and joined else parts
