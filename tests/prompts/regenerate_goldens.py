"""Write tests/prompts/goldens anew: what every variant makes of a few of the project's own questions.

    python -m tests.prompts.regenerate_goldens

Read the difference before committing it: it is what the model will be shown.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from prompts import generation, multiple_choice, named_entity_recognition, ranking, retrieval
from prompts.prompt import Prompt
from prompts.reading import Question
from prompts.settings import PromptSettings
from utilities.errors import exit_code
from utilities.files import ROOT, write_text
from utilities.task_type import TaskType

FOLDER = Path(__file__).parent / "goldens"
DEVELOPMENT_FILE = ROOT / "data" / "development.json"
MODULES: Mapping[TaskType, ModuleType] = {
    TaskType.MULTIPLE_CHOICE: multiple_choice,
    TaskType.RETRIEVAL: retrieval,
    TaskType.RANKING: ranking,
    TaskType.GENERATION: generation,
    TaskType.NAMED_ENTITY_RECOGNITION: named_entity_recognition,
}
FROM_DEVELOPMENT: Mapping[TaskType, tuple[str, ...]] = {
    TaskType.MULTIPLE_CHOICE: ("query_relation", "review_rating", "title_attribute"),
    TaskType.RETRIEVAL: ("review_aspects", "next_query", "also_bought"),
    TaskType.RANKING: ("product_ranking",),
    TaskType.GENERATION: ("category_description", "review_keyphrase", "title_translation", "product_question"),
    TaskType.NAMED_ENTITY_RECOGNITION: ("query_entities",),
}
OWN: Mapping[TaskType, tuple[str, ...]] = {
    TaskType.MULTIPLE_CHOICE: (
        'What is the relation of "tent" to "tent pegs"?\n1) complement\n2) irrelevant\n3) substitute\n4) narrowing',
        "Is a kettle a kitchen appliance?",
    ),
    TaskType.RETRIEVAL: ("Which three products keep tea warm?",),
    TaskType.RANKING: (
        "検索クエリ: ステンレス 水筒\n関連性の高い順に並べてください。\n"
        "1. 木製まな板\n2. ステンレスボトル 水筒 500ml\n3. 水筒カバー\n"
        "4. ガラスコップ\n5. プラスチック水筒\n番号をカンマ区切りで出力:",
        "Rank these products.",
    ),
    TaskType.GENERATION: ("Write a social media post about the 'Norvane Travel Pillow'.",),
    TaskType.NAMED_ENTITY_RECOGNITION: (
        "Extract the phrase that is a color from the query 'dark blue rain jacket men'.\nOutput:",
        "Which entity is meant?",
    ),
}


def goldens() -> dict[str, str]:
    """Return file name -> content, a file for each variant of each task type."""
    development = _first_questions()
    return {
        f"{task_type.name.lower()}.{variant}.txt": "\n".join(_sections(task_type, variant, development)) + "\n"
        for task_type, module in MODULES.items()
        for variant in module.VARIANTS
    }


def _first_questions() -> dict[str, str]:
    first: dict[str, str] = {}
    for line in DEVELOPMENT_FILE.read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        first.setdefault(question["task_name"], question["input_field"])
    return first


def _sections(task_type: TaskType, variant: str, development: Mapping[str, str]) -> Iterator[str]:
    settings = replace(PromptSettings(), **{task_type.name.lower(): variant})  # type: ignore[arg-type]
    named = {name: development[name] for name in FROM_DEVELOPMENT[task_type]}
    named |= {f"own question {number}": question for number, question in enumerate(OWN[task_type], start=1)}
    for name, question in named.items():
        yield f"######## {name}\n{shown(MODULES[task_type].build(Question(question), settings))}"


def shown(prompt: Prompt) -> str:
    """Return every field of a prompt as text, scores with four digits, so that no rounding of a sum can change it."""
    return "\n".join(f"## {field.name}\n{_value(getattr(prompt, field.name))}" for field in fields(prompt))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: " + ", ".join(f"{number:.4f}" for number in value[name]) for name in sorted(value))
    return value if isinstance(value, str) else repr(value)


def main() -> int:
    """Write the files that there should be and delete the others."""
    wanted = goldens()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        write_text(FOLDER / name, content)
    print(f"{len(wanted)} files in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
