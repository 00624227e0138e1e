"""Products and queries of evaluation files stay out of a catalogue."""

import random
import time
from pathlib import Path

import pytest

from retrieval.products.__main__ import main
from retrieval.products.catalogue import NEAREST, Catalog, shared
from retrieval.products.exclusion import Guard
from retrieval.products.near_queries import NearQueries
from tests.retrieval.products.product_samples import opened, request, sample, titles, write_lines
from utilities.errors import UserError
from utilities.wheels import sha256

LONG = "Wasserli Expanding Garden Hose with Brass Fittings and Ten Function Spray Nozzle"
RANKING = {
    "input_field": (
        "Rank the products by relevance with the query 'cordless drill set'.\nProduct List:\n"
        f"1. Corded Drill, 500 W\n2. {LONG}\n3. Camera\n"
        "Answer with a permutation of 1 to 3.\nOutput: "
    ),
    "output_field": [1, 0.1, 0],
    "task_name": "ranking",
    "task_type": "ranking",
    "metric": "ndcg",
}
GENERATION = {
    "input_field": "Translate the title into German.\nTitle: Protein bars 12 x 57 g with nuts\nOutput: ",
    "output_field": "Eiweißriegel 12 x 57 g mit Nüssen",
    "task_name": "translation",
    "task_type": "generation",
    "metric": "bleu",
}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "evaluation.jsonl", [RANKING, GENERATION])


@pytest.mark.parametrize(
    ("title", "stays"),
    [
        ("corded drills 500 W", False),
        ("Protein bars 12 x 57 g", False),
        ("Protein bars 6 x 57 g", True),
        ("Camera", False),
        ("Nozzle", True),
        ("Garden Hose", True),
        ("Brass Garden Hose", True),
        ("Garden Hose with Brass", False),
        (LONG, False),
        (f"NEW! {LONG} (pack of 2)", False),
        ("Acme Expanding Garden Hose with Brass Fittings and Ten Sprayers", False),
        ("Acme Garden Hose with Brass Fittings and Ten Sprayers", True),
        ("Eiweißriegel 12 x 57 g", False),
        ("Something else altogether", True),
        ("Wasserli Expanding Garden-Hose, with Brass Fittings", False),
        ("Garden/Hose &amp; with Br\u00e0ss", False),
        ("Eiweissriegel 12 x 57 g", True),
        ("Corded Drill, 500 W with case and 30 bits", False),
        ("corded drill 500 Watt, with case", False),
        ("New Corded Drill, 500 W with case", True),
    ],
)
def test_a_title_stays_out_if_it_or_eight_words_of_it_stand_in_a_question(
    questions: Path, title: str, stays: bool
) -> None:
    guard = Guard.read([questions], "plural")
    assert guard.titles(["first", title, "last"]) == [None, None if stays else 0, None]


@pytest.mark.parametrize(
    ("query", "stays"),
    [("Set cordless DRILLS", False), ("camera", False), ("cordless drill", False), ("drill", True), ("", True)],
)
def test_a_query_stays_out_if_a_search_for_a_question_would_find_it(questions: Path, query: str, stays: bool) -> None:
    assert Guard.read([questions], "plural").query(query) == (None if stays else 0)


def test_what_two_files_hold_counts_for_the_first(tmp_path: Path, questions: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [GENERATION])
    guard = Guard.read([other, questions], "plural")
    held = guard.titles(["Protein bars 12 x 57 g", "Corded Drill, 500 W", "else"])
    assert held == [0, 1, None]


def test_the_catalogue_lacks_what_the_questions_hold_and_says_so(tmp_path: Path, questions: Path) -> None:
    plain = opened(sample(tmp_path))
    assert titles(plain, "camera")
    guarded = opened(sample(tmp_path, exclude=(questions,), force=True))
    assert titles(plain, "corded drill")[0] == "Corded Drill, 500 W"
    assert titles(guarded, "corded drill") == ["Cordless Drill 18 V with two batteries"]
    assert titles(guarded, "camera") == ["Camera XT-30 black"]
    assert guarded.related("cordless drill set", 5).source == "products"
    assert guarded.related("hose for gardens", 5).source == "same query"
    (excluded,) = guarded.manifest.excluded
    assert (excluded.file, excluded.products, excluded.queries) == ("evaluation.jsonl", 2, 1)
    assert guarded.manifest.leaves_out(sha256(questions))
    assert not plain.manifest.leaves_out(sha256(questions))
    assert not guarded.manifest.leaves_out("0" * 64)


def test_judged_titles_of_the_questions_stay_out_too(tmp_path: Path, questions: Path) -> None:
    judged = [{"query": "diy", "title": "Corded Drill 500 W"}, {"query": "diy", "title": "Wall Plugs"}]
    wanted = request(
        tmp_path / "c",
        [write_lines(tmp_path / "p.jsonl", [{"title": "thing"}])],
        [write_lines(tmp_path / "j.jsonl", judged)],
        exclude=(questions,),
    )
    assert opened(wanted).related("diy", 5).titles == ("Wall Plugs",)


