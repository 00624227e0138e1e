import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prompts.settings import PromptSettings
from tests.tuning.training_rows import choice, thing, write_rows, written
from tuning.selection import esci, reviews
from tuning.selection.cleaning import Cleaner
from tuning.selection.registry import FORMATS, format_of
from tuning.selection.rows import Corrupt, Dropped, ReadingOptions, Row
from utilities.errors import UserError
from utilities.task_type import TaskType

LETTERS = {"A": "wood", "B": "metal", "C": "wool"}


def rows_of(path: Path, **options: Any) -> list[Row]:
    """Read a file in the format that it is recognised by."""
    return [each for each in format_of(path).read(path, ReadingOptions(**options)) if isinstance(each, Row)]


def drops_of(path: Path, **options: Any) -> Counter[str]:
    readings = format_of(path).read(path, ReadingOptions(**options))
    return Counter(each.reason for each in readings if isinstance(each, Dropped))


def assert_trainable(rows: list[Row]) -> None:
    """Check that the package's own prompts can be answered by every one of these rows."""
    cleaner = Cleaner()
    cleaner.add_all(rows)
    cleaner.keep_usable([], PromptSettings())
    assert not cleaner.dropped
    assert len(cleaner.kept) == len(rows)


def test_an_array_of_ec_guide_is_read_and_named_after_its_file(tmp_path: Path) -> None:
    row = choice(1)
    del row["task"]
    path = tmp_path / "PRP.json"
    path.write_text(json.dumps([row, choice(2)], indent=2))
    assert [each.task for each in rows_of(path)] == ["PRP", "material"]
    path.write_text(json.dumps([row, {**choice(2), "metric": 1}]))
    (_, corrupt) = FORMATS["shopbench"].read(path, ReadingOptions())
    assert corrupt == Corrupt(f"{path}, item 2: field 'metric' is 1: make it a string")


def test_a_damaged_array_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "PRP.json"
    path.write_text(json.dumps([choice(1)], indent=2)[:-2])
    with pytest.raises(UserError, match=r"PRP.json, line \d+: damaged JSON array"):
        rows_of(path)


def ec_row(task: str, **fields: Any) -> dict[str, Any]:
    row = {"split": "train", "task": task, "setting": "IND_Diverse_Instruction", "instruction": "Answer the question."}
    return {**row, "input": "", "options": "", "output": "", **fields}


def test_ecinstruct_keeps_one_split_and_one_setting(tmp_path: Path) -> None:
    rows = [
        ec_row("Answer_Generation", input=json.dumps({"question": f"{split} {setting}?"}), output="Yes, it does.")
        | {"split": split, "setting": setting}
        for split in ("train", "val", "test")
        for setting in ("IND_Diverse_Instruction", "IND_Single_Instruction")
    ]
    path = write_rows(tmp_path / "ec.jsonl", rows)
    assert [each.text for each in rows_of(path)] == [
        "Answer the question.\nquestion: train IND_Diverse_Instruction?\nOutput:"
    ]
    assert len(rows_of(path, split="val", setting="IND_Single_Instruction")) == 1
    assert drops_of(path) == {"another split": 4, "another setting": 1}


@pytest.mark.parametrize("output", ["B", "B: metal", "(B)"])
@pytest.mark.parametrize("written_by", [json.dumps, str])
def test_ecinstruct_options_are_numbered_from_zero(tmp_path: Path, output: str, written_by: Any) -> None:
    options = written_by([f"{letter}: {text}" for letter, text in LETTERS.items()])
    row = ec_row("Product_Relation_Prediction", input=json.dumps({"Product 1:": "kettle"}), options=options)
    (read,) = rows_of(write_rows(tmp_path / "ec.jsonl", [row | {"output": output}]))
    assert read.text == "Answer the question.\nProduct 1: kettle\n0. wood\n1. metal\n2. wool\nOutput:"
    assert (read.answer, read.task_type) == (1, TaskType.MULTIPLE_CHOICE)
    assert_trainable([read])


