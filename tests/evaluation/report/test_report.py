import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.question_record import question_records, read_question_records, write_questions
from evaluation.questions import QuestionRow
from evaluation.report.__main__ import main
from evaluation.report.embedded import escaped_json, inserted
from evaluation.report.page import write_report
from evaluation.report.runs import read_run
from evaluation.report.score_tables import score_tables
from evaluation.scores import score_answers
from retrieval.embeddings import NotScorableError
from tests.evaluation.report.report_runs import FIRST, HOSTILE, QUESTIONS, SECOND, choice, make_run, written
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.task_type import TaskType


class Page(HTMLParser):
    """What stands in a page: tags with attributes, the text of scripts and styles, and its tables' exact figures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.figures: list[float] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag in self.raw:
            self.raw[tag].append("")
        if tag == "data":
            self.figures.append(float(dict(attrs)["value"] or ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside][-1] += data


@pytest.fixture(scope="module")
def page_of_two(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of two runs of the same questions."""
    folder = tmp_path_factory.mktemp("two")
    return written(folder, make_run(folder / "a"), make_run(folder / "b", SECOND))


def unpacked(script: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(script)))


def test_a_run_without_any_score_says_so_in_place_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise NotScorableError("the model is missing: fetch it")

    monkeypatch.setattr("evaluation.metrics.load_encoder", missing)
    metric, task_type = "multilingual-sent-transformer", TaskType.GENERATION
    questions = [QuestionRow(f"Say {word}", word, "words", task_type, metric, False, "?") for word in "abc"]
    first, second = (make_run(tmp_path / name, list("abc"), questions) for name in "ab")
    for runs, words in (([first], "no task is scored."), ([first, second], "no task is scored in every run.")):
        html = written(tmp_path, *runs)
        assert f"There is nothing to draw: {words}" in html
        assert "words is not scored and left out of the means: the model is missing: fetch it" in html
        assert 'data-plot="scores"' not in html


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    questions = [choice(0, 0, task=HOSTILE), *QUESTIONS[1:]]
    html = written(tmp_path, make_run(tmp_path / HOSTILE.replace("/", "|"), [HOSTILE, *FIRST[1:]], questions))
    page = Page(html)
    kinds = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    assert kinds == ["application/json", "text/plain", "text/plain", None]
    assert "img" not in [tag for tag, _ in page.tags]
    assert json.loads(page.raw["script"][0])["tasks"][0] == HOSTILE
    (block,) = (unpacked(script) for script in page.raw["script"][2:3])
    assert block[0]["runs"][0]["answer"] == HOSTILE
    assert block[5]["text"] == questions[5].input_field


@given(st.recursive(st.text(), st.lists))
def test_embedded_json_holds_nothing_that_html_minds(value: object) -> None:
    text = escaped_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_half_a_surrogate_pair_breaks_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["half \udc00", *FIRST[1:]], changes={0: {"system": "half \ud83d"}})
    page = Page(written(tmp_path, run))
    assert unpacked(page.raw["script"][2])[0]["runs"][0]["answer"] == "half ?"
    assert json.loads(page.raw["script"][0])["roles"][0] == "half \ud83d"


def test_the_pages_figures_are_those_of_scores_json(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    scores = json.loads((run / "scores.json").read_text())
    expected = [
        scores["overall"],
        scores["overall"],
        *scores["task_types"].values(),
        *scores["tracks"].values(),
        *(task["score"] for task in scores["tasks"].values()),
    ]
    found = Page(written(tmp_path, run)).figures[: len(expected)]
    assert found == pytest.approx(expected, abs=1e-12)
    assert scores["tasks"]["options"]["score"] == 0.5  # so that two empty lists are not what is compared


@pytest.mark.parametrize(
    ("weights", "shown"),
    [
        ({"folder": "somewhere/small", "adapter": "adapters/small-2000"}, "small + small-2000"),
        ({"folder": "somewhere/<b>", "adapter": ""}, "&lt;b&gt;"),
        ({"folder": 3}, "not recorded"),
        (None, "not recorded"),
    ],
)
def test_the_page_names_model_and_data_at_its_top(tmp_path: Path, weights: object, shown: str) -> None:
    run = make_run(tmp_path / "a")
    record = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    write_json(run / "scores.json", {**record, "weights": weights})
    html = written(tmp_path, run)
    assert f"<dt>model</dt><dd>{shown}</dd>" in html
    assert "<dt>questions</dt><dd>6 in 2 tasks of gone.json</dd>" in html


def test_detection_mistakes_are_counted_and_linked(tmp_path: Path) -> None:
    html = written(tmp_path, make_run(tmp_path / "run", changes={1: {"task_type": "ranking"}}))
    assert "The type of 5 of 6 questions was detected correctly" in html
    assert 'href="#detected=wrong"' in html


@pytest.mark.parametrize(
    ("file", "damage", "problem"),
    [
        (
            "scores.json",
            None,
            "cannot be read (No such file or directory): name a folder that",
        ),
        ("scores.json", lambda text: text[:-9], "cannot be read"),
        ("scores.json", lambda text: text.replace('"tasks"', '"tisks"'), "scores.json: field 'tasks' is missing"),
        ("scores.json", lambda text: text.replace('"score": 0.5', '"score": 0.75'), "is not that of its questions"),
        ("answers.jsonl", None, "does not exist"),
        ("answers.jsonl", lambda text: text + '"more"\n', "do not belong together"),
        ("answers.jsonl", lambda text: text.replace('"0"', "0", 1), "line 1: not a JSON string"),
        ("questions.jsonl", lambda text: text.replace('"scores"', '"stores"', 1), "line 1: field 'scores'"),
        ("trace.jsonl", lambda text: text.replace('"way"', '"why"', 1), "line 1: field 'way' is missing"),
        ("trace.jsonl", lambda text: text.replace("[1.0, -1.0]", "[1.0]", 1), "holds 1 items for 2 labels"),
        ("trace.jsonl", lambda text: text.split("\n", 1)[1], "holds 5 lines for 6 questions"),
    ],
)
def test_a_damaged_run_ends_in_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, damage: Callable[[str], str] | None, problem: str
) -> None:
    run, output = make_run(tmp_path / "run"), tmp_path / "report.html"
    path = run / file
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    if (file, damage) == ("answers.jsonl", None):
        (run / "questions.jsonl").unlink()
    assert exit_code(lambda: main([str(run), "--output", str(output)])) == 2
    said = capsys.readouterr().err
    assert problem in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not output.exists()


