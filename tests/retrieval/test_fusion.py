import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.knowledge import FittedSum, ReciprocalRank, SwitchedFusion, key_of, ranks
from retrieval.settings import FuseSettings, KnowledgeSettings
from retrieval.sources import FOLDER, open_knowledge, read_weights, weights_file
from utilities.errors import UserError

WEIGHTS = "kinds:\n  ranking:\n    weights:\n      lexical+model: {lexical: 0.25, model: 0.75}\n"


def test_the_weighted_sum_is_that_worked_out_by_hand() -> None:
    """(1, 2, 3) has the mean 2 and the deviation sqrt(2/3); (5, 5, 2) the mean 4 and the deviation sqrt(2)."""
    combined = FittedSum({"ranking": {"a+b": {"a": 0.25, "b": 2.0}}}).combine(
        "ranking", {"a": (1, 2, 3), "b": (5, 5, 2)}
    )
    first = 0.25 * -1 / math.sqrt(2 / 3) + 2 * 1 / math.sqrt(2)
    second = 0.25 * 0 + 2 * 1 / math.sqrt(2)
    third = 0.25 * 1 / math.sqrt(2 / 3) + 2 * -2 / math.sqrt(2)
    assert combined == pytest.approx((first, second, third))


def test_reciprocal_ranks_are_those_worked_out_by_hand() -> None:
    combined = ReciprocalRank().combine("ranking", {"a": (0.9, 0.5, 0.1), "b": (0.0, 7.0, 7.0)})
    assert combined == pytest.approx((1 / 61 + 1 / 63, 1 / 62 + 1 / 61.5, 1 / 63 + 1 / 61.5))


def test_equal_scores_share_their_mean_rank() -> None:
    assert ranks((3.0, 1.0, 3.0, 3.0)) == [2.0, 4.0, 2.0, 2.0]


def test_a_model_without_fitted_weights_decides_alone() -> None:
    combined = FittedSum({}).combine("ranking", {"lexical": (9.0, 1.0), "model": (-2.0, -1.0)})
    assert combined[1] > combined[0]


def test_evidence_without_fitted_weights_counts_the_same() -> None:
    combined = FittedSum({}).combine("ranking", {"lexical": (1.0, 0.0), "vectors": (0.0, 5.0)})
    assert combined == pytest.approx((0.0, 0.0))


def test_sources_without_weights_of_their_own_are_left_out() -> None:
    fitted = FittedSum({"ranking": {"lexical+model": {"lexical": 1.0, "model": 0.0}, "lexical+vectors": {}}})
    scores = {"lexical": (2.0, 1.0, 0.0), "model": (0.0, 1.0, 2.0), "related": (0.0, 5.0, 0.0)}
    assert list(fitted.combine("ranking", scores)) == pytest.approx([1.2247449, 0.0, -1.2247449])


def test_weights_that_leave_out_the_model_never_outvote_it() -> None:
    fitted = FittedSum({"ranking": {"lexical+vectors": {"lexical": 0.5, "vectors": 0.5}}})
    scores = {"lexical": (2.0, 1.0), "vectors": (2.0, 1.0), "model": (0.0, 1.0)}
    assert fitted.combine("ranking", scores)[1] > 0


def test_no_evidence_gives_no_scores() -> None:
    assert FittedSum({}).combine("ranking", {}) == ReciprocalRank().combine("ranking", {}) == ()


def test_a_kind_that_is_switched_off_is_the_models_alone() -> None:
    switched = SwitchedFusion(ReciprocalRank(), FuseSettings(snippets=False))
    scores = {"lexical": (9.0, 1.0, 0.0), "model": (-3.0, -2.0, -1.0)}
    assert switched.combine("snippets", scores) == (-3.0, -2.0, -1.0)
    assert switched.combine("aspects", scores) == ReciprocalRank().combine("aspects", scores)
    assert switched.combine("snippets", {"lexical": (9.0, 1.0)}) == ReciprocalRank().combine(
        "x", {"lexical": (9.0, 1.0)}
    )


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), min_size=1))
def test_scale_and_offset_of_a_source_change_nothing(scores: dict[str, list[float]]) -> None:
    moved = {name: [3.0 * score + 7.0 for score in each] for name, each in scores.items()}
    once, again = (FittedSum({}).combine("x", given) for given in (scores, moved))
    assert once == pytest.approx(again, abs=1e-3) or any(max(each) - min(each) < 1e-3 for each in scores.values())


