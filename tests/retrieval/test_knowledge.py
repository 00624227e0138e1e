from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.engines.interface import Answer
from models.engines.scripted import ScriptedEngine
from models.scheduling.clock import Clock
from models.settings import Settings
from models.shopbench_model import ShopBenchModel
from prompts import ranking, retrieval
from prompts.external_information import external_blocks, token_estimate
from prompts.reading import Question
from prompts.settings import PromptSettings
from retrieval.embeddings import PACKAGED
from retrieval.knowledge import QUESTION_ALONE, FittedSum, Knowledge, Vectors
from retrieval.lexical import relevance
from retrieval.settings import KnowledgeSettings
from retrieval.sources import load_vectors, open_knowledge
from utilities.errors import UserError

ITEMS = ("Copper teapot", "Steel water bottle", "Garden hose")
LISTED = "\n".join(f"{number}. {item}" for number, item in enumerate(ITEMS, start=1))
QUESTION = f"Rank the products by their relevance to the query.\nQuery: kettle\nProducts:\n{LISTED}\nAnswer:"


def knowledge(**similarities: object) -> Knowledge:
    return Knowledge(similarities, FittedSum({}))  # type: ignore[arg-type]


def first_wins(_query: str, candidates: Sequence[str]) -> tuple[float, ...]:
    return tuple(float(-index) for index in range(len(candidates)))


def fails(_query: str, _candidates: Sequence[str]) -> tuple[float, ...]:
    raise RuntimeError("no")


def test_each_source_scores_every_candidate() -> None:
    evidence = knowledge(lexical=relevance, vectors=first_wins).evidence("garden hose", ITEMS)
    assert evidence["vectors"] == (0.0, -1.0, -2.0)
    assert evidence["lexical"][2] > evidence["lexical"][0] == evidence["lexical"][1] == 0.0


def test_a_source_that_tells_no_candidates_apart_is_left_out() -> None:
    assert knowledge(lexical=relevance).evidence("zzz", ITEMS) == {}


@pytest.mark.parametrize(
    "broken",
    [fails, lambda *_: (1.0,), lambda *_: (float("nan"), 0.0, 1.0), lambda *_: None, lambda *_: ("a", "b", "c")],
)
def test_a_source_that_fails_is_left_out_and_counted(broken: object) -> None:
    known = knowledge(lexical=first_wins, vectors=broken)
    assert set(known.evidence("kettle", ITEMS)) == {"lexical"}
    assert known.events == {"no evidence by vectors": 1}


def test_related_products_are_a_source_of_their_own() -> None:
    evidence = QUESTION_ALONE.evidence("kettle", ITEMS, related=["Copper teapot with lid"])
    assert set(evidence) == {"related"}
    assert evidence["related"][0] > evidence["related"][1] == evidence["related"][2]


def test_a_catalogue_that_fails_shows_nothing_and_is_counted() -> None:
    def products(_query: str) -> list[str]:
        raise OSError("gone")

    known = Knowledge({"lexical": relevance}, FittedSum({}), products)
    prompt = ranking.build(Question(QUESTION), PromptSettings(), known)
    assert prompt.user == QUESTION
    assert known.events == {"no related products": 1}


def test_related_products_stand_before_the_best_candidates() -> None:
    known = Knowledge({"lexical": first_wins}, FittedSum({}), lambda query: (f"{query} of iron", "Whistling kettle"))
    user = ranking.build(Question(QUESTION), PromptSettings(external_information=2), known).user
    after = user.partition("[External information]\n")[2].splitlines()
    assert "kettle" in after[0]
    assert after[1:3] == ["kettle of iron", "Whistling kettle"]
    assert after[4:6] == ["Copper teapot", "Steel water bottle"]
    assert user.endswith("Answer:")


