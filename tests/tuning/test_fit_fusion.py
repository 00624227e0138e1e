"""Fitting how the model's scores and the evidence are weighted: the fit, the rows, saved scores."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.engines.interface import Answer
from prompts.prompt import Prompt
from retrieval.sources import read_weights
from tuning import fit_fusion
from tuning.fit_fusion import cross_validated, fit, subsets, value
from tuning.scored_rows import ScoredRow
from utilities.errors import exit_code

pytestmark = pytest.mark.slow

QUERIES = ("copper kettle", "garden hose", "desk lamp", "red mug", "wool scarf", "steel bottle")


def row(gains: tuple[float, ...], kind: str = "ranking", **scores: tuple[float, ...]) -> ScoredRow:
    return ScoredRow(kind, gains, dict(scores))


def noisy_rows(count: int = 60) -> list[ScoredRow]:
    """Rows whose vectors tell the gains, whose words say nothing, and whose model says the opposite."""
    draw = random.Random(3)
    rows = []
    for _ in range(count):
        gains = tuple(draw.sample((1.0, 0.5, 0.1, 0.0), 4))
        noise = tuple(draw.random() for _ in gains)
        rows.append(row(gains, vectors=gains, lexical=noise, model=tuple(-gain for gain in gains)))
    return rows


def test_the_source_that_tells_the_gains_gets_the_weight_and_one_that_misleads_gets_none() -> None:
    weights = fit(noisy_rows(), ("lexical", "model", "vectors"))
    assert weights["model"] == 0.0
    assert weights["vectors"] > 0.8
    assert sum(weights.values()) == pytest.approx(1.0, abs=0.01)


def test_two_sources_that_tell_the_same_share_the_weight() -> None:
    rows = [row((1.0, 0.0, 0.5), lexical=(3.0, 1.0, 2.0), vectors=(3.0, 1.0, 2.0)) for _ in range(9)]
    assert fit(rows, ("lexical", "vectors")) == pytest.approx({"lexical": 0.5, "vectors": 0.5}, abs=0.01)


@pytest.mark.parametrize("rows", [[], [row((1.0, 1.0), lexical=(1.0, 2.0), vectors=(0.0, 1.0))]])
def test_rows_that_tell_nothing_weigh_the_sources_the_same(rows: list[ScoredRow]) -> None:
    assert fit(rows, ("lexical", "vectors")) == {"lexical": 0.5, "vectors": 0.5}


def test_every_choice_of_sources_has_weights() -> None:
    assert subsets(("model", "lexical", "vectors")) == [
        ("lexical", "model"),
        ("lexical", "vectors"),
        ("model", "vectors"),
        ("lexical", "model", "vectors"),
    ]


def test_the_metric_is_the_evaluators() -> None:
    scores = (0.1, 0.9, 0.5, 0.2, 0.3)
    assert row((1.0, 0.0, 0.0, 0.0, 0.0)).value(scores) == pytest.approx(1 / 2.584962500721156)
    assert row((1.0, 1.0, 0.0, 0.0, 1.0), "aspects").value(scores) == pytest.approx(2 / 3)
    assert row((0.0, 1.0, 0.0, 0.0, 0.0), "choice").value(scores) == 1.0


def test_cross_validation_scores_rows_that_were_not_fitted() -> None:
    assert cross_validated(noisy_rows(), ("lexical", "model", "vectors")) > 0.98
    assert value([row((0.0, 1.0), lexical=(1.0, 2.0))], {"lexical": 1.0}) == [1.0]


def question(query: str) -> dict[str, object]:
    items = [query, "green " + query, "paper bag", "glass vase", "iron nail"]
    listed = "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
    text = f"Rank the products for the search.\nQuery: {query}\nProducts:\n{listed}\nAnswer with the numbers:"
    return {"input_field": text, "output_field": [1.0, 0.1, 0.0, 0.0, 0.0], "task": "order", "task_type": "ranking",
            "metric": "ndcg"}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [question(query) for query in QUERIES]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "engine: {max_prompt_tokens: 256, device: cpu}\nknowledge: {similarity: lexical}\n", encoding="utf-8"
    )
    monkeypatch.setenv("SHOPALIGN_SETTINGS", str(settings))
    monkeypatch.setenv("SHOPALIGN_WEIGHTS", str(tiny_folder))
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    given = ["--rows", str(folder / "rows.jsonl"), "--output", str(folder / "w.yaml"), *arguments]
    return exit_code(lambda: fit_fusion.main([*given, "--scores", str(folder / "kept")]))


class Scorer:
    """An engine that prefers the first candidate, and counts the prompts."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, prompts: Sequence[Prompt], _ways: object, _seconds: float) -> list[Answer]:
        self.asked += len(prompts)
        return [Answer("1", (4.0, 1.0, 0.5, 0.2, 0.1)) for _ in prompts]


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Scorer:
    engine = Scorer()
    monkeypatch.setattr("tuning.scored_rows.start_engine", lambda _: engine)
    return engine


def test_weights_are_fitted_with_a_real_model_written_and_resumed(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(files) == 0
    assert "ranking (6 rows): model alone" in capsys.readouterr().out
    weights = read_weights(files / "w.yaml")
    assert set(weights["ranking"]) == {"lexical+model"}
    kept = (files / "kept").read_text(encoding="utf-8")
    assert len(kept.splitlines()) == len(QUERIES)
    monkeypatch.setattr("tuning.scored_rows.start_engine", lambda _: pytest.fail("asked twice"))
    assert run(files) == 0
    assert read_weights(files / "w.yaml") == weights


def test_a_half_written_line_of_kept_scores_is_made_again(files: Path, scorer: Scorer) -> None:
    assert run(files) == 0
    kept = (files / "kept").read_text(encoding="utf-8")
    (files / "kept").write_text(kept[:-20], encoding="utf-8")
    assert run(files) == 0
    assert scorer.asked == len(QUERIES) + 1
    assert (files / "kept").read_text(encoding="utf-8") == kept


def test_rows_that_evaluation_files_hold_are_left_out(
    files: Path, scorer: Scorer, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (files / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    (files / "seen.jsonl").write_text(lines[0] + "\n", encoding="utf-8")
    assert run(files, "--against", str(files / "seen.jsonl")) == 2
    (files / "seen.jsonl").write_text("\n".join(lines[:2]) + "\n", encoding="utf-8")
    assert run(files, "--against", str(files / "seen.jsonl")) == 0
    assert "ranking (4 rows)" in capsys.readouterr().out
    assert scorer.asked == 4


@pytest.mark.parametrize(("content", "complaint"), [("{", "line 1"), ("", "is empty")])
def test_rows_that_cannot_be_read_are_named(
    files: Path, capsys: pytest.CaptureFixture[str], content: str, complaint: str
) -> None:
    (files / "rows.jsonl").write_text(content, encoding="utf-8")
    assert run(files) == 2
    assert complaint in capsys.readouterr().err


def test_a_file_that_holds_no_scores_is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "kept").write_text("hello\n", encoding="utf-8")
    assert run(files) == 2
    assert "is not a file of scores" in capsys.readouterr().err
