"""Reads labelled parts of a question ("Review: ..."), and the question's own words, which are all the others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from prompts.languages import CHOOSE, EXTRACT, INSTRUCTION, NUMBERS, ORDER, OUTPUT, PICK_FROM, SELECT, VERBATIM, family
from prompts.reading.lists import NumberedList, read_numbered_list
from prompts.reading.quotes import Quoted, read_quoted

QUOTE_MARK = "▢"
_LABEL = re.compile(r"^[ \t]*([^\s:：=.!?。,;、「\"'“‘][^:：=.!?。,;、「\"“\n]{0,40}?)[ \t]*[:：=][ \t]*", re.MULTILINE)
_MOST_LABEL_WORDS = 5
_MOST_TRIES = 3
_LONGEST_END = 5_000
_ENDS_A_PART = family(
    stems="output answer response ausgabe antwort sortie réponse salida respuesta risposta uscita resposta"
    " saída antwoord aspect aspekt aspecto aspetto review rating label title titel titre título titolo"
    " query question frage pregunta domanda description instruction task list topics claim snippet"
    " phrase feedback",
    unspaced="側面 出力 回答 答え 観点 評価 質問 レビュー リスト タイトル クエリ 商品 答案 输出 评论",
)
_HOLDS_SENTENCES = family(
    stems="review descri text feedback testimonial comment claim sentence statement input bewertung rezension"
    " kundenmeinung beschreib satz avis phrase reseña opini recensione testo texto customer kund client",
    unspaced="レビュー 口コミ 説明 文 评论 描述",
)
_SENTENCE_END = re.compile(r"(?<=\w{3})[.。?？!！](?:\s+(?=[A-ZÀ-Ý])|(?<=[。？！]))")


@dataclass(frozen=True)
class Labelled:
    """A label at a line's start; `start` and `end` enclose its line, or the next one where its own is empty."""

    name: str
    start: int
    content: int
    end: int


def read_labels(text: str) -> Iterator[Labelled]:
    """Yield the labels at line starts, in order."""
    for match in _LABEL.finditer(text):
        if len(match[1].split()) > _MOST_LABEL_WORDS:
            continue
        end = _line_end(text, match.end())
        if not text[match.end() : end].strip() and not _LABEL.match(text, end + 1):
            end = _line_end(text, end + 1)
        yield Labelled(match[1], match.start(), match.end(), end)


def labelled_line(prompt: str, names: re.Pattern[str], but: re.Pattern[str] | None = None) -> str | None:
    """Return the line behind the last label that holds one of `names` and none of `but`; None without one."""
    texts = [prompt[label.content : label.end].strip() for label in _named(prompt, names, but)]
    return next((text for text in reversed(texts) if text), None)


def labelled_block(prompt: str, names: re.Pattern[str], but: re.Pattern[str] | None = None) -> str | None:
    """Return all lines behind the first label of `names`, up to another part, the candidates or an instruction."""
    blocks = (_block(prompt, label) for label in islice(_named(prompt, names, but), _MOST_TRIES))
    return next((block for block in blocks if block), None)


def _named(prompt: str, names: re.Pattern[str], but: re.Pattern[str] | None) -> Iterator[Labelled]:
    return (label for label in read_labels(prompt) if names.search(label.name) and not (but and but.search(label.name)))


def _block(prompt: str, label: Labelled) -> str:
    listed = read_numbered_list(prompt[label.end :])
    limit = label.end + len(listed.before) if listed else len(prompt)
    lines = prompt[label.end : limit].split("\n")
    kept = []
    for line in lines:
        if _begins_another_part(line):
            break
        kept.append(line)
    return (prompt[label.content : label.end] + "\n".join(kept)).strip()


def _begins_another_part(line: str) -> bool:
    label = _LABEL.match(line)
    if label and len(label[1].split()) <= _MOST_LABEL_WORDS and _ENDS_A_PART.search(label[1]):
        return True
    if CHOOSE.search(line) and PICK_FROM.search(line):
        return True
    return bool(NUMBERS.search(line)) and any(asks.search(line) for asks in (SELECT, OUTPUT, EXTRACT))


def own_words(prompt: str, listed: NumberedList | None) -> str:
    """Return the question's own words: without candidates, labelled content, and quotations (a mark replaces each).

    So the text of a review or a title cannot influence how the question is read. Of a very long question only the
    beginning and the end count, where instructions stand.
    """
    text = f"{listed.before}\n{QUOTE_MARK}\n{listed.after}" if listed else prompt
    text = _both_ends(text)
    return _without_content(_without_quoted(text, read_quoted(text)))


def _both_ends(text: str) -> str:
    return text if len(text) <= 2 * _LONGEST_END else f"{text[:_LONGEST_END]}\n{text[-_LONGEST_END:]}"


def _without_quoted(text: str, quoted: list[Quoted]) -> str:
    pieces, at = [], 0
    for part in quoted:
        pieces += [text[at : part.start], QUOTE_MARK]
        at = part.end
    return "".join([*pieces, text[at:]])


def _without_content(text: str) -> str:
    pieces, at = [], 0
    for label in read_labels(text):
        is_quoted = text.startswith(QUOTE_MARK, label.content)
        if label.start < at or is_quoted or introduces_instruction(label.name):
            continue
        pieces += [text[at : label.content], QUOTE_MARK]
        at = _content_end(text, label)
    return "".join([*pieces, text[at:]])


def _content_end(text: str, label: Labelled) -> int:
    """Return where labelled content ends: with its line, or where an instruction follows a query or a name there."""
    sentence = None if _HOLDS_SENTENCES.search(label.name) else _SENTENCE_END.search(text, label.content, label.end)
    if not sentence:
        return label.end
    rest = text[sentence.end() : label.end]
    return sentence.end() if EXTRACT.match(rest) or VERBATIM.search(rest) or OUTPUT.match(rest) else label.end


def introduces_instruction(name: str) -> bool:
    """Return whether what follows a label of this name is an instruction, such as "Output:"."""
    return bool(OUTPUT.search(name) or INSTRUCTION.search(name) or ORDER.search(name))


def _line_end(text: str, start: int) -> int:
    at = text.find("\n", start)
    return len(text) if at < 0 else at
