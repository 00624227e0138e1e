"""Reads the text that a question is about: a query, a title or a longer text; and the type of the phrases to find."""

import re

from prompts.languages import ATTRIBUTE, ENTITY, SEARCH, TITLE, family
from prompts.reading.labels import labelled_block, labelled_line, read_labels
from prompts.reading.question import Question
from prompts.reading.quotes import Quoted, read_quoted, unquoted

_NEARBY = 30
_LIST = family(
    stems="list candidat product artikel prod articul articol options",
    unspaced="リスト 候補 商品",
)
_LOOKS_FOR = family(
    stems="look search typed enter keyword quer want shown such anfrage recherch cherch tapé pesquis zoek"
    " busc consult cerc digit",
    words="looking_for hits_for results_for shown_for für pour para per",
    unspaced="検索 クエリ 查询 搜索",
)
_SOURCE = family(
    stems="title titel produkttitel titre título titolo sentence text satz phrase_suivante frase product item"
    " entitled name produkt artikel produit article producto artículo prodotto articolo listing",
    unspaced="タイトル 商品 文 标题",
)
_LONG_SOURCE = family(stems="description beschreibung descripción descrizione", unspaced="説明 描述")
_ENTITY_CUE = family(
    stems="entität attribut slot label category kategorie catégorie categoría categoria",
    words="entity entities entité entidad entità type types typ tipo",
    unspaced="エンティティ タイプ 实体 类型",
)
_NO_ENTITY = family(
    stems="quer search title titel titre título titolo suche anfrage requête recherche consulta búsqueda ricerca zoek",
    unspaced="クエリ 検索",
)
_OF_TYPE = re.compile(
    r"\b(?:entity type|entity|type d'entité|entité de type|entidad de tipo|tipo de entidad|tipo di entità|entitätstyp"
    r"|vom typ|of type)[ :=]+(?:is |the |de |la |le )?([^\W\d][\w/-]*(?: [\w/-]+)?)",
    re.IGNORECASE,
)
_LONGEST_ENTITY = 6
_FEWEST_WORDS = 3
_INTRODUCED = re.compile(
    r"\b(?:in|from|of|dans|de|du|aus|en|nel|da|di)\s?[:：]\s+([^\n:：\"“«„「]{8,})$", re.IGNORECASE
)
_SLOT = family(stems="slot attribut")
_WHOLE_ATTRIBUTE = re.compile(rf"(?:{ATTRIBUTE.pattern})[a-zà-ÿ]*", re.IGNORECASE)
_INLINE_QUERY = re.compile(
    rf"(?:{SEARCH.pattern})\w{{0,12}}(?: (?:text|term|phrase|string|terms))?\s*[:：=]\s*([^\n]+)", re.IGNORECASE
)
_IN_A_TEXT = re.compile(r"\b(?:in|from|im|aus|dans|en|nel|dal|within)\s$", re.IGNORECASE)
_ENDS_NO_NAME = (".", "!", "?", ":", "。", "？", "：", "→", "_")
_LABELLED_ANEW = re.compile(r"\w[.。?？]\s+(?=\w+\s*(?:[:：]|[-=]>|→))")
_SENTENCE_END = re.compile(r"(?<=\w{2})[.。?？]\s+(?=[A-ZÀ-Ý])")


