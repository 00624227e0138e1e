"""Files in the layouts in which they are published; the rows are made up.

The names are those of ECInstruct (NingLab/ECInstruct), ESCI (amazon-science/esci-data), the CSV files of KDD Cup 2022,
Amazon Reviews 2015, 2018 and 2023, Amazon-M2 and EC-Guide (fzp0424/EC-Guide-KDDUP-2024), written out here.
"""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prompts.settings import PromptSettings
from retrieval.products.build import build
from tests.retrieval.products.product_samples import opened, request, titles
from tests.tuning.training_rows import choice, write_rows
from tuning import select_data
from tuning.selection.cleaning import Cleaner
from tuning.selection.registry import FORMATS, format_of
from tuning.selection.rows import Dropped, ReadingOptions, Row
from utilities.errors import UserError
from utilities.plain_text import plain_text

SETTINGS = (
    *("IND_Single_Instruction", "IND_Diverse_Instruction", "IND_Unseen_Instruction", "OOD_Unseen_Instruction"),
    *("OOD_Single_Instruction", "OOD_Diverse_Instruction"),
    *("IND_Diverse_Instruction_1-shot", "OOD_Diverse_Instruction_1-shot"),
)


def rows_of(path: Path, **options: Any) -> list[Row]:
    return [each for each in format_of(path).read(path, ReadingOptions(**options)) if isinstance(each, Row)]


