"""Chat templates as people have them: those without a system message, those of strict turns, and none at all."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.answering.tokens import TextCoder, head, plain_tokens, render
from models.engines.interface import EngineError
from models.engines.process.worker import warm_up
from models.engines.transformers_engine.engine import CausalLM, TransformersEngine
from prompts.prompt import Message
from tests.conftest import TINY
from tests.models.engines.test_engine import MIXED
from utilities.errors import UserError

pytestmark = pytest.mark.slow

_TURNS = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</s>{% endfor %}"
_OPEN = "{% if add_generation_prompt %}<assistant>{% endif %}"
TEMPLATES: Mapping[str, str] = {
    "refuses a system message": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        + _TURNS
        + _OPEN
    ),
    "wants turns to alternate": (
        "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('turns alternate') }}{% endif %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}" + _OPEN
    ),
    "drops a system message": (
        "{{ bos_token }}{% for m in messages if m['role'] != 'system' %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
        + _OPEN
    ),
    "calls what does not exist for a system message": (
        "{% if messages[0]['role'] == 'system' %}{{ nothing.at.all() }}{% endif %}" + _TURNS + _OPEN
    ),
}
CHAT = (Message("system", "You sell lamps. "), Message("user", "Which lamp?"))


def with_template(folder: Path, source: Path, template: str | None) -> Path:
    shutil.copytree(source, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    config.pop("chat_template", None)
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(params=TEMPLATES)
def folder(request: pytest.FixtureRequest, tiny_folder: Path, tmp_path: Path) -> Path:
    return with_template(tmp_path / "model", tiny_folder, TEMPLATES[request.param])


@pytest.fixture
def coder(folder: Path, tiny_model: CausalLM) -> TextCoder:
    return TextCoder(folder, tiny_model.model.generation_config)


def test_the_system_text_stands_at_the_head_of_the_first_user_turn(coder: TextCoder) -> None:
    text = render(coder, CHAT, " Answer:")
    assert text.count("You sell lamps.") == text.count("Which lamp?") == 1
    assert text.index("<user>You sell lamps. \n\nWhich lamp?") < text.index("<assistant> Answer:")
    assert text.endswith("<assistant> Answer:")
    assert render(coder, CHAT[1:]).count("Which lamp?") == 1


def test_an_empty_system_message_leaves_the_user_turn_alone(coder: TextCoder) -> None:
    assert "<user>Which lamp?" in render(coder, (Message("system", ""), CHAT[1]))


def test_chats_with_one_system_message_share_its_tokens(coder: TextCoder) -> None:
    shared = head(coder, "You sell lamps.")
    assert coder.encode(render(coder, (Message("system", "You sell lamps."), CHAT[1])))[: len(shared)] == shared
    assert len(shared) > len(coder.encode("You sell lamps."))


def test_an_engine_with_such_a_template_starts_and_answers(folder: Path) -> None:
    engine = TransformersEngine(folder, replace(TINY, weights=str(folder)))
    warm_up(engine)
    assert all(answer.text for answer in engine.answer(MIXED))


def test_a_template_that_takes_a_system_message_keeps_it(tiny_model: CausalLM) -> None:
    text = render(tiny_model, CHAT)
    assert "<|im_start|>system\nYou sell lamps. <|im_end|>" in text
    assert "<|im_start|>user\nWhich lamp?<|im_end|>" in text


@pytest.mark.parametrize("template", ["{{ raise_exception('never') }}", "{{ messages[0].content", "{% endfor %}"])
def test_a_template_that_cannot_be_rendered_at_all_ends_the_start_in_a_sentence(
    template: str, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = with_template(tmp_path / "model", tiny_folder, template)
    engine = TransformersEngine(folder, replace(TINY, weights=str(folder)))
    for start in (lambda: warm_up(engine), lambda: engine.answer(MIXED)):
        with pytest.raises(UserError, match=r"the chat template cannot be rendered \(.+\): repair it .*chat_template"):
            start()


def test_an_engine_that_fails_for_good_ends_the_start(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine(tiny_folder, replace(TINY, weights=str(tiny_folder)))

    def fail(*_: object) -> None:
        raise EngineError("two\nlines")

    monkeypatch.setattr(engine, "answer", fail)
    with pytest.raises(UserError, match=r"\(EngineError: two lines\)"):
        warm_up(engine)


def test_without_a_template_texts_begin_with_the_token_of_their_beginning(templateless_model: CausalLM) -> None:
    begin = templateless_model.tokenizer.bos_token_id
    assert begin is not None
    chat = templateless_model.encode(render(templateless_model, CHAT, "Answer:"))
    plain = plain_tokens(templateless_model, "A lamp of steel")
    assert (chat[0], plain[0]) == (begin, begin)
    assert (chat.count(begin), plain.count(begin)) == (1, 1)


def test_a_tokenizer_without_such_a_token_gets_none(
    templateless_model: CausalLM, tmp_path: Path, tiny_folder: Path
) -> None:
    folder = with_template(tmp_path / "model", tiny_folder, None)
    coder = TextCoder(folder, templateless_model.model.generation_config)
    coder.tokenizer.bos_token = None
    assert render(coder, CHAT, "Answer:").startswith("You sell lamps.")
    assert plain_tokens(coder, "A lamp") == coder.encode("A lamp")


def test_a_model_with_a_template_gets_plain_texts_as_its_tokenizer_makes_them(tiny_model: CausalLM) -> None:
    assert plain_tokens(tiny_model, "A lamp") == tiny_model.tokenizer.encode("A lamp")
