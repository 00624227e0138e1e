"""Products and queries of evaluation files stay out of a catalogue."""

import random
import time
from pathlib import Path

import pytest

from retrieval.products.__main__ import main
from retrieval.products.catalogue import NEAREST, Catalog, shared
from retrieval.products.exclusion_list import QuestionParts
from retrieval.products.leak_guard import Guard, NearQueries
from retrieval.products.manifest import Excluded
from tests.retrieval.products.product_samples import (
    LONG_TITLE,
    RANKING_PARTS,
    SHA256,
    SPELLINGS,
    TRANSLATION_PARTS,
    exclusions,
    opened,
    ranking_parts,
    request,
    sample,
    titles,
    write_exclusions,
    write_lines,
)
from utilities.errors import UserError


@pytest.fixture
def guard() -> Guard:
    return Guard([exclusions(RANKING_PARTS, TRANSLATION_PARTS)], "plural")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return write_exclusions(tmp_path / "exclusions.jsonl", exclusions(RANKING_PARTS, TRANSLATION_PARTS))


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
        (LONG_TITLE, False),
        (f"NEW! {LONG_TITLE} (pack of 2)", False),
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
    guard: Guard, title: str, stays: bool
) -> None:
    assert guard.title(title) is (None if stays else guard.evaluations[0])


@pytest.mark.parametrize(
    ("query", "stays"),
    [("Set cordless DRILLS", False), ("camera", False), ("cordless drill", False), ("drill", True), ("", True)],
)
def test_a_query_stays_out_if_a_search_for_a_question_would_find_it(guard: Guard, query: str, stays: bool) -> None:
    assert guard.query(query) is (None if stays else guard.evaluations[0])


def test_what_two_files_hold_counts_for_the_first() -> None:
    guard = Guard([exclusions(TRANSLATION_PARTS), exclusions(RANKING_PARTS, TRANSLATION_PARTS)], "plural")
    held = [guard.title(title) for title in ("Protein bars 12 x 57 g", "Corded Drill, 500 W", "else")]
    assert held == [*guard.evaluations, None]


def test_the_catalogue_lacks_what_the_questions_hold_and_says_so(tmp_path: Path, listed: Path) -> None:
    plain = opened(sample(tmp_path))
    assert titles(plain, "camera")
    guarded = opened(sample(tmp_path, exclude=(listed,), force=True))
    assert titles(plain, "corded drill")[0] == "Corded Drill, 500 W"
    assert titles(guarded, "corded drill") == ["Cordless Drill 18 V with two batteries"]
    assert titles(guarded, "camera") == ["Camera XT-30 black"]
    assert guarded.related("cordless drill set", 5).source == "products"
    assert guarded.related("hose for gardens", 5).source == "same query"
    (excluded,) = guarded.manifest.excluded
    assert excluded == Excluded("evaluation.jsonl", SHA256, products=2, queries=1)
    assert plain.manifest.excluded == ()


def test_each_evaluation_file_of_all_lists_is_recorded(tmp_path: Path, listed: Path) -> None:
    both = exclusions(ranking_parts("rake", ["Rake"]), file="a"), exclusions(RANKING_PARTS, file="b")
    other = write_exclusions(tmp_path / "other.jsonl", *both)
    found = opened(sample(tmp_path, exclude=(listed, other))).manifest.excluded
    assert [(each.file, each.products, each.queries) for each in found] == [
        ("evaluation.jsonl", 2, 1),
        ("a", 0, 0),
        ("b", 0, 0),
    ]


def test_judged_titles_of_the_questions_stay_out_too(tmp_path: Path, listed: Path) -> None:
    judged = [{"query": "diy", "title": "Corded Drill 500 W"}, {"query": "diy", "title": "Wall Plugs"}]
    wanted = request(
        tmp_path / "c",
        [write_lines(tmp_path / "p.jsonl", [{"title": "thing"}])],
        [write_lines(tmp_path / "j.jsonl", judged)],
        exclude=(listed,),
    )
    assert opened(wanted).related("diy", 5).titles == ("Wall Plugs",)


