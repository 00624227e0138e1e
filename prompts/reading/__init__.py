"""Readers of a question's parts: pure functions that return nothing where the question lacks the part."""

from prompts.reading.lists import ListedItem, NumberedList, read_numbered_list
from prompts.reading.question import Question
from prompts.reading.review import asks_to_extract, read_aspect, read_review
from prompts.reading.session import read_actions, read_category, read_product
from prompts.reading.source import read_entity_type, read_last_text, read_lone_line, read_query, read_source_text

__all__ = [
    "ListedItem",
    "NumberedList",
    "Question",
    "asks_to_extract",
    "read_actions",
    "read_aspect",
    "read_category",
    "read_entity_type",
    "read_last_text",
    "read_lone_line",
    "read_numbered_list",
    "read_product",
    "read_query",
    "read_review",
    "read_source_text",
]
