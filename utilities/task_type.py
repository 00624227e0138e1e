"""The five task types of ShopBench."""

from enum import StrEnum


class TaskType(StrEnum):
    """A task type, by the name that the evaluator gives it."""

    MULTIPLE_CHOICE = "multiple-choice"
    RETRIEVAL = "retrieval"
    RANKING = "ranking"
    NAMED_ENTITY_RECOGNITION = "named_entity_recognition"
    GENERATION = "generation"
