"""The files that a catalogue is made of."""

import csv
import gzip
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from retrieval.products.build import build
from retrieval.products.catalogue import Catalog, Related
from retrieval.products.columns import LONGEST_TITLE
from tests.retrieval.products.product_samples import JUDGEMENTS, PRODUCTS, opened, request, sample, titles, write_lines
from utilities import tables
from utilities.errors import UserError

ESCI_PRODUCT = {
    "id": "product_id",
    "title": "product_title",
    "locale": "product_locale",
    "brand": "product_brand",
}


def write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    listed = list(rows)
    text = io.StringIO()
    form: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_ALL} if ".tsv" in path.suffixes else {}
    table = csv.DictWriter(text, listed[0], **form)
    table.writeheader()
    table.writerows(listed)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist([dict(row) for row in rows]), path, row_group_size=3)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def esci_products() -> list[dict[str, object]]:
    return [{ESCI_PRODUCT[name]: value for name, value in row.items()} for row in PRODUCTS]


def write_products(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    if ".parquet" in path.suffixes:
        return write_parquet(path, rows)
    return write_csv(path, rows) if {".csv", ".tsv"} & set(path.suffixes) else write_lines(path, rows)


def found(catalog: Catalog) -> object:
    queries = ("drill", "hose 25 ft", "電子レンジ", "700 W", "camera", "bars")
    return [[(hit.title, hit.score) for hit in catalog.products(query, 10)] for query in queries], [
        catalog.related(query, 5) for query in ("cordless drill set", "garden hose", "set drill")
    ]


@pytest.mark.parametrize(
    "name", ["p.jsonl", "p.jsonl.gz", "p.json", "p.csv", "p.csv.gz", "p.tsv", "p.parquet", "p.parquet.gz"]
)
def test_every_format_makes_the_same_catalogue(tmp_path: Path, name: str) -> None:
    wanted = sample(tmp_path)
    judgements = write_products(tmp_path / f"j{name[1:]}", JUDGEMENTS)
    other = request(tmp_path / "other", [write_products(tmp_path / name, esci_products())], [judgements])
    assert found(opened(other)) == found(opened(wanted))


def test_a_parquet_file_in_small_batches_makes_the_same_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_products(tmp_path / "p.parquet", [*esci_products(), *esci_products()])
    whole = opened(request(tmp_path / "whole", [source]))
    monkeypatch.setattr(tables, "PARQUET_ROWS", 2)
    small = opened(request(tmp_path / "small", [source]))
    assert found(small) == found(whole)
    assert small.manifest.sources == whole.manifest.sources
    assert small.manifest.counts == whole.manifest.counts


@pytest.mark.parametrize("name", ["p.jsonl.gz", "p.csv", "p.tsv.gz", "p.parquet"])
def test_an_error_names_the_line_or_row(tmp_path: Path, name: str) -> None:
    rows: list[dict[str, object]] = [{"title": "Rake", "gain": "1"}, {"title": "Hoe\nof steel", "gain": "1"}]
    source = write_products(tmp_path / name, [*rows, {"title": "Spade", "gain": "?"}])
    place = {"p.jsonl.gz": "line 3", "p.parquet": "row 3"}.get(name, "line 5")
    judged = request(tmp_path / "c", [source], [source], judgement_columns="query=title")
    with pytest.raises(UserError, match=rf"{name}, {place}: gain is '\?'"):
        build(judged)


def test_titles_of_the_same_words_are_one_product(tmp_path: Path) -> None:
    rows = [{"title": "Garden Hoses, 25ft"}, {"title": "garden hose 25 FT."}, {"title": "hose garden 25 ft"}]
    catalog = opened(request(tmp_path / "c", [write_lines(tmp_path / "p.jsonl", rows)]))
    assert titles(catalog, "hose") == ["Garden Hoses, 25ft", "hose garden 25 ft"]
    assert catalog.manifest.counts.duplicates == 1
    assert [(each.reason, each.rows) for each in catalog.manifest.sources[0].dropped] == [
        ("words of an earlier title", 1)
    ]


def test_a_judgement_of_a_duplicate_finds_the_product_that_stayed(tmp_path: Path) -> None:
    rows = [{"id": "a", "title": "Garden Hose"}, {"id": "b", "title": "garden hoses"}]
    judged = write_lines(tmp_path / "j.jsonl", [{"query": "water", "product_id": "b", "esci_label": "E"}])
    catalog = opened(request(tmp_path / "c", [write_lines(tmp_path / "p.jsonl", rows)], [judged]))
    assert catalog.related("water", 3) == Related(("Garden Hose",), "same query")


def test_a_judgement_takes_the_product_of_its_own_locale(tmp_path: Path) -> None:
    rows = [{"id": "a", "title": "slang", "locale": "nl"}, {"id": "a", "title": "hose", "locale": "us"}]
    judged = [{"query": "water", "product_id": "a", "product_locale": "us"}, {"query": "bare", "product_id": "a"}]
    judgements = [write_lines(tmp_path / "j.jsonl", judged)]
    catalog = opened(request(tmp_path / "c", [write_lines(tmp_path / "p.jsonl", rows)], judgements))
    assert catalog.related("water", 3).titles == ("hose",)
    assert catalog.related("bare", 3).source == "same query"


def test_rows_that_are_left_out_are_counted_with_the_reason(tmp_path: Path) -> None:
    catalog = opened(sample(tmp_path))
    dropped = {each.reason: each.rows for each in catalog.manifest.sources[1].dropped}
    assert dropped == {"too small a gain": 1, "no such product in the sources": 1}
    assert (catalog.manifest.counts.queries, catalog.manifest.counts.judgements) == (2, 3)


def test_locales_and_split_choose_rows(tmp_path: Path) -> None:
    catalog = opened(sample(tmp_path, settings={"locales": ("us", "es"), "split": "train"}))
    assert titles(catalog, "電子レンジ") == []
    assert titles(catalog, "manguera") == ["Manguera de jardín 10 m"]
    assert catalog.related("hose for gardens", 3).source == "products"
    assert {each.reason for each in catalog.manifest.sources[1].dropped} >= {"another split"}


def test_other_fields_are_searched_where_they_are_indexed(tmp_path: Path) -> None:
    plain, branded = tmp_path / "plain", tmp_path / "branded"
    plain.mkdir()
    branded.mkdir()
    assert titles(opened(sample(plain)), "fotona") == []
    assert titles(opened(sample(branded, settings={"indexed": ("title", "brand")})), "fotona") == ["Camera XT-30 black"]


def test_the_stemming_of_the_build_is_that_of_the_queries(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "p.jsonl", [{"title": "Drilling machines"}])
    english = opened(request(tmp_path / "english", [source], settings={"stemming": "english"}))
    none = opened(request(tmp_path / "none", [source], settings={"stemming": "none"}))
    assert titles(english, "drill") == ["Drilling machines"]
    assert titles(none, "drilling machine") == ["Drilling machines"]
    assert titles(none, "machine") == []


def test_lists_numbers_and_line_breaks_become_one_line_of_text(tmp_path: Path) -> None:
    rows = [{"title": "Lamp\n1\t", "id": 7, "bullets": ["bright", "warm"]}, {"title": 1984}, {"title": "\ud800 sign"}]
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    catalog = opened(request(tmp_path / "c", [path], settings={"indexed": ("title", "bullet")}))
    assert titles(catalog, "warm") == ["Lamp 1"]
    assert titles(catalog, "1984") == ["1984"]
    assert titles(catalog, "sign") == ["? sign"]


MAPPED = [{"what": "Garden Hose", "made by": "Wasserli"}]


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "p.csv", MAPPED)
    with pytest.raises(UserError, match=r"p\.csv has no column title or .*its columns are what, made by.*--map title="):
        build(request(tmp_path / "c", [source]))
    wanted = request(tmp_path / "c", [source], columns="title=what,brand=made by", settings={"indexed": ("brand",)})
    assert titles(opened(wanted), "wasserli") == ["Garden Hose"]
    with pytest.raises(UserError, match=r"no column nowhere for the brand.*--map brand="):
        build(request(tmp_path / "d", [source], columns="title=what,brand=nowhere"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title", "not a pair of a field and a column"),
        ("shape=x", "no field 'shape': use title, id"),
        ("=x", "not a pair"),
    ],
)
def test_a_mapping_that_cannot_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"--map: .*{message}"):
        request(tmp_path / "c", [], columns=text)


