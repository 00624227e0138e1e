"""Settings of the evidence: its sources, the catalogue of products, and how scores are combined."""

from dataclasses import field
from typing import Literal

from retrieval.embeddings import PACKAGED
from utilities.typed_yaml import Whole, checked

FITTED, RECIPROCAL_RANK = "fitted", "reciprocal_rank"


@checked
class FuseSettings:
    """The kinds of question that evidence takes part in; the model alone decides the others."""

    choice: bool = True
    ranking: bool = True
    also_bought: bool = True
    next_query: bool = True
    aspects: bool = True
    snippets: bool = True


@checked
class KnowledgeSettings:
    """Settings of the evidence. Folders and files are relative to the repository.

    Attributes:
        similarity: how texts are compared: `lexical` (BM25), `vectors`, or both joined by "+". vectors:
        all-MiniLM-L6-v2 from its package, or the folder of another sentence-transformers model. catalog: a folder that
        `python -m retrieval.products build` made, empty for none. related: how many of the catalogue's products a
        ranking question shows. combine: `fitted`, by fitted weights, or `reciprocal_rank`. weights: the file of fitted
        weights; empty for the file in retrieval/fitted_weights that was fitted for the model. fuse: the kinds of
        question that evidence is combined for.
    """

    similarity: Literal["lexical", "vectors", "lexical+vectors", "vectors+lexical"] = "lexical+vectors"
    vectors: str = PACKAGED
    catalog: str = ""
    related: Whole = 3
    combine: Literal["fitted", "reciprocal_rank"] = "fitted"
    weights: str = ""
    fuse: FuseSettings = field(default_factory=FuseSettings)
