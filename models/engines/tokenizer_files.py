"""The check that a model folder has a whole tokenizer, made without loading it."""

from pathlib import Path

from models.engines.damaged_files import DamagedFileError, read_model_json, refuse_foreign

_WHOLE, _CONFIG = "tokenizer.json", "tokenizer_config.json"
_PARTS = {"tokenizer.model": (), "vocab.json": ("merges.txt",)}
"""Vocabularies that do without tokenizer.json -> the files that each needs."""
_FURTHER = ("special_tokens_map.json", "added_tokens.json")
_TEMPLATE = "chat_template.jinja"
_COPY = "copy the tokenizer's files from where the model comes from"


def check_tokenizer(folder: Path) -> None:
    """Raise a `DamagedFileError` unless `folder` holds a vocabulary and tokenizer_config.json, both readable."""
    _check_vocabulary(folder)
    if not (folder / _CONFIG).exists():
        raise DamagedFileError(folder, f"has half a tokenizer: {_CONFIG} is missing", _COPY)
    for name in (_CONFIG, *(name for name in _FURTHER if (folder / name).exists())):
        read_model_json(folder / name)
    if (folder / _TEMPLATE).exists():
        refuse_foreign(folder / _TEMPLATE)


def _check_vocabulary(folder: Path) -> None:
    if (folder / _WHOLE).exists() or (folder / _WHOLE).is_symlink():
        # Some architectures get an empty tokenizer from transformers if it has none.
        if not isinstance(read_model_json(folder / _WHOLE).get("model"), dict):
            raise DamagedFileError(folder / _WHOLE, "has no vocabulary in the field model")
        return
    found = next((name for name in _PARTS if (folder / name).exists()), None)
    if found is None:
        raise DamagedFileError(folder, f"has no tokenizer: there is none of {', '.join((_WHOLE, *_PARTS))}", _COPY)
    for name in (found, *_PARTS[found]):
        if not (folder / name).exists():
            raise DamagedFileError(folder, f"has half a tokenizer: {found} without {name}", _COPY)
        refuse_foreign(folder / name)