def selected(tmp_path: Path, *arguments: str) -> list[dict[str, Any]]:
    """Select all rows and return them."""
    output = tmp_path / "selected"
    assert select_data.main([*arguments, "--output", str(output)]) == 0
    (path,) = output.glob("train_*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def ecinstruct(task: str, number: int, **changes: object) -> dict[str, object]:
    row = {"split": "train", "task": task, "setting": "IND_Diverse_Instruction", "few_shot_example": None}
    asked = {"instruction": "Decide whether one item can stand in for the other.", "options": None, "output": "no"}
    given = {"query": f"oak chair {number} cm", "product": {"title": f"Pine stool {number}", "brand": None}}
    return {**row, **asked, "input": json.dumps(given), **changes}


def test_ecinstruct_is_read_by_the_default_under_its_published_task_names(tmp_path: Path) -> None:
    options = '["A: bought together", "B: one is looked at after the other", "C: alike"]'
    related = {"options": options, "output": "C", "instruction": "How do the two items relate?"}
    rows = [
        ecinstruct("Product_Substitue_Identification", 1),
        ecinstruct("Product_Relation_Predicition", 2, **related),
        *(ecinstruct("Product_Matching", 3, setting=setting) for setting in SETTINGS if "IND_Diverse" not in setting),
        ecinstruct("Product_Matching", 4, split="test"),
    ]
    path = tmp_path / "ECInstruct.json"
    path.write_text(json.dumps(rows, indent=1))
    found = selected(tmp_path, "--source", str(path))
    assert Counter(row["task_name"] for row in found) == {
        "Product_Substitue_Identification": 1,
        "Product_Relation_Predicition": 1,
    }
    assert not any("None" in row["input_field"] for row in found)


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_published_setting_can_be_chosen(tmp_path: Path, setting: str) -> None:
    rows = [ecinstruct("Product_Matching", number, setting=each) for number, each in enumerate(SETTINGS)]
    (row,) = rows_of(write_rows(tmp_path / "ec.jsonl", rows), setting=setting)
    assert f"oak chair {SETTINGS.index(setting)} cm" in row.text


KDD_CUP = ("query_id,query,query_locale,product_id,esci_label", "product_id,product_title,product_description,"
           "product_bullet_point,product_brand,product_color_name,product_locale")  # fmt: skip
ESCI = ("example_id,query,query_id,product_id,product_locale,esci_label,small_version,large_version,split",
        "product_id,product_title,product_description,product_bullet_point,product_brand,product_color,"
        "product_locale")  # fmt: skip
WORDS = ("exact", "substitute", "complement", "irrelevant", "irrelevant")


def esci_files(folder: Path, headers: tuple[str, str], labels: tuple[str, ...]) -> tuple[Path, Path]:
    """Write one query with five products in the columns of `headers`."""
    judged = {"example_id": "0", "query": "can &amp; hose", "query_id": "0", "query_locale": "us", "split": "train"}
    judged |= {"product_locale": "us", "small_version": "0", "large_version": "1"}
    lines = [headers[0].split(","), headers[1].split(",")]
    tables = [[lines[0]], [lines[1]]]
    for number, label in enumerate(labels):
        values = {**judged, "product_id": f"P{number}", "esci_label": label}
        product = {**judged, "product_id": f"P{number}", "product_title": f'"Watering can, {number} l<br />"'}
        product["product_description"] = '"<p>For the\ngarden &lt;3</p>"'
        tables[0].append([values.get(name, "") for name in lines[0]])
        tables[1].append([product.get(name, "") for name in lines[1]])
    paths = folder / "judgements.csv", folder / "products.csv"
    for path, table in zip(paths, tables, strict=True):
        path.write_text("\n".join(map(",".join, table)) + "\n")
    return paths


@pytest.mark.parametrize("headers", [KDD_CUP, ESCI])
@pytest.mark.parametrize("labels", [WORDS, tuple(word[0].upper() for word in WORDS)])
def test_judgements_of_both_publications_are_read(
    tmp_path: Path, headers: tuple[str, str], labels: tuple[str, ...]
) -> None:
    judged, products = esci_files(tmp_path, headers, labels)
    ranking, relation = rows_of(judged, products=(products,))
    assert sorted(ranking.answer) == [0.0, 0.0, 0.01, 0.1, 1.0]  # type: ignore[call-overload]
    assert "can & hose" in ranking.text
    assert "Watering can, 3 l\n" in ranking.text
    assert relation.task == "esci_relation"
    catalog = opened(request(tmp_path / "c", [products], [judged], settings={"indexed": ("title", "description")}))
    assert catalog.manifest.counts.products == 5
    assert len(catalog.related("can hose", 5).titles) == 2
    assert "Watering can, 0 l" in titles(catalog, "garden")


def test_judgements_whose_products_are_in_no_file_are_dropped_for_that_reason(tmp_path: Path) -> None:
    judged, products = esci_files(tmp_path, KDD_CUP, WORDS)
    header, *_ = products.read_text(encoding="utf-8").splitlines()
    products.write_text(f"{header}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"no title in the files of products 1"):
        selected(tmp_path, "--source", str(judged), "--products", str(products))


def test_the_colours_of_both_publications_are_indexed(tmp_path: Path) -> None:
    for number, column in enumerate(("product_color", "product_color_name")):
        path = tmp_path / f"{number}.csv"
        path.write_text(f"product_id,product_title,{column}\n1,Can,teal\n")
        catalog = opened(request(tmp_path / f"c{number}", [path], settings={"indexed": ("title", "color")}))
        assert titles(catalog, "teal") == ["Can"]


REVIEWS: dict[str, tuple[dict[str, Any], ...]] = {
    "2018": (
        {"overall": 5.0, "vote": "3", "verified": True, "reviewTime": "01 2, 2018", "asin": "B1", "summary": "ok"},
        {"overall": 4.0, "reviewerID": "A1", "asin": "B1", "reviewText": "Warm &amp; soft", "unixReviewTime": 1},
    ),
    "2023": (
        {"rating": 4.0, "title": "Fine", "text": "Warm<br />&amp; soft", "images": [], "asin": "B1"}
        | {"parent_asin": "B1", "user_id": "A", "timestamp": 1, "helpful_vote": 0, "verified_purchase": True},
    ),
    "2015": (
        {
            "marketplace": "US",
            "product_id": "B1",
            "product_title": "Scarf",
            "star_rating": "4",
            "review_headline": "x",
            "review_body": "Warm <i>&amp;</i> soft",
        },
    ),
}


@pytest.mark.parametrize("year", REVIEWS)
def test_amazon_reviews_of_each_year_are_read_as_text(tmp_path: Path, year: str) -> None:
    path = tmp_path / f"reviews_{year}.json.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in REVIEWS[year]).encode()))
    assert format_of(path) is FORMATS["reviews"]
    (row,) = rows_of(path)
    assert (row.answer, "Review: Warm & soft\n" in row.text) == (4, True)


def test_products_of_amazon_reviews_and_amazon_m2_are_indexed(tmp_path: Path) -> None:
    of_2018: dict[str, Any] = {"category": ["a"], "description": ["A <b>thick</b> one"], "asin": "B1", "brand": "Elk"}
    of_2018 |= {"title": "Scarf &quot;Nord&quot;", "feature": ["woollen"], "also_buy": [], "price": "$1"}
    of_2023: dict[str, Any] = {"main_category": "a", "title": "Cap", "features": ["felted"], "store": "Elk"}
    of_2023 |= {"description": ["dense"], "parent_asin": "B2", "average_rating": 4.1, "details": {"a": "b"}}
    of_2023 |= {"price": None}
    paths = [write_rows(tmp_path / "a.jsonl", [of_2018]), write_rows(tmp_path / "b.jsonl", [of_2023])]
    paths.append(tmp_path / "products_train.csv")
    paths[2].write_text(
        "id,locale,title,price,brand,color,size,model,material,author,desc\nB3,UK,Glove,1.5,Elk,,,,,,knitted\n"
    )
    fields = ("title", "brand", "bullet", "description")
    catalog = opened(request(tmp_path / "c", paths, settings={"indexed": fields}))
    found = {query: titles(catalog, query)[:1] for query in ("thick", "woollen", "felted", "dense", "knitted")}
    assert found == {"thick": ['Scarf "Nord"'], "woollen": ['Scarf "Nord"'], "felted": ["Cap"], "dense": ["Cap"],
                     "knitted": ["Glove"]}  # fmt: skip
    assert len(titles(catalog, "elk")) == 3


@pytest.mark.parametrize(("answer", "number"), [("yes", 0), ("no", 1), ("No ", 1)])
def test_questions_of_ec_guide_with_the_metric_bool_get_two_options(tmp_path: Path, answer: str, number: int) -> None:
    asked = "Can the product stand in for the query? Only output yes or no.\nQuery: oak chair\n Product: Stool\n\n"
    row = {"input_field": f"{asked} Answer:", "output_field": answer, "task_type": "multiple-choice", "metric": "bool"}
    path = tmp_path / "QPRJ.json"
    path.write_text(json.dumps([row, {**row, "input_field": "Is it?", "output_field": "maybe"}], indent=2))
    (found, dropped) = FORMATS["shopbench"].read(path, ReadingOptions())
    assert dropped == Dropped("QPRJ", "answer is neither yes nor no")
    assert isinstance(found, Row)
    assert (found.answer, found.metric, found.task) == (number, "accuracy", "QPRJ")
    assert found.text.endswith("Product: Stool\n0. yes\n1. no\nAnswer:")
    cleaner = Cleaner()
    cleaner.add_all([found])
    cleaner.keep_usable([], PromptSettings())
    assert not cleaner.dropped


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Eye &amp; Eye, 2&quot; x 4&#39;", "Eye & Eye, 2\" x 4'"),
        ("good<br />bad<br>end</p>", "good bad end "),
        ("I <3 it, 4 < 5 > 3 & B&notes", "I <3 it, 4 < 5 > 3 & B&notes"),
        ("a<!-- b -->c", "a c"),
        ("&unknown; &#x1F600;", "&unknown; \U0001f600"),
    ],
)
def test_html_becomes_text_and_nothing_else_does(text: str, plain: str) -> None:
    assert plain_text(text) == plain


