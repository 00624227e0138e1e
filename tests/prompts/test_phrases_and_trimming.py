from hypothesis import given
from hypothesis import strategies as st

from prompts.phrases import phrases, without_overlap
from prompts.prompt import Spans, Text, admits
from prompts.trimming import trim

WORDS = (
    "red", "Mug", "12oz", "men's", "ステンレス", "水筒", "の", "ー", "größe", "🙂", "!!", "(", ")", "'", '"',
    ",", "、", "。", ".", "...", "kids,", "[steel]", "1.5", "½", "a,b", "\u00a0", "\u3000", "\n", "\t", "İ",
    "ß", "**bold**",
)  # fmt: skip
MIXED = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["", " ", "  "])), max_size=14).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)
SOURCES = st.one_of(MIXED, st.text(max_size=60))
SPANS = st.builds(Spans, SOURCES.filter(str.strip), st.integers(1, 3), st.integers(1, 5))


@given(SPANS)
def test_every_phrase_is_an_answer(space: Spans) -> None:
    for phrase in phrases(space):
        assert admits(space, phrase), repr(phrase)


@given(SPANS)
def test_no_phrase_is_blank_or_has_blanks_at_its_edges(space: Spans) -> None:
    assert all(phrase and phrase == phrase.strip() for phrase in phrases(space))


@given(SPANS)
def test_no_phrase_comes_twice_even_in_another_case(space: Spans) -> None:
    found = [phrase.lower() for phrase in phrases(space)]
    assert len(set(found)) == len(found)


@given(SPANS, st.data())
def test_phrases_that_share_no_place_are_an_answer_together(space: Spans, data: st.DataObject) -> None:
    found = phrases(space)
    if found:
        ranked = data.draw(st.permutations(found))
        chosen = without_overlap(space.source, ranked, space.max_spans)
        assert chosen[0] == ranked[0]
        assert admits(space, ", ".join(chosen))


def test_phrases_do_not_cross_the_end_of_a_clause() -> None:
    found = phrases(Spans("Red mug. Blue lid, steel", 1, 5))
    assert {"Red mug", "Blue lid", "steel"} <= set(found)
    assert not any("mug" in phrase and "Blue" in phrase for phrase in found)


def test_phrases_are_at_most_as_long_as_asked_and_in_order() -> None:
    assert phrases(Spans("one two three", 1, 2)) == ["one", "one two", "two", "two three", "three"]


def test_punctuation_is_left_out_at_the_edges_and_kept_inside() -> None:
    assert phrases(Spans("(men's) 1.5l", 1, 2)) == ["men's", "men's) 1.5l", "1.5l"]


def test_japanese_words_part_where_the_script_changes() -> None:
    found = phrases(Spans("ステンレスの水筒", 1, 3))
    assert {"ステンレス", "水筒", "ステンレスの水筒"} <= set(found)


@given(st.text(alphabet=" .,!?()。、\n", min_size=1, max_size=20).filter(str.strip))
def test_punctuation_alone_holds_no_phrase(source: str) -> None:
    assert phrases(Spans(source, 1, 5)) == []


KEPT = st.lists(st.sampled_from(["XK-200", "1.5 l", "USB", "12", "USB-C", "2", "B"]), max_size=4, unique=True).map(
    tuple
)


@st.composite
def texts(draw: st.DrawFn) -> Text:
    keep = draw(KEPT)
    least = max(1, sum(len(phrase.split()) for phrase in keep))
    stop = draw(st.sampled_from([("\n",), ("\n\n",), ("\n", "Question:"), ()]))
    return Text(draw(st.integers(least, least + 12)), stop, keep)


RAW = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(["the", "XK-200.", "USB-C,", "1.5", "l", "\n", "\n\n", "Question:", "end.", "水。", "2"])
    ).map(" ".join),
)


@given(RAW, texts())
def test_trimmed_text_is_empty_or_an_answer(raw: str, space: Text) -> None:
    text = trim(raw, space)
    assert text == "" or admits(space, text)


@given(RAW, texts())
def test_trimming_twice_changes_nothing_more(raw: str, space: Text) -> None:
    once = trim(raw, space)
    assert trim(once, space) == once


@given(texts())
def test_nothing_written_leaves_what_has_to_be_kept(space: Text) -> None:
    assert trim(" \n", space) == " ".join(space.keep)


def test_text_that_fits_stays_as_it_is() -> None:
    assert trim("  A kettle,  quiet.  ", Text(5)) == "A kettle,  quiet."


def test_text_is_cut_at_the_first_stop() -> None:
    assert trim("A kettle.\nQuestion: why?", Text(10, stop=("\n",))) == "A kettle."
    assert trim("A\nkettle.\n\nMore", Text(10, stop=("\n\n",))) == "A\nkettle."


def test_a_long_text_ends_with_its_last_whole_sentence() -> None:
    assert trim("It boils fast. It is quiet. It also has a lid", Text(8)) == "It boils fast. It is quiet."


def test_a_text_without_a_sentence_end_is_cut_at_the_limit_without_a_dangling_comma() -> None:
    assert trim("a quiet kettle, with a lid", Text(3)) == "a quiet kettle"


def test_a_short_first_sentence_does_not_cost_the_rest() -> None:
    assert trim("Yes. It boils a litre in three minutes", Text(6)) == "Yes. It boils a litre in"


def test_missing_phrases_are_appended_and_make_room_for_themselves() -> None:
    text = trim("ein leiser Kocher für die Küche", Text(5, keep=("XK-200", "1.5 l")))
    assert text.endswith("XK-200 1.5 l")
    assert text.startswith("ein leiser")
