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
from evaluation.report.diagnostics import batch_times, calibration, softmax, track_times
from evaluation.report.embedded import escaped_json, inserted
from evaluation.report.page import write_report
from evaluation.report.runs import read_run, read_runs
from evaluation.report.score_tables import score_tables
from evaluation.scores import score_answers
from retrieval.embeddings import NotScorableError
from tests.evaluation.report.report_runs import FIRST, HOSTILE, QUESTIONS, SECOND, choice, make_run
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


def written(tmp_path: Path, *runs: Path) -> str:
    path = tmp_path / "report.html"
    write_report(read_runs(runs), path)
    return path.read_text(encoding="utf-8")


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


def test_two_runs_are_compared_question_by_question(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "a"), make_run(tmp_path / "b", SECOND)])
    tables = score_tables(runs)
    by_name = {line.name: line.differences[0] for line in tables.tasks}
    options, entities = by_name["options"], by_name["entities"]
    assert options is not None
    assert entities is not None
    # options: 2 and 3 of 4 right; entities: 2 and 1 found, 1 and 2 wrong, 1 and 2 missed.
    assert options.interval.value == pytest.approx(0.75 - 0.5)
    assert (options.better, options.worse, options.same) == (1, 0, 3)
    assert entities.interval.value == pytest.approx(2 / 6 - 4 / 6)
    assert (entities.better, entities.worse, entities.same) == (0, 1, 1)
    overall = tables.overall.differences[0]
    assert overall is not None
    assert overall.interval.value == pytest.approx((0.25 - 1 / 3) / 2)
    assert overall.verdict == "no clear difference"


def test_runs_are_called_what_the_command_calls_them(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b=c", SECOND)
    page = tmp_path / "report.html"
    assert main([f"N=500={first}", str(second), "--output", str(page)]) == 0
    assert "<title>ShopAlign report: N=500, b=c</title>" in page.read_text(encoding="utf-8")
    with pytest.raises(UserError, match="two runs are called same"):
        main([f"same={first}", f"same={second}", "--output", str(page)])


def test_differences_are_paired(tmp_path: Path) -> None:
    questions = [choice(number, 1) for number in range(40)]
    half = ["1", "0"] * 20
    runs = [make_run(tmp_path / "a", half, questions), make_run(tmp_path / "b", ["1", *half[:-1]], questions)]
    same = score_tables(read_runs([runs[0], make_run(tmp_path / "c", half, questions)])).overall.differences[0]
    other = score_tables(read_runs(runs)).overall.differences[0]
    assert same is not None
    assert other is not None
    assert (same.interval.low, same.interval.high) == (0.0, 0.0)
    assert other.interval.low < 0 < other.interval.high


def test_what_is_better_beyond_chance_is_called_better(tmp_path: Path) -> None:
    questions = [choice(number, 1) for number in range(20)]
    runs = [make_run(tmp_path / "a", ["0"] * 20, questions), make_run(tmp_path / "b", ["1"] * 20, questions)]
    for order, verdict in ((runs, "better"), (runs[::-1], "worse")):
        change = score_tables(read_runs(order)).overall.differences[0]
        assert change is not None
        assert change.verdict == verdict


@pytest.mark.parametrize(("changed", "verdict"), [(5, "no clear difference"), (6, "better")])
def test_too_few_changes_for_a_sign_test_get_no_verdict(tmp_path: Path, changed: int, verdict: str) -> None:
    questions = [choice(number, 1) for number in range(changed)]
    change = score_tables(
        read_runs(
            [make_run(tmp_path / "a", ["0"] * changed, questions), make_run(tmp_path / "b", ["1"] * changed, questions)]
        )
    ).overall.differences[0]
    assert change is not None
    assert change.interval.low > 0
    assert change.verdict == verdict


def test_a_question_that_is_asked_again_and_again_makes_no_verdict(tmp_path: Path) -> None:
    questions = [choice(number % 3, 1) for number in range(12)]
    runs = [make_run(tmp_path / name, [answer] * 12, questions) for name, answer in (("a", "0"), ("b", "1"))]
    change = score_tables(read_runs(runs)).overall.differences[0]
    assert change is not None
    assert (change.better, change.changed) == (12, 3)
    assert change.verdict == "no clear difference"


def test_the_calibration_error_is_the_gap_of_each_bin_weighed_by_its_questions() -> None:
    found = calibration("model", [(0.95, True), (0.85, False), (0.9, True), (0.35, False)])
    filled = {b.low: (b.questions, b.confidence, b.right) for b in found.bins}
    assert filled == {0.3: (1, 0.35, 0.0), 0.8: (2, pytest.approx(0.875), 0.5), 0.9: (1, 0.95, 1.0)}
    assert found.error == pytest.approx(1 / 4 * 0.35 + 2 / 4 * 0.375 + 1 / 4 * 0.05)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=15))
def test_softmax_gives_probabilities_of_any_scores(scores: list[float]) -> None:
    found = softmax(scores)
    assert sum(found) == pytest.approx(1)
    assert found[scores.index(max(scores))] == max(found)


def test_time_is_compared_with_the_limits_of_batch_and_track(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    batches = batch_times(run)
    assert [(batch.task_type, batch.questions) for batch in batches] == [
        ("multiple-choice", 4),
        ("named_entity_recognition", 2),
    ]
    assert [batch.seconds for batch in batches] == pytest.approx([8.0, 4.0])
    assert "20 % of the evaluator's limit" in written(tmp_path, run.folder)
    found = {time.track.number: time for time in track_times(run)}
    assert list(found) == [2, 3, 5]
    third = found[3]
    assert (third.questions, third.expected, third.tokens_read) == (2, 2373, 30.0)
    assert third.minutes == pytest.approx((2.0 * 2373 + 30.0) / 60)
    assert third.verdict == "OVER"
    assert third.share == pytest.approx(third.minutes / 30)


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


def test_runs_of_other_questions_and_the_same_run_twice_are_refused(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a")
    with pytest.raises(UserError, match="answered other questions than"):
        read_runs([first, make_run(tmp_path / "b", FIRST[:4], QUESTIONS[:4])])
    with pytest.raises(UserError, match="is named twice"):
        read_runs([first, first])


def test_runs_of_the_same_name_get_different_names(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "x" / "out"), make_run(tmp_path / "y" / "out")])
    assert [run.name for run in runs] == ["x/out", "y/out"]


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