def test_a_failure_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    runs = [read_run(make_run(tmp_path / "run"))]

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_report(runs, path)
    assert path.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report.html", "run"]


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    assert exit_code(lambda: main([str(run), "--output", str(tmp_path)])) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_page_loads_nothing_and_its_policy_allows_its_own_code_only(page_of_two: str) -> None:
    page = Page(page_of_two)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (page.raw["style"][0], page.raw["script"][-1])
    ]
    assert policy.startswith("default-src 'none'; ")
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert "unsafe" not in policy
    assert "http:" not in page_of_two
    assert "https:" not in page_of_two
    assert len(page.raw["style"]) == 1
    for tag, attributes in page.tags:
        assert not {"src", "style", "srcset"} & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")


def test_ids_are_unique_and_screen_readers_find_tables_and_plots(page_of_two: str) -> None:
    page = Page(page_of_two)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    count = [tag for tag, _ in page.tags].count
    assert count("table") == count("caption") > 5
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    plots = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert [plot["role"] for plot in plots] == ["img"] * 5
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.tags}
    assert any(attributes.get("aria-live") == "polite" for _, attributes in page.tags)


def test_a_run_without_trace_and_questions_still_gives_a_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", trace=False)
    data = tmp_path / "moved.json"
    write_questions(data, read_question_records(run / "questions.jsonl"))
    (run / "questions.jsonl").unlink()
    record = json.loads((run / "scores.json").read_text())
    record["data"]["sha256"] = hashlib.sha256(data.read_bytes()).hexdigest()
    write_json(run / "scores.json", record)
    assert main([str(run), "--data", str(data), "--output", str(tmp_path / "report.html")]) == 0
    html = (tmp_path / "report.html").read_text()
    assert "kept label scores" in html
    data.write_text(data.read_text() + "\n")
    with pytest.raises(UserError, match="is not the data file of"):
        read_run(run, data)


@given(st.text(), st.text(), st.text(), st.text())
def test_what_was_put_into_a_question_is_found(before: str, after: str, put: str, other: str) -> None:
    for text, changed in ((before + after, before + put + after), (before, other)):
        begin, end, middle = inserted(text, changed)
        units = text.encode("utf-16-le", "surrogatepass")
        cut = units[: 2 * begin].decode("utf-16-le", "surrogatepass"), units[len(units) - 2 * end :]
        assert cut[0] + middle + cut[1].decode("utf-16-le", "surrogatepass") == changed


def test_a_text_that_occurs_twice_keeps_each_answers_own_score(tmp_path: Path) -> None:
    questions, answers = [choice(0, 1), choice(1, 0), choice(0, 1)], ["1", "0", "0"]
    records = question_records(questions, score_answers(questions, answers).rows)
    assert [record.own for record in records] == [1.0, 1.0, 0.0]
    assert [record.scores for record in records] == [(1.0, 0.0), (1.0,), (1.0, 0.0)]
    write_questions(tmp_path / "questions.jsonl", records)
    assert read_question_records(tmp_path / "questions.jsonl") == records
    run = read_run(make_run(tmp_path / "run", answers, questions))
    score = score_tables([run]).overall.scores[0]
    assert score is not None
    assert score.value == pytest.approx(3 / 5)