def test_ecinstruct_yes_and_no_become_two_options(tmp_path: Path) -> None:
    rows = [ec_row("Product_Matching", input=json.dumps({"product 1": {"title": thing(index)}})) for index in range(2)]
    read = rows_of(write_rows(tmp_path / "ec.jsonl", [rows[0] | {"output": "yes"}, rows[1] | {"output": "no"}]))
    assert [each.answer for each in read] == [0, 1]
    assert read[0].text.endswith("product 1: title: copper kettle 0\n0. yes\n1. no\nOutput:")
    assert_trainable(read)


def test_ecinstruct_twenty_options_become_a_retrieval_question(tmp_path: Path) -> None:
    options = str([f"{chr(65 + index)}: {thing(index)}" for index in range(20)])
    row = ec_row("Sequential_Recommendation", input=str(["1st: mug", "2nd: tray"]), options=options, output="L")
    (read,) = rows_of(write_rows(tmp_path / "ec.jsonl", [row]))
    assert (read.answer, read.task_type, read.metric) == ([12], TaskType.RETRIEVAL, "hit rate@3")
    assert f"\n12. {thing(11)}\n" in read.text
    assert_trainable([read])


def test_ecinstruct_orders_become_falling_gains(tmp_path: Path) -> None:
    given = {"query": "kettle", "product list": ["A: red mug", "B: copper kettle", "C: kettle lid"]}
    row = ec_row("Query_Product_Ranking", input=json.dumps(given), output="B,C,A")
    row["instruction"] = "Rank the products according to their relevance to the query."
    (read,) = rows_of(write_rows(tmp_path / "ec.jsonl", [row]))
    assert (read.answer, read.task_type) == ([0.01, 1.0, 0.1], TaskType.RANKING)
    assert "query: kettle\n1. red mug\n2. copper kettle\n3. kettle lid\n" in read.text
    assert_trainable([read])


def test_ecinstruct_attribute_values_of_the_title_become_entities(tmp_path: Path) -> None:
    given = {"product title": "Acme kettle in copper", "target attributes": "Material"}
    value = {"attribute": "material", "value": "copper", "source": "product title"}
    absent = {"attribute": "material", "value": "None", "source": "None"}
    rows = [ec_row("Attribute_Value_Extraction", input=json.dumps(given), output=json.dumps([each])) for each in
            (value, absent)]  # fmt: skip
    path = write_rows(tmp_path / "ec.jsonl", rows)
    (read,) = rows_of(path)
    assert (read.answer, read.task_type) == (["copper"], TaskType.NAMED_ENTITY_RECOGNITION)
    assert drops_of(path) == {"no value in the title": 1}
    assert_trainable([read])


JUDGED = "EESCICSE"


def esci_files(folder: Path, queries: int = 12) -> tuple[Path, Path]:
    """Write judgements of eight products for each query, and the products' titles."""
    judged: list[dict[str, Any]] = []
    products: list[dict[str, Any]] = []
    for number in range(queries):
        for index, label in enumerate(JUDGED):
            identity = f"q{number}p{index}"
            query = {"example_id": len(judged), "query": f"find {thing(number)}", "query_id": number}
            labels = {"esci_label": label, "split": "train" if number < queries - 1 else "test"}
            judged.append({**query, "product_id": identity, "product_locale": "us", **labels})
            title = f"{thing(number)} of kind {index}"
            products.append({"product_id": identity, "product_title": title, "product_locale": "us"})
    return write_rows(folder / "examples.jsonl", judged), write_rows(folder / "products.jsonl", products)


def test_esci_queries_become_rankings_and_relations_of_their_training_part(tmp_path: Path) -> None:
    examples, products = esci_files(tmp_path)
    rows = rows_of(examples, products=(products,))
    assert Counter(row.task for row in rows) == {esci.RANKING: 11, esci.RELATION: 11}
    assert drops_of(examples, products=(products,)) == {"another split": len(JUDGED)}
    assert_trainable(rows)


