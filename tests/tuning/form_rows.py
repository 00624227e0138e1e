"""A row of each kind of answer space, and its training form."""

from evaluation.questions import QuestionRow
from prompts.settings import PromptSettings
from tuning.training_form import TrainingForm, training_form
from utilities.task_type import TaskType

OPTIONS = "Which category fits a desk lamp?\n0. Lighting\n1. Shoes\n2. Garden tools\nAnswer:"
RANKING = (
    "You are given a search query and a list of products. Rank them from most to least relevant to the query. "
    "Only output numbers.\nQuery: red mug\nProduct List:\n1. Blue plate\n2. Red mug of stone\n3. Mug rack\nOutput:"
)
ENTITY = (
    "Please extract phrases from the query that correspond to the entity type 'product type'.\n"
    "Query: blue kids bike helmet\nOutput:"
)


def question(text: str, truth: object, task_type: TaskType, metric: str) -> QuestionRow:
    return QuestionRow(text, truth, "task", task_type, metric, task_type is TaskType.MULTIPLE_CHOICE, "track")


CHOICE = question(OPTIONS, 2, TaskType.MULTIPLE_CHOICE, "accuracy")
RANKED = question(RANKING, [0.0, 1.0, 0.1], TaskType.RANKING, "ndcg")
NAMED = question(ENTITY, ["bike helmet"], TaskType.NAMED_ENTITY_RECOGNITION, "micro f1")
WRITTEN = question("Explain the product type teapot.\nOutput:", "A pot.", TaskType.GENERATION, "sent-transformer")
ALL = (CHOICE, RANKED, NAMED, WRITTEN)


def form(row: QuestionRow) -> TrainingForm:
    found = training_form(row, PromptSettings())
    assert isinstance(found, TrainingForm), found
    return found