def test_weights_are_read_by_kind_and_sources(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(WEIGHTS, encoding="utf-8")
    assert read_weights(path) == {"ranking": {"lexical+model": {"lexical": 0.25, "model": 0.75}}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "pairs of names"),
        ("kinds: 3", "`kinds` is missing"),
        ("kinds: {sorting: {}}", "unknown kind 'sorting'"),
        ("kinds: {ranking: 3}", "`weights` is missing"),
        (WEIGHTS.replace("lexical+model", "model+lexical"), "alphabetical"),
        (WEIGHTS.replace("lexical+model", "lexical"), "alphabetical"),
        (WEIGHTS.replace("lexical", "guess"), "alphabetical"),
        (WEIGHTS.replace("0.25", "much"), "must be a number"),
        (WEIGHTS.replace("0.25", ".nan"), "must be a number"),
        (WEIGHTS.replace("0.25", "true"), "must be a number"),
        ("{", "not YAML"),
    ],
)
def test_weights_that_cannot_be_used_are_named_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"w\.yaml") as raised:
        read_weights(path)
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_committed_file_of_weights_can_be_read_and_names_all_kinds() -> None:
    files = sorted(FOLDER.glob("*.yaml"))
    assert files
    assert all(len(read_weights(file)) == 6 for file in files)


def test_weights_are_found_by_the_models_fingerprint_whatever_its_adapters_folder_is_called(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"fitted: {{weights_sha256: base}}\n{WEIGHTS}", encoding="utf-8")
    (tmp_path / "mine+a.yaml").write_text(f"fitted: {{weights_sha256: tuned}}\n{WEIGHTS}", encoding="utf-8")

    def found(**identity: str) -> str:
        path = weights_file(KnowledgeSettings(), {"model": "mine", **identity}, tmp_path)
        return path.name if path else "none"

    assert found(adapter="somewhere/copy", weights_sha256="tuned") == "mine+a.yaml"
    assert found(adapter="models/a", weights_sha256="base") == "mine.yaml"
    assert found(adapter="models/a", weights_sha256="other") == "mine+a.yaml"
    assert found(adapter="models/b", weights_sha256="other") == "mine.yaml"
    assert found(model="unknown", weights_sha256="other") == "none"


@pytest.mark.slow
def test_a_model_that_nothing_was_fitted_for_decides_alone_and_that_is_counted() -> None:
    known = open_knowledge(KnowledgeSettings(), {"model": "of nobody", "weights_sha256": "x"})
    assert known.combiner.combine("ranking", {"lexical": (9.0, 1.0), "model": (-2.0, -1.0)})[0] < 0
    assert known.events == {"no fusion weights for the model": 1}


@pytest.mark.slow
def test_a_named_file_of_weights_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml"):
        open_knowledge(KnowledgeSettings(weights=str(tmp_path / "none.yaml")), {"model": "any"})


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["weights_sha256", "choice", "selection"])
def test_weights_fitted_for_another_model_or_way_are_not_used_and_that_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    identity = {"model": "mine", "weights_sha256": "abc", "choice": "pmi", "selection": "pmi"}
    fitted = "fitted: {weights_sha256: abc, choice: pmi, selection: pmi}\n"
    given = WEIGHTS.replace("0.25", "1").replace("0.75", "0") + "      lexical+vectors: {lexical: 1, vectors: 0}\n"
    (tmp_path / "mine.yaml").write_text(fitted + given, encoding="utf-8")
    monkeypatch.setattr("retrieval.sources.weights_file", lambda *_: tmp_path / "mine.yaml")
    scores = {"lexical": (9.0, 1.0), "model": (-2.0, -1.0)}
    used = open_knowledge(KnowledgeSettings(), identity)
    assert used.combiner.combine("ranking", scores)[0] > 0
    assert used.events == {}
    refused = open_knowledge(KnowledgeSettings(), {**identity, changed: "other"})
    assert refused.combiner.combine("ranking", scores)[0] < 0
    assert refused.combiner.combine("ranking", {"lexical": (9.0, 1.0), "vectors": (1.0, 9.0)})[0] > 0
    assert refused.events == {"fusion weights of another model not used": 1}


def test_sources_are_named_in_one_order() -> None:
    assert key_of({"vectors": (1,), "lexical": (1,)}) == key_of(["lexical", "vectors"]) == "lexical+vectors"