def test_info_says_which_of_the_two_it_is(tmp_path: Path, listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(sample(tmp_path).sources[0])
    folder = str(tmp_path / "c")
    assert main(["build", "--output", folder, source]) == 0
    assert main(["info", folder]) == 0
    assert (
        capsys.readouterr().out.count("scores on questions made from the same data may contain their own answers") == 2
    )
    assert main(["build", "--output", folder, source, "--force", "--exclude", str(listed)]) == 0
    assert main(["info", folder]) == 0
    said = "rows of these evaluation files were left out: evaluation.jsonl (2 products, 0 queries; sha256"
    assert capsys.readouterr().out.count(said) == 2


def test_a_list_that_cannot_be_read_is_refused_before_anything_is_lost(tmp_path: Path) -> None:
    wanted = sample(tmp_path)
    opened(wanted)
    with pytest.raises(UserError, match=r"products\.jsonl, line 1: the first line must name an evaluation file"):
        opened(sample(tmp_path, exclude=wanted.sources, force=True))
    assert titles(Catalog.open(wanted.output), "camera")


def test_many_titles_are_compared_in_seconds(guard: Guard) -> None:
    batch = [" ".join(f"word{number + offset}" for offset in range(15)) for number in range(1000)]
    start = time.process_time()
    for _ in range(10):
        assert not any(map(guard.title, batch))
    assert time.process_time() - start < 3


def guard_of(*items: str) -> Guard:
    return Guard([exclusions(ranking_parts("cordless drill set", items))], "plural")


@pytest.mark.parametrize(("item", "title"), SPELLINGS)
def test_another_spelling_or_a_cut_title_stays_out(item: str, title: str) -> None:
    guard = guard_of(item, "Something else here")
    assert guard.title(title) is guard.evaluations[0]
    assert guard.title("Another thing altogether") is None


@pytest.mark.parametrize("title", ["\u30ab\u30e9\u30b9", "Steel ruler with cork", "Oak desk with drawers"])
def test_what_only_looks_alike_stays(title: str) -> None:
    guard = guard_of("\u30ac\u30e9\u30b9", "Steel ruler", "Long oak desk")
    assert guard.title(title) is None
    assert guard.title("\u30ac\u30e9\u30b9")


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
def test_a_query_stays_out_if_it_is_near_a_question_s(query: str, stays: bool) -> None:
    guard = guard_of("Rake", "Spade")
    assert guard.query(query) is (None if stays else guard.evaluations[0])


@pytest.mark.parametrize(
    ("asked", "query"), [("garden-hose reel-set", "garden hose reel"), ("drill-set bits", "drill-set box")]
)
def test_a_query_stays_out_if_it_is_near_by_strict_words_or_by_those_of_a_search(asked: str, query: str) -> None:
    guard = Guard([exclusions(ranking_parts(asked, ["Rake", "Spade"]))], "plural")
    assert guard.query(query)


def test_a_list_item_counts_like_a_text_of_its_question() -> None:
    guard = Guard([exclusions(QuestionParts(("Which one?",), ("Long oak desk with drawers",), ()))], "plural")
    assert guard.title("oak desk with drawers")


def test_no_query_of_a_guarded_catalogue_is_served_for_a_question(tmp_path: Path) -> None:
    known = ["cordless drill", "drill set cordless 18v", "cordless drill-set", "drill bits", "garden hose"]
    judged = write_lines(tmp_path / "j.jsonl", [{"query": query, "title": f"thing {query}"} for query in known])
    source = write_lines(tmp_path / "p.jsonl", [{"title": "thing"}])
    parts = ranking_parts("cordless drill set", ["Rake", "Spade"])
    listed = write_exclusions(tmp_path / "exclusions.jsonl", exclusions(parts))
    plain = opened(request(tmp_path / "plain", [source], [judged]))
    guarded = opened(request(tmp_path / "guarded", [source], [judged], exclude=(listed,)))
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
