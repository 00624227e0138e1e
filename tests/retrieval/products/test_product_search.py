"""A finished catalogue finds products by BM25, and the products related to a query."""

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tantivy import Index

from retrieval.lexical import words
from retrieval.products import search_engine as engine
from retrieval.products.__main__ import main
from retrieval.products.catalogue import Catalog, Related
from retrieval.products.search_engine import SearchError, search_errors
from tests.retrieval.products.product_samples import opened, request, sample, titles, write_lines
from utilities.errors import exit_code


def test_the_title_with_the_most_words_of_a_query_comes_first(catalog: Catalog) -> None:
    hits = catalog.products("cordless drills", 10)
    assert [hit.title for hit in hits] == ["Cordless Drill 18 V with two batteries", "Corded Drill, 500 W"]
    assert hits[0].score > hits[1].score > 0


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("電子レンジ", "電子レンジ ホワイト 700 W"),
        ("12x57g", "Protein bars 12 x 57 g"),
        ("57 grams", "Protein bars 12 x 57 g"),
        ("xt30", None),
        ("xt 30", "Camera XT-30 black"),
        ("XT-30", "Camera XT-30 black"),
        ("JARDÍN", "Manguera de jardín 10 m"),
    ],
)
def test_japanese_quantities_and_model_numbers_are_found(catalog: Catalog, query: str, title: str | None) -> None:
    assert titles(catalog, query, 1) == ([title] if title else [])


def test_fewer_products_come_where_fewer_are_asked_for_or_fit(catalog: Catalog) -> None:
    assert len(catalog.products("drill", 1)) == 1
    assert len(catalog.products("drill", 10**12)) == 2
    assert catalog.products("drill", 0) == catalog.products("drill", -1) == []


def bm25(query: Sequence[str], documents: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
    """Return scores by the formula of Robertson and Zaragoza (2009), with the idf that is never negative."""
    k1, b = 1.2, 0.75
    lengths = np.array([len(document) for document in documents])
    counts = [Counter(document) for document in documents]
    scores = np.zeros(len(documents))
    for word in query:
        frequencies = np.array([count[word] for count in counts])
        holding = int((frequencies > 0).sum())
        idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        scores += idf * frequencies * (1 + k1) / (frequencies + k1 * (1 - b + b * lengths / lengths.mean()))
    return scores


def test_scores_are_those_of_an_independent_bm25(tmp_path: Path) -> None:
    # The engine keeps a length in one byte: exact up to 40 words, coarser above, so titles here have fewer.
    chance = random.Random(7)
    vocabulary = [f"{letter}word{number}" for letter in "abcdef" for number in range(20)]
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    made = {" ".join(chance.choices(vocabulary, weights, k=chance.randint(1, 38))) for _ in range(400)}
    listed = sorted(made)
    catalog = opened(request(tmp_path / "c", [write_lines(tmp_path / "p.jsonl", [{"title": each} for each in listed])]))
    documents = [words(title) for title in listed]
    for _ in range(200):
        query = " ".join(chance.choices(vocabulary, k=chance.randint(1, 5)))
        expected = bm25(list(dict.fromkeys(words(query))), documents)
        found = {hit.title: hit.score for hit in catalog.products(query, 1000)}
        assert len(found) == int((expected > 0).sum())
        assert [found.get(title, 0.0) for title in listed] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_word_given_twice_counts_once(catalog: Catalog) -> None:
    assert catalog.products("drill drill cordless", 5) == catalog.products("drill cordless", 5)


def test_the_same_query_in_another_order_has_its_judged_products_best_first(catalog: Catalog) -> None:
    judged = ("Cordless Drill 18 V with two batteries", "Corded Drill, 500 W")
    assert catalog.related("Drills set CORDLESS", 10) == Related(judged, "same query")
    assert catalog.related("cordless drill set", 1) == Related(judged[:1], "same query")


def test_a_query_with_one_word_less_of_three_takes_the_nearest_query(catalog: Catalog) -> None:
    found = catalog.related("cordless drill", 10)
    assert found.source == "nearest query"
    assert found.titles == ("Cordless Drill 18 V with two batteries", "Corded Drill, 500 W")


def test_a_query_far_from_every_known_one_takes_the_best_products(catalog: Catalog) -> None:
    assert catalog.related("drill bits", 1).source == "products"
    assert catalog.related("camera", 3) == Related(("Camera XT-30 black",), "products")


def test_a_query_without_a_known_word_has_no_related_products(catalog: Catalog) -> None:
    assert catalog.related("zzz", 3) == catalog.related("", 3) == catalog.related("drill", 0) == Related((), "none")


def test_of_two_near_queries_the_one_with_more_common_words_counts(tmp_path: Path) -> None:
    rows = [
        {"query": "red garden hose reel", "title": "reel"},
        {"query": "garden hose red", "title": "red"},
        {"query": "garden gate", "title": "gate"},
    ]
    wanted = request(
        tmp_path / "c",
        [write_lines(tmp_path / "p.jsonl", [{"title": "thing"}])],
        [write_lines(tmp_path / "j.jsonl", rows)],
    )
    catalog = opened(wanted)
    assert catalog.related("garden hose", 5) == Related(("red",), "nearest query")
    assert catalog.related("garden rake", 5).source == "none"


def test_at_most_ten_titles_of_a_query_are_kept_by_gain_and_order(tmp_path: Path) -> None:
    rows = [{"query": "q", "title": f"t{number}", "gain": 1 if number == 14 else 0.5} for number in range(15)]
    rows += [{"query": "q", "title": "bad", "gain": 0.01}]
    wanted = request(
        tmp_path / "c",
        [write_lines(tmp_path / "p.jsonl", [{"title": "thing"}])],
        [write_lines(tmp_path / "j.jsonl", rows)],
    )
    assert opened(wanted).related("q", 99).titles == ("t14", *(f"t{number}" for number in range(9)))


@given(st.text() | st.text(alphabet="\x00\x07\x1f\ud800\u202e.,-/\"'(*~:+^\\ ", max_size=40))
def test_no_query_raises(catalog: Catalog, query: str) -> None:
    assert catalog.related(query, 3).source in ("same query", "nearest query", "products", "none")
    assert all(hit.score > 0 for hit in catalog.products(query, 3))


@pytest.mark.parametrize(
    "query",
    ["", " \n", "?!...", "\x00", "a" * 100_000, "drill " * 20_000, " ".join(map(str, range(20_000))), "電" * 100_000],
)
def test_neither_does_an_odd_one(catalog: Catalog, query: str) -> None:
    catalog.products(query, 3)
    catalog.related(query, 3)


def panic(*_: object, **__: object) -> NoReturn:
    raise type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})("index out of bounds")


