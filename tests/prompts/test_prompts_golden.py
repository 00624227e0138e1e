import pytest

from tests.prompts.regenerate_goldens import FOLDER, goldens

REMEDY = "if the change is meant: python -m tests.prompts.regenerate_goldens, then read the difference"


@pytest.fixture(scope="module")
def wanted() -> dict[str, str]:
    return goldens()


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_a_prompt_is_word_for_word_what_was_read_and_approved(name: str, wanted: dict[str, str]) -> None:
    assert wanted.get(name) == (FOLDER / name).read_text(encoding="utf-8"), REMEDY


def test_every_variant_has_its_golden_file_and_there_is_no_other(wanted: dict[str, str]) -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(wanted), REMEDY