def test_locales_need_their_column(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "p.jsonl", [{"title": "hose"}])
    with pytest.raises(UserError, match=r"no column locale or .* for the locale"):
        build(request(tmp_path / "c", [source], settings={"locales": ("us",)}))


DAMAGED = {
    "cut.jsonl": (b'{"title": "a"}\n{"title": "b"\n', "line 2: not JSON"),
    "list.jsonl": (b'[{"title": "a"}, 5]\n', "item 2: not a JSON object"),
    "cut.json": (b'[\n{"title": "a"},\n{"title"', "line 3: damaged JSON array"),
    "deep.jsonl": (b'{"title": ' + b"[" * 100_000 + b"\n", "line 1: not JSON"),
    "dict.jsonl": (b'{"title": "a"}\n{"title": {"en": "b"}}\n', "line 2: title is a dict: make it a text"),
    "latin.jsonl": (b'{"title": "a"}\n{"title": "Gr\xf6\xdfe"}\n', "line 2: not UTF-8"),
    "cut.csv": (b"title,brand\na,b\nc\n", "line 3: 1 values, but the first line names 2 columns"),
    "long.csv": (b"title,brand\na,b,c\n", "line 2: 3 values"),
    "quote.csv": (b'title,brand\n"a,b\n', "line 2: not CSV"),
    "twice.csv": (b"title,title\na,b\n", "line 1: two columns have the same name"),
    "cut.jsonl.gz": (gzip.compress(b'{"title": "a"}\n' * 10_000)[:-20], "gzip data"),
    "html.parquet": (b"<html>", "is an HTML page"),
    "packed.parquet": (gzip.compress(b"PAR1"), "damaged Parquet file"),
    "table.xlsx": (b"PK", "has no known format"),
    "empty.jsonl": (b"", "is empty"),
    "empty.csv": (b"", "is empty"),
    "blank.jsonl": (b'{"title": "  "}\n{"title": "?!"}\n', "1 rows with no title, 1 rows with no word in the title"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_source_is_one_sentence_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    data, message = DAMAGED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        build(request(tmp_path / "c", [tmp_path / name]))
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("damage", [lambda whole: whole[:-30], lambda _: b"PAR1 and nothing else"])
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write_parquet(tmp_path / "p.parquet", esci_products())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="damaged Parquet file"):
        build(request(tmp_path / "c", [path]))


def test_without_pyarrow_only_parquet_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "p.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"pip install -r requirements-catalog\.txt"):
        build(request(tmp_path / "c", [tmp_path / "p.parquet"]))
    assert titles(opened(sample(tmp_path)), "camera")


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_a_source_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="name"):
        build(request(tmp_path / "c", [tmp_path / name]))


