"""ECInstruct: instruction, input and options, with letters for answers; the same row once for each setting."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tuning.selection.rows import YES_NO, Dropped, Filters, Names, Reading, ReadingOptions, Row, from_rows, text_field
from utilities.errors import UserError
from utilities.plain_text import plain_text
from utilities.tables import shown
from utilities.task_type import TaskType

WORDS = "split, task, setting, instruction, input, options, output: one --split and one --setting are read"
FIELDS: Names = (("split",), ("task",), ("setting",), ("instruction",), ("input",), ("output",))
_LETTERED = re.compile(r"\(?([A-Z])\)?\s*[:.)]\s*(.*)", re.DOTALL)
_LETTER = re.compile(r"\(?([A-Z])\)?(?:\s*[:.)].*)?\s*", re.DOTALL)
_MOST_OPTIONS = 10  # a multiple-choice answer is one digit
_GAINS = (1.0, 0.1, 0.01, 0.0)
_SEVERAL = "The answer is one of the numbered candidates below. List the three likeliest numbers, separated by commas."
_EXTRACT = "Extract from the product title the phrases that name its attribute '{attribute}', word for word."
_RANK = "Output a permutation of 1 to {count}, separated by commas."


class _Asked(NamedTuple):
    text: str
    answer: object
    task_type: TaskType
    metric: str


def read(path: Path, options: ReadingOptions) -> Iterator[Reading]:
    """Yield the rows of one split and one setting."""
    filters = Filters(path, split=options.split, setting=options.setting)
    yield from from_rows(path, lambda place, fields: _row(place, fields, filters))
    filters.check()


def _row(place: str, fields: dict[str, object], filters: Filters) -> Row | Dropped:
    task = text_field(fields, "task", place)
    if reason := filters.refusal({name: text_field(fields, name, place) for name in ("split", "setting")}):
        return Dropped(task, reason)
    instruction, output = text_field(fields, "instruction", place), text_field(fields, "output", place).strip()
    given = _value(fields.get("input") or "")
    asked = _asked(instruction, given, _options(fields.get("options"), place), output)
    return Row(*asked[:2], task, *asked[2:], "ECInstruct") if isinstance(asked, _Asked) else Dropped(task, asked)


def _asked(instruction: str, given: object, options: Sequence[str], output: str) -> _Asked | str:
    """Return the question and its answer as ShopBench has them, or why there is none."""
    if options:
        return _choice(instruction, given, options, output)
    fields = given if isinstance(given, dict) else {}
    listed = next((name for name in fields if isinstance(fields[name], list) and "product" in name.lower()), "")
    if listed:
        return _ranking(instruction, {k: v for k, v in fields.items() if k != listed}, fields[listed], output)
    if "target attributes" in fields:
        return _entity(fields, _value(output))
    if output.lower() in YES_NO:
        text = _text(instruction, given, [f"{index}. {each}" for index, each in enumerate(YES_NO)])
        return _Asked(text, YES_NO.index(output.lower()), TaskType.MULTIPLE_CHOICE, "accuracy")
    return _Asked(_text(instruction, given, []), output, TaskType.GENERATION, "sent-transformer")


def _choice(instruction: str, given: object, options: Sequence[str], output: str) -> _Asked | str:
    right = _LETTER.fullmatch(output)
    index = ord(right[1]) - ord("A") if right else -1
    if not 0 <= index < len(options):
        return "answer outside the options"
    if len(options) <= _MOST_OPTIONS:
        lines = [f"{number}. {each}" for number, each in enumerate(options)]
        return _Asked(_text(instruction, given, lines), index, TaskType.MULTIPLE_CHOICE, "accuracy")
    lines = [f"{number}. {each}" for number, each in enumerate(options, start=1)]
    return _Asked(_text(instruction, given, [_SEVERAL, *lines]), [index + 1], TaskType.RETRIEVAL, "hit rate@3")


def _ranking(instruction: str, others: Mapping[str, object], listed: Sequence[object], output: str) -> _Asked | str:
    """Ask for an order; the gains fall by place, as ECInstruct keeps the order alone."""
    titles = [_without_letter(_flat(each)) for each in listed]
    order = [ord(match[1]) - ord("A") for part in output.split(",") if (match := _LETTER.fullmatch(part.strip()))]
    if sorted(order) != list(range(len(titles))) or len(titles) > len(_GAINS):
        return "answer is not an order of the products"
    gains = [_GAINS[order.index(index)] for index in range(len(titles))]
    lines = [f"{number}. {title}" for number, title in enumerate(titles, start=1)]
    text = _text(instruction, others, [*lines, _RANK.format(count=len(titles))])
    return _Asked(text, gains, TaskType.RANKING, "ndcg")


def _entity(fields: Mapping[str, object], values: object) -> _Asked | str:
    """Ask for the first attribute that has a value in the title."""
    title = _flat(fields.get("product title", ""))
    found = [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []
    in_title = [each for each in found if each.get("value") and _flat(each["value"]).lower() in title.lower()]
    if not title or not in_title:
        return "no value in the title"
    attribute = in_title[0].get("attribute")
    answers = [_flat(each["value"]) for each in in_title if each.get("attribute") == attribute]
    text = f"{_EXTRACT.format(attribute=attribute)}\nProduct title: {title}\nOutput:"
    return _Asked(text, list(dict.fromkeys(answers)), TaskType.NAMED_ENTITY_RECOGNITION, "micro f1")


def _text(instruction: str, given: object, lines: Sequence[str]) -> str:
    fields = given if isinstance(given, dict) else {}
    shown = [f"{name.strip(' :')}: {_flat(value)}" for name, value in fields.items() if value is not None]
    body = shown or ([f"Input: {_flat(given)}"] if given else [])
    return "\n".join([instruction, *body, *lines, "Output:"])


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_flat(each)}" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return " ".join(_flat(each) for each in value)
    return " ".join(plain_text(str(value)).split())


def _options(value: object, place: str) -> list[str]:
    """Return the texts of options, which are a list or a list written as text."""
    found = _value(value or [])
    if not isinstance(found, list):
        raise UserError(f"{place}: field 'options' is {shown(value)}: make it a list of texts")
    return [_without_letter(plain_text(str(each))) for each in found]


def _without_letter(option: str) -> str:
    lettered = _LETTERED.fullmatch(option.strip())
    return lettered[2] if lettered else option.strip()


def _value(text: object) -> object:
    """Return the object or list that a text writes in JSON or as Python does; any other text as it is."""
    if not isinstance(text, str) or text.strip()[:1] not in ("{", "["):
        return text
    for read_text in (json.loads, ast.literal_eval):
        try:
            return read_text(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text