FILTERS = {
    "setting": (["--setting", "IND_Diverse_Instruct"], "--setting: no row of .* name one of IND_Diverse_Instruction"),
    "split": (["--split", "dev"], "--split: no row of .* has the split 'dev': name one of test, train"),
    "leave out": (["--leave-out", "Matching"], "--leave-out: .*'Matching': name one of Answer_Generation, Product_Mat"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_matches_nothing_lists_what_there_is(tmp_path: Path, name: str) -> None:
    rows = [ecinstruct("Product_Matching", 1), ecinstruct("Answer_Generation", 2, split="test")]
    arguments, message = FILTERS[name]
    with pytest.raises(UserError, match=message):
        selected(tmp_path, "--source", str(write_rows(tmp_path / "ec.jsonl", rows)), *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--locale", "jp"], "--locale: no row of .* has the locale 'jp': name one of us"),
        (["--split", "test"], "--split: the rows of .* have no split: leave the option out"),
    ],
)
def test_a_filter_of_judgements_that_matches_nothing_is_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    judged, products = esci_files(tmp_path, KDD_CUP, WORDS)
    with pytest.raises(UserError, match=message):
        selected(tmp_path, "--source", str(judged), "--products", str(products), *arguments)


def test_a_filter_of_a_catalogue_that_matches_nothing_lists_what_there_is(tmp_path: Path) -> None:
    judged, products = esci_files(tmp_path, ESCI, WORDS)
    with pytest.raises(UserError, match=r"--locales: no row has 'uk': the files have us"):
        build(request(tmp_path / "c", [products], settings={"locales": ("us", "uk")}))
    with pytest.raises(UserError, match=r"--split: no row has 'dev': the files have train"):
        build(request(tmp_path / "c", [products], [judged], settings={"split": "dev"}))


def test_without_sizes_all_rows_are_one_training_set(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [choice(1), choice(1), choice(2)])
    assert len(selected(tmp_path, "--source", str(path))) == 2


def test_too_large_a_size_shows_first_why_rows_are_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [choice(1)] * 3)
    with pytest.raises(UserError, match="--sizes: 2 rows are too many: 1 is the largest possible size"):
        selected(tmp_path, "--source", str(path), "--sizes", "2")
    assert "duplicate        material 2" in capsys.readouterr().out


def test_a_null_is_shown_as_null(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [choice(1, task_type=None)])
    with pytest.raises(UserError, match="line 1: field 'task_type' is null: make it a string, or leave"):
        selected(tmp_path, "--source", str(path))