def test_a_label_that_is_none_of_the_four_is_refused(tmp_path: Path) -> None:
    rows = [
        {"query": "a", "product_id": "p1", "esci_label": "E"},
        {"query": "b", "product_id": "p1", "esci_label": "?"},
    ]
    wanted = sample(tmp_path)
    judgements = write_lines(tmp_path / "j.jsonl", rows)
    with pytest.raises(UserError, match=r"j\.jsonl, line 2: esci_label is '\?': write a number, or one of E, S, C, I"):
        build(request(wanted.output, wanted.sources, [judgements]))


def test_values_of_a_parquet_file_that_are_no_text_or_time_are_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    latin = arrow.Array.from_buffers(arrow.string(), 1, arrow.array([b"Gr\xf6\xdfe"]).cast(arrow.binary()).buffers())
    late = arrow.array([2**62], type=arrow.timestamp("us"))
    for name, title in {"latin": latin, "late": late}.items():
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(arrow.table({"title": title}), path)
        with pytest.raises(
            UserError, match=rf"{name}\.parquet, row 1 or one soon after: damaged Parquet file"
        ) as error:
            build(request(tmp_path / "c", [path]))
        assert "\n" not in str(error.value)


def test_a_whole_text_as_a_title_is_cut_and_does_not_stall_a_build(tmp_path: Path) -> None:
    text = "Big " + "1-2/3 x " * 130_000
    judged = write_lines(tmp_path / "j.jsonl", [{"query": "rake", "title": text}])
    source = write_lines(tmp_path / "p.jsonl", [{"title": text}, {"title": "Rake"}])
    start = time.process_time()
    catalog = opened(request(tmp_path / "c", [source], [judged]))
    assert time.process_time() - start < 5
    assert len(titles(catalog, "big")[0]) <= LONGEST_TITLE
    assert len(catalog.related("rake", 1).titles[0]) <= LONGEST_TITLE
