import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chromium import CHROMIUM, Browser
from evaluation.report.page import write_report
from evaluation.report.runs import read_runs
from tests.evaluation.report.report_runs import FIRST, HOSTILE, QUESTIONS, SECOND, choice, make_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of two runs with 60 questions, one of them hostile."""
    folder = tmp_path_factory.mktemp("report")
    questions = [*QUESTIONS, *(choice(number, number % 2) for number in range(10, 64))]
    first = make_run(folder / "a", FIRST + ["0"] * 54, questions, {7: {"fallback": HOSTILE}})
    second = make_run(folder / "b", SECOND + ["1"] * 54, questions, {7: {"fallback": HOSTILE}})
    write_report(read_runs([first, second]), folder / "report.html")
    return (folder / "report.html").as_uri()


COUNT = "document.getElementById('count').textContent"
CHOSEN = "document.querySelector('.row[aria-expanded=true]')?.dataset.question ?? null"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_wider_than_the_page(browser: Browser, address: str, width: int, scheme: str) -> None:
    browser.open(f"{address}#question=6", width, scheme=scheme)
    assert browser.value("innerWidth") == width
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert browser.value("document.getElementById('detail').textContent.includes('owned')")
    assert browser.complaints() == []
    assert {url.partition(":")[0] for url in browser.requested()} <= {"file", "about"}


def test_hostile_text_is_shown_and_not_run(browser: Browser, address: str) -> None:
    browser.open(f"{address}#question=6", 1400)
    assert browser.value("document.title").startswith("ShopAlign report")
    assert browser.value("document.querySelectorAll('img').length") == 0
    shown = browser.value("document.querySelector('#detail pre').textContent")
    assert shown == QUESTIONS[5].input_field


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", "60 of 60"),
        ("task=entities", "2 of 60"),
        ("run=0&task=options&show=wrong", "29 of 60"),
        ("show=better", "28 of 60"),
        ("show=worse&type=multiple-choice", "27 of 60"),
        ("fallback=yes", "1 of 60"),
        ("q=NORVANE", "1 of 60"),
        ("q=%3C/script%3E", "1 of 60"),
        ("show=partly", "1 of 60"),
        ("task=none", "60 of 60"),
        ("detected=wrong", "0 of 60"),
    ],
)
def test_the_address_says_which_questions_are_shown(browser: Browser, address: str, asked: str, found: str) -> None:
    browser.open(f"{address}#{asked}", 1400)
    assert browser.value(COUNT) == f"{found} questions"
    rows = browser.value("document.querySelectorAll('.row').length")
    assert rows == min(int(found.split()[0]), 50)


def test_keys_walk_through_questions_and_pages(browser: Browser, address: str) -> None:
    browser.open(address, 1400)
    browser.press("j")
    browser.wait(f"{CHOSEN} === '1'")
    browser.press("ArrowDown")
    browser.wait(f"{CHOSEN} === '2'")
    browser.press("k")
    browser.wait(f"{CHOSEN} === '1'")
    browser.press("ArrowRight")
    browser.wait(f"{CHOSEN} === '50'")
    browser.wait("document.getElementById('page').textContent === 'page 2 of 2'")
    browser.press("k")
    browser.wait(f"{CHOSEN} === '49'")
    browser.wait("document.activeElement.dataset.question === '49'")
    browser.press("/")
    browser.press("j")
    browser.wait(f"{COUNT} === '0 of 60 questions'")
    assert browser.value("document.activeElement.name") == "q"


def test_a_question_opens_below_its_row_on_a_phone(browser: Browser, address: str) -> None:
    browser.open(address, 400)
    assert browser.value("document.getElementById('detail').hidden")
    browser.value("document.querySelectorAll('.row')[2].click()")
    browser.wait("document.getElementById('detail').parentElement.firstChild.dataset?.question === '2'")
    assert browser.value("location.hash") == "#question=3"
    browser.value("document.querySelectorAll('.row')[2].click()")
    browser.wait("document.getElementById('detail').hidden")


def test_every_runs_detection_mistakes_are_linked_to(browser: Browser, tmp_path: Path) -> None:
    mistaken = {"a": [1, 2], "b": [3, 0], "c": [], "d": [1, 2]}
    runs = [
        make_run(tmp_path / name, changes={number: {"task_type": "ranking"} for number in numbers})
        for name, numbers in mistaken.items()
    ]
    write_report(read_runs(runs), tmp_path / "report.html")
    browser.open((tmp_path / "report.html").as_uri(), 1400)
    shown = "JSON.stringify([...document.querySelectorAll('.row')].map((row) => Number(row.dataset.question)))"
    # The last click is on a link that is the page's address already.
    for link, name in ((0, "a"), (1, "b"), (0, "d"), (0, "d")):
        browser.value("scrollTo(0, 0)")
        browser.value(f"document.querySelectorAll('#detection .jump')[{link}].click()")
        browser.wait(f"{shown} === '{json.dumps(sorted(mistaken[name]), separators=(',', ':'))}'")
        browser.wait("Math.abs(document.getElementById('questions').getBoundingClientRect().top) < 100")
    assert browser.value("document.querySelectorAll('#detection .jump').length") == 2


@pytest.fixture(scope="module")
def long_names(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of two runs whose names, and those of their tasks, are long."""
    folder = tmp_path_factory.mktemp("names")
    tasks = ("same_product_other_language", "W" * 60, "a name whose end distinguishes it from many others: 2", "_$x$")
    questions = [choice(number, 0, task) for task in tasks for number in range(2)]
    runs = [make_run(folder / f"{FOLDER}_{end}", [end] * len(questions), questions) for end in "01"]
    write_report(read_runs(runs), folder / "report.html")
    return (folder / "report.html").as_uri()


FOLDER = "a_folder_with_a_name_longer_than_a_picture_is_wide_on_a_phone_whose_end_says_what_it_holds"
CUT = """JSON.stringify([...document.querySelectorAll('figure')].flatMap((figure) => {
  const room = figure.getBoundingClientRect();
  return [...figure.querySelectorAll('text, figcaption > span')].filter((each) => {
    const {left, right} = each.getBoundingClientRect();
    return left < room.left || right > room.right || right <= left;
  }).map((each) => each.textContent);
}))"""


@pytest.mark.parametrize("width", [400, 1400])
def test_no_name_in_a_picture_is_cut_off(browser: Browser, long_names: str, width: int) -> None:
    browser.open(long_names, width)
    assert browser.value(CUT) == "[]"
    labels = browser.value("[...document.querySelectorAll('[data-plot=scores] text')].map((each) => each.textContent)")
    assert {"same product other language", "$x$"} <= set(labels)
    legend = browser.value("[...document.querySelectorAll('figcaption > span')].map((each) => each.textContent)")
    assert legend == [f"● {FOLDER}_0", f"■ {FOLDER}_1"]
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