def test_the_fallback_is_the_order_of_all_evidence() -> None:
    known = knowledge(vectors=lambda _query, _texts: (0.1, 0.9, 0.5))
    assert ranking.build(Question(QUESTION), PromptSettings(), known).fallback == "2, 3, 1"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (f"Review: The spout drips and the lid is loose.\nWhich aspects does it cover?\n{LISTED}\nOutput:", "aspects"),
        (f"A customer bought the product 'Tea tin'. Which would they also buy?\n{LISTED}\nOutput:", "also_bought"),
        (
            f"A customer wants to write a positive review on the lid aspect. Choose three snippets.\n{LISTED}\nOutput:",
            "snippets",
        ),
        (
            "A customer's session: \n1) query: 'tea'\n2) click: 'Tea tin'\nWhat is the next query?\n"
            f"Candidate queries:\n{LISTED}\nOutput:",
            "next_query",
        ),
    ],
)
def test_the_kind_of_a_retrieval_question_is_told_from_what_it_is_about(question: str, kind: str) -> None:
    assert retrieval.build(Question(question), PromptSettings()).kind == kind


@given(st.lists(st.text(max_size=300), max_size=8), st.lists(st.text(max_size=300), max_size=8), st.integers(0, 300))
def test_external_information_keeps_to_its_tokens(related: list[str], best: list[str], tokens: int) -> None:
    block = external_blocks("kettle", related, best, tokens)
    assert not block or sum(token_estimate(line) for line in block.split("\n")) <= tokens


@given(st.text(max_size=200))
def test_a_title_takes_one_line_and_so_cannot_pass_for_an_instruction(title: str) -> None:
    block = external_blocks("kettle", [], [title], 1000)
    assert len(block.splitlines()) <= 3
    assert block.count("\n") <= 2


def test_without_room_candidates_come_first_and_none_is_cut() -> None:
    whole = external_blocks("kettle", ["Related thing"], ["First best", "Second best"], 1000)
    assert "Related thing" in whole
    tight = external_blocks("kettle", ["Related thing"], ["First best", "Second best"], token_estimate(whole) - 14)
    assert "Related thing" not in tight
    assert "First best" in tight


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[len(text), text.count("a")] for text in texts], dtype=np.float32)


def test_similarity_is_the_cosine_and_an_empty_text_has_none() -> None:
    """(3, 1) and (2, 2): 8 / sqrt(10 * 8)."""
    assert Vectors(encode).similarity("abc", ["aa", ""]) == pytest.approx((8 / 80**0.5, 0.0))
    assert Vectors(encode).similarity("abc", []) == ()


@pytest.mark.slow
def test_the_packaged_vectors_know_a_kettle_from_a_hose() -> None:
    teapot, bottle, hose = load_vectors(PACKAGED).similarity("kettle", ITEMS)
    assert teapot > bottle > hose


def test_a_folder_without_vectors_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"knowledge\.vectors") as raised:
        open_knowledge(KnowledgeSettings(similarity="vectors", vectors=str(tmp_path)), {"model": "any"})
    assert str(tmp_path) in str(raised.value)


def test_a_missing_catalogue_is_counted_and_the_package_answers_without_it(tmp_path: Path) -> None:
    settings = Settings(knowledge=KnowledgeSettings(similarity="lexical", catalog=str(tmp_path / "nowhere")))
    model = ShopBenchModel(settings, ScriptedEngine(lambda _: Answer("3, 2, 1", (-3.0, -2.0, -1.0))))
    assert model.batch_predict({"prompt": [QUESTION]}, False) == ["3, 2, 1"]
    assert model.events == {"catalogue refused": 1}
    assert model.describe()["catalogue"] is None


@pytest.mark.slow
def test_evidence_that_takes_too_long_is_cut_for_the_later_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ShopBenchModel(Settings(), ScriptedEngine())
    monkeypatch.setattr(Clock, "since", lambda *_: 1e6)
    assert len(model.batch_predict({"prompt": [QUESTION, QUESTION]}, False)) == 2
    assert model.events["questions whose evidence was cut for time"] == 2
