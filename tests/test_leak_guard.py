"""Products and queries of evaluation files stay out of a catalogue."""

import time
from pathlib import Path

import pytest

from tests.catalog_samples import opened, request, sample, titles, write_lines
from utilities.catalog.__main__ import main
from utilities.catalog.exclusion import Guard
from utilities.catalog.index import Catalog
from utilities.errors import UserError
from utilities.pypi_wheel import sha256
from utilities.tokens import words

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
    ],
)
def test_a_title_stays_out_if_it_or_eight_words_of_it_stand_in_a_question(
    questions: Path, title: str, stays: bool
) -> None:
    guard = Guard.read([questions], "plural")
    assert guard.titles([words("first"), words(title), words("last")]) == [None, None if stays else 0, None]


@pytest.mark.parametrize(
    ("query", "stays"),
    [("Set cordless DRILLS", False), ("camera", False), ("cordless drill", True), ("drill", True), ("", True)],
)
def test_a_query_stays_out_if_a_question_has_the_same_words(questions: Path, query: str, stays: bool) -> None:
    assert Guard.read([questions], "plural").query(query) == (None if stays else 0)


def test_what_two_files_hold_counts_for_the_first(tmp_path: Path, questions: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [GENERATION])
    guard = Guard.read([other, questions], "plural")
    held = guard.titles([words("Protein bars 12 x 57 g"), words("Corded Drill, 500 W"), words("else")])
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
    batch = [[f"word{number + offset}" for offset in range(15)] for number in range(1000)]
    start = time.perf_counter()
    for _ in range(10):
        assert guard.titles(batch) == [None] * 1000
    assert time.perf_counter() - start < 3
