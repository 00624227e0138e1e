from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from gguf import MODEL_ARCH, GGUFWriter, TokenType, get_tensor_name_map
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from models.engines.gguf_conversion import SAMPLES, check_tokenizer, convert
from utilities.errors import UserError

pytestmark = pytest.mark.slow

WIDTH, HEADS, KEY_HEADS = 32, 4, 2
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = {"Ċ Ċ": "ĊĊ", "Ġ Ġ": "ĠĠ"}
VOCABULARY = MARKS + sorted(pre_tokenizers.ByteLevel.alphabet()) + list(MERGES.values())
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"


def tiny_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
    )
    build: Callable[[LlamaConfig], LlamaForCausalLM] = LlamaForCausalLM
    return build(config)


def in_gguf_order(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Interleave a head's two rotary halves, as GGUF files of Llama models have them."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(path: Path, model: LlamaForCausalLM, template: str | None = TEMPLATE) -> None:
    config = model.config
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(VOCABULARY))
    add_tokenizer(writer, template)
    add_tensors(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: GGUFWriter, template: str | None) -> None:
    types = [TokenType.CONTROL if token in MARKS else TokenType.NORMAL for token in VOCABULARY]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(VOCABULARY)
    writer.add_token_types(types)
    writer.add_token_merges(list(MERGES))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if template is not None:
        writer.add_chat_template(template)


def add_tensors(writer: GGUFWriter, model: LlamaForCausalLM) -> None:
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    heads = {"q_proj": HEADS, "k_proj": KEY_HEADS}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        kind = name.split(".")[-2]
        ordered = in_gguf_order(weight, heads[kind]) if kind in heads else weight
        gguf_name = names.get_name(name.removesuffix(".weight"))
        assert gguf_name is not None
        writer.add_tensor(f"{gguf_name}.weight", ordered.contiguous().numpy())


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    gguf = folder.parent / "tiny.gguf"
    write_gguf(gguf, tiny_llama())
    convert(gguf, folder)
    return folder


def test_the_converted_model_has_the_logits_of_the_original(converted: Path) -> None:
    tokens = torch.tensor([[5, 80, 33, 7, 120, 2]])
    model = AutoModelForCausalLM.from_pretrained(converted)
    assert model.dtype == torch.float32
    with torch.inference_mode():
        torch.testing.assert_close(model(tokens).logits, tiny_llama()(tokens).logits)


def test_the_converted_config_is_not_quantized_and_embeddings_are_saved_once(converted: Path) -> None:
    assert "quantization_config" not in (converted / "config.json").read_text()
    model = AutoModelForCausalLM.from_pretrained(converted)
    weights = sum(parameter.numel() for parameter in model.parameters())
    # A second copy of the embeddings would be a third more than this.
    assert (converted / "model.safetensors").stat().st_size < 4 * weights + 4 * len(VOCABULARY) * WIDTH


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A:\n\n1", ["A", ":", "ĊĊ", "1"]),
        ("A  12", ["A", "ĠĠ", "1", "2"]),
        ("A 1", ["A", "Ġ", "1"]),
        ("<|im_start|>A<|im_end|>", ["<|im_start|>", "A", "<|im_end|>"]),
    ],
)
def test_the_converted_tokenizer_cuts_digits_off_first(text: str, tokens: list[str], converted: Path) -> None:
    assert AutoTokenizer.from_pretrained(converted).tokenize(text) == tokens


@pytest.mark.parametrize("text", SAMPLES)
def test_the_converted_tokenizer_gives_text_back(text: str, converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_chat_template_comes_along(converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted)
    turn = [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(turn, tokenize=False) == "<|im_start|>hi<|im_end|>"


def test_a_tokenizer_that_loses_text_is_refused(converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(UserError, match="does not give back"):
        check_tokenizer(tokenizer)


@pytest.mark.parametrize("template", ["{{ bos_token }}", None])
def test_a_template_that_drops_the_question_is_refused(template: str | None, tmp_path: Path) -> None:
    gguf = tmp_path / "tiny.gguf"
    write_gguf(gguf, tiny_llama(), template)
    with pytest.raises(UserError, match="chat template"):
        convert(gguf, tmp_path)
