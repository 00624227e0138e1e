"""Similarity of texts: the cosine of their embeddings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.embeddings import Encode, NotScorableError, load_encoder, load_folder
from retrieval.settings import PACKAGED
from utilities.errors import UserError


class Vectors:
    """Compares a query with candidates by an embedding model."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode

    def similarity(self, query: str, candidates: Sequence[str]) -> tuple[float, ...]:
        """Return the cosine of query and candidate embeddings, -1 to 1; 0 for an embedding of length 0."""
        if not candidates:
            return ()
        # In separate batches: a batch is padded to its longest text, and a review is ten times as long as a candidate.
        (asked,), units = self._units([query]), self._units(candidates)
        return tuple(float(cosine) for cosine in units @ asked)

    def _units(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = self._encode(texts)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        units: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return units


def load_vectors(named: str) -> Vectors:
    """Load the packaged model by its name, or the sentence-transformers model of a folder, onto the CPU.

    Raises:
        UserError: this machine has no such model.
    """
    try:
        return Vectors(load_encoder(PACKAGED) if named == PACKAGED else load_folder(Path(named).expanduser()))
    except NotScorableError as error:
        raise UserError(f"setting knowledge.vectors: {error}") from None