def test_info_says_which_of_the_two_it_is(tmp_path: Path, questions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(sample(tmp_path).sources[0])
    folder = str(tmp_path / "c")
    assert main(["build", "--output", folder, source]) == 0
    assert main(["info", folder]) == 0
    assert (
        capsys.readouterr().out.count("scores on questions made from the same data may contain their own answers") == 2
    )
    assert main(["build", "--output", folder, source, "--force", "--exclude", str(questions)]) == 0
    assert main(["info", folder]) == 0
    said = "rows of these evaluation files were left out: evaluation.jsonl (2 products, 0 queries; sha256"
    assert capsys.readouterr().out.count(said) == 2


def test_a_file_that_holds_no_questions_is_refused_before_anything_is_lost(tmp_path: Path) -> None:
    wanted = sample(tmp_path)
    opened(wanted)
    products = wanted.sources[0]
    with pytest.raises(UserError, match=r"products\.jsonl, line 1: field 'task_type' is missing"):
        opened(sample(tmp_path, exclude=(products,), force=True))
    assert titles(Catalog.open(wanted.output), "camera")


def test_many_titles_are_compared_in_seconds(questions: Path) -> None:
    guard = Guard.read([questions], "plural")
    batch = [" ".join(f"word{number + offset}" for offset in range(15)) for number in range(1000)]
    start = time.perf_counter()
    for _ in range(10):
        assert guard.titles(batch) == [None] * 1000
    assert time.perf_counter() - start < 3


def guard_of(tmp_path: Path, *items: str, query: str = "cordless drill set") -> Guard:
    listed = "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
    text = (
        f"Rank the products by relevance with the query '{query}'.\nProduct List:\n{listed}\n"
        f"Answer with a permutation of 1 to {len(items)}.\nOutput: "
    )
    question = {**RANKING, "input_field": text, "output_field": [1] * len(items)}
    return Guard.read([write_lines(tmp_path / "asked.jsonl", [question])], "plural")


@pytest.mark.parametrize(
    ("item", "title"),
    [
        ("Garden-Hose 25 ft", "garden hose 25 ft"),
        ("Garden hose/reel set", "Garden Hose-Reel-Set"),
        ("Nut &amp; Bolt&#39;s box", "Nut & Bolt's Box"),
        ("Caf\u00e9 cr\u00e8me cups", "Cafe Creme Cups"),
        ("Cafe creme cups", "Cafe\u0301 cr\u00e8me cups"),
        ("Tubing 1\u00bd in. wide", "tubing 1 1/2 inch wide"),
        ("Long steel ruler", "Long steel ruler with cork back"),
        ("Long steel ruler with co\u2026", "Long steel ruler with cork back"),
        ("Long steel ruler with co...", "Long steel ruler with cork back"),
    ],
)
def test_another_spelling_or_a_cut_title_stays_out(tmp_path: Path, item: str, title: str) -> None:
    guard = guard_of(tmp_path, item, "Something else here")
    assert guard.titles([title, "Another thing altogether"]) == [0, None]


def test_what_only_looks_alike_stays(tmp_path: Path) -> None:
    guard = guard_of(tmp_path, "\u30ac\u30e9\u30b9", "Steel ruler", "Long oak desk")
    assert guard.titles(["\u30ab\u30e9\u30b9", "Steel ruler with cork", "Oak desk with drawers"]) == [None] * 3
    assert guard.titles(["\u30ac\u30e9\u30b9"]) == [0]


@pytest.mark.parametrize(
    ("query", "stays"),
    [
        ("cordless drills", False),
        ("cordless drill set big", False),
        ("cordless-drill set", False),
        ("cordless drill bits box", True),
        ("camera", True),
    ],
)
def test_a_query_stays_out_if_it_is_near_a_question_s(tmp_path: Path, query: str, stays: bool) -> None:
    assert guard_of(tmp_path, "Rake", "Spade").query(query) == (None if stays else 0)


def test_no_query_of_a_guarded_catalogue_is_served_for_a_question(tmp_path: Path) -> None:
    known = ["cordless drill", "drill set cordless 18v", "cordless drill-set", "drill bits", "garden hose"]
    judged = write_lines(tmp_path / "j.jsonl", [{"query": query, "title": f"thing {query}"} for query in known])
    source = write_lines(tmp_path / "p.jsonl", [{"title": "thing"}])
    evaluation = guard_of(tmp_path, "Rake", "Spade").evaluations[0]
    plain = opened(request(tmp_path / "plain", [source], [judged]))
    guarded = opened(request(tmp_path / "guarded", [source], [judged], exclude=(tmp_path / evaluation.file,)))
    assert plain.related("cordless drill set", 5).source == "nearest query"
    assert guarded.related("cordless drill set", 5).source == "none"
    assert guarded.related("bits drill", 5).source == "same query"


def test_the_near_queries_found_by_words_are_those_of_a_full_comparison() -> None:
    chance = random.Random(3)
    vocabulary = [f"w{number}" for number in range(12)]
    made = [frozenset(chance.choices(vocabulary, k=chance.randint(1, 6))) for _ in range(600)]
    few, many = NearQueries(made[:20]), made[20:]
    expected = [any(shared(query, each) >= NEAREST for each in made[:20]) for query in many]
    assert [few.near(query) for query in many] == expected
    assert 50 < sum(expected) < 550
    assert not few.near(frozenset())