def read_query(question: Question) -> str | None:
    """Return the search query: labelled, or quoted near a word of searching; None without one."""
    prompt = question.text
    labelled = labelled_line(prompt, SEARCH, family(stems="list candidat next"))
    if labelled:
        return unquoted(_before_list(question, labelled))
    parts = question.quoted_outside_list
    near = [part for part in parts if _LOOKS_FOR.search(_before(prompt, part)) and not _is_entity(prompt, part)]
    if near:
        return near[0].text
    inline = _INLINE_QUERY.search(prompt)
    if inline:
        return unquoted(_SENTENCE_END.split(inline[1])[0].strip()) or None
    behind = [
        part for part in parts[:1] if len(parts) == 1 and _LOOKS_FOR.search(prompt[part.end : part.end + _NEARBY // 2])
    ]
    return behind[0].text if behind else None


def _before_list(question: Question, line: str) -> str:
    """Return the line up to a list that begins in it, without the heading of the list."""
    listed = question.listed
    if not listed or not listed.before.strip() or line in listed.before or line not in question.text:
        return line
    start = question.text.find(line)
    if not start < len(listed.before) < start + len(line):
        return line
    return _SENTENCE_END.split(listed.before[start:])[0].strip() or line


def read_source_text(question: Question) -> str | None:
    """Return the title or text that the task is about: labelled, or the longest quoted one; None without one."""
    prompt = question.text
    labelled = labelled_line(prompt, TITLE) or labelled_line(prompt, _SOURCE, _LIST)
    if labelled:
        return unquoted(labelled)
    parts = [part for part in question.quoted_outside_list if not _is_entity(prompt, part)]
    named = [part for part in parts if _SOURCE.search(_before(prompt, part))] or parts
    if named:
        return max(named, key=lambda part: len(part.text)).text
    return labelled_block(prompt, _LONG_SOURCE) or _behind_last_colon(prompt)


def read_last_text(question: Question) -> str | None:
    """Return the text at the question's end that an order introduces: "Identify the flavour in: ..."; or None."""
    found = _INTRODUCED.search(question.text.rstrip())
    return found[1] if found and len(found[1].split()) >= _FEWEST_WORDS else None


def read_lone_line(question: Question) -> str | None:
    """Return the only line that is neither a sentence, nor labelled, nor quoted: a name that stands for itself."""
    lines = [line.strip() for line in question.text.split("\n")]
    names = [line for line in lines if len(line.split()) >= _FEWEST_WORDS and not line.endswith(_ENDS_NO_NAME)]
    return names[0] if len(names) == 1 and not next(read_labels(names[0]), None) else None


def read_entity_type(question: Question) -> str | None:
    """Return the type of the phrases to find, such as "brand"; None if it cannot be read."""
    prompt, quoted = question.text, question.quoted_outside_list
    source = read_query(question) or read_source_text(question)
    types = [part.text for part in quoted if _is_entity(prompt, part)]
    free = [part.text for part in quoted if not _NO_ENTITY.search(_before(prompt, part)[-15:]) and part.text != source]
    short = [text for text in types + free if len(text.split()) <= _LONGEST_ENTITY]
    return short[0] if short else _unquoted_entity(question)


def _unquoted_entity(question: Question) -> str | None:
    labelled = labelled_line(question.text, ENTITY) or labelled_line(question.text, _SLOT) or ""
    named = unquoted(_SENTENCE_END.split(labelled)[0]).rstrip(".")
    if named and len(named.split()) <= _LONGEST_ENTITY and not read_quoted(named):
        return named
    words = question.words_and_list
    found = _OF_TYPE.search(words)
    if found:
        return found[1]
    attribute = _WHOLE_ATTRIBUTE.search(words)
    return attribute[0].strip() if attribute else None


def _before(prompt: str, part: Quoted) -> str:
    return prompt[max(0, part.start - _NEARBY) : part.start]


def _is_entity(prompt: str, part: Quoted) -> bool:
    """Return whether the nearest cue in the sentence before a quotation introduces an entity type."""
    before = _LABELLED_ANEW.split(_before(prompt, part))[-1]
    if _IN_A_TEXT.search(before):
        return False
    types = [match.start() for match in _ENTITY_CUE.finditer(before)]
    sources = [match.start() for match in _NO_ENTITY.finditer(before)]
    return bool(types) and max(types) > max(sources, default=-1)


def _behind_last_colon(prompt: str) -> str | None:
    """Return the rest of the line behind the question's last colon: "Translate this title: ..."."""
    line = prompt.strip().rpartition("\n")[2] if "\n" not in prompt.strip() else ""
    behind = re.split(r"[:：]\s", line, maxsplit=1)
    return behind[1].strip() or None if len(behind) > 1 else None