@pytest.mark.parametrize("part", ["boolean_query", "term_query"])
def test_a_panic_of_the_engine_is_an_error_that_can_be_caught(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(engine, "Query", SimpleNamespace(**{"term_query": lambda *_, **__: "", part: panic}))
    with pytest.raises(SearchError, match="index out of bounds"):
        catalog.products("drill", 3)
    if part == "term_query":
        with pytest.raises(SearchError, match="index out of bounds"):
            catalog.related("drill", 3)


@pytest.mark.parametrize("method", ["search", "doc"])
def test_a_panic_while_searching_is_one_sentence_on_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    real = Index.open(str(folder / "products")).searcher()
    fake = SimpleNamespace(**{"search": real.search, "doc": real.doc, "num_docs": real.num_docs, method: panic})
    monkeypatch.setattr(Index, "open", lambda _: SimpleNamespace(config_reader=print, searcher=lambda: fake))
    assert exit_code(lambda: main(["query", str(folder), "drill"])) == 2
    said = capsys.readouterr().err
    assert "cannot be searched (index out of bounds): build it again" in said
    assert said.count("\n") == 1


def test_an_interruption_is_no_error_of_the_engine() -> None:
    with pytest.raises(KeyboardInterrupt), search_errors():
        raise KeyboardInterrupt


def test_searching_leaves_the_folder_as_it_was(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert titles(Catalog.open(folder), "camera") == ["Camera XT-30 black"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_command_line_prints_and_writes_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = sample(tmp_path)
    folder = str(wanted.output)
    sources = [str(path) for path in wanted.sources]
    judgements = [str(path) for path in wanted.judgements]
    assert main(["build", "--output", folder, *sources, "--judgements", *judgements]) == 0
    assert "7 products, 2 known queries (3 judgements)" in capsys.readouterr().out
    assert main(["info", folder, "--json", str(tmp_path / "info.json")]) == 0
    assert "nothing was left out" in capsys.readouterr().out
    assert json.loads((tmp_path / "info.json").read_text())["counts"]["products"] == 7
    assert main(["query", folder, "cordless drill", "--related", "--json", str(tmp_path / "found.json")]) == 0
    assert "related, from: nearest query" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["products"][0]["title"] == found["related"]["titles"][0] == "Cordless Drill 18 V with two batteries"
    assert main(["verify", folder]) == 0