def test_esci_rankings_hold_every_gain_with_the_right_product(tmp_path: Path) -> None:
    examples, products = esci_files(tmp_path)
    gains = {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0}
    for row in rows_of(examples, products=(products,)):
        if row.task == esci.RANKING:
            assert isinstance(row.answer, list)
            assert set(row.answer) == set(gains.values())
            for number, gain in enumerate(row.answer, start=1):
                line = next(line for line in row.text.split("\n") if line.startswith(f"{number}. "))
                assert gains[JUDGED[int(line.rpartition(" ")[2])]] == gain


def test_esci_relations_take_turns_in_kind_and_in_the_right_number(tmp_path: Path) -> None:
    examples, products = esci_files(tmp_path, queries=33)
    relations = [row for row in rows_of(examples, products=(products,)) if row.task == esci.RELATION]
    assert set(Counter(row.answer for row in relations).values()) == {8}
    assert len({row.text.split("\n")[int(str(row.answer))] for row in relations}) > 1


def test_esci_without_titles_says_where_they_are_looked_for(tmp_path: Path) -> None:
    examples, _ = esci_files(tmp_path)
    with pytest.raises(UserError, match=r"has judgements without titles: name the file of products with --products"):
        rows_of(examples)


def test_esci_reads_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    examples, products = esci_files(tmp_path)
    paths = []
    for path in (examples, products):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        paths.append(path.with_suffix(".parquet"))
        parquet.write_table(pyarrow.Table.from_pylist(lines), paths[-1])
    as_json = rows_of(examples, products=(products,))
    as_parquet = rows_of(paths[0], products=(paths[1],))
    assert [(row.text, row.answer) for row in as_parquet] == [(row.text, row.answer) for row in as_json]


def test_star_reviews_become_ratings_in_every_wording_alike(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    lines = [f'"I use my {thing(index)}, every day.",{index % 5 + 1}.0' for index in range(40)]
    path.write_text("\n".join(["body,score", *lines]) + "\n")
    rows = [
        row for row in FORMATS["reviews"].read(path, ReadingOptions(columns={"text": "body"})) if isinstance(row, Row)
    ]
    assert Counter(row.answer for row in rows) == dict.fromkeys(range(1, 6), 8)
    openings = Counter((row.answer, row.text.partition("I use my")[0]) for row in rows)
    assert set(openings.values()) == {2}
    assert_trainable(rows)


@pytest.mark.parametrize(
    ("stars", "reason"),
    [("4.5", "no whole number of stars"), ("6", "no whole number of stars"), ("", "no whole number of stars")],
)
def test_reviews_without_whole_stars_are_dropped(tmp_path: Path, stars: str, reason: str) -> None:
    path = write_rows(tmp_path / "reviews.jsonl", [{"text": "Fine.", "stars": stars}, {"text": "", "stars": 5}])
    assert drops_of(path) == {reason: 1, "empty field": 1}


def test_stars_that_are_no_number_are_a_corrupt_row(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "reviews.jsonl", [{"text": "Fine.", "stars": "good"}])
    assert [*reviews.read(path, ReadingOptions())] == [
        Corrupt(f"{path}, line 1: stars are 'good': write a number from 1 to 5")
    ]


def test_formats_are_told_apart_by_their_fields(tmp_path: Path) -> None:
    examples, _ = esci_files(tmp_path)
    found = [
        format_of(write_rows(tmp_path / "a.jsonl", [written(1)])),
        format_of(write_rows(tmp_path / "b.jsonl", [ec_row("x")])),
        format_of(examples),
        format_of(write_rows(tmp_path / "c.jsonl", [{"text": "Good.", "stars": 5}])),
    ]
    assert found == [FORMATS[name] for name in ("shopbench", "ecinstruct", "esci", "reviews")]


def test_a_file_of_no_known_format_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"a": 1}])
    with pytest.raises(UserError, match=r"no known format: name it by --source FORMAT=FILE, one of shopbench"):
        format_of(path)
