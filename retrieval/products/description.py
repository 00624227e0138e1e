"""A catalogue in words, for a person."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from retrieval.products.catalogue import Hit, Related
from retrieval.products.manifest import Manifest, Source

NOTHING_LEFT_OUT = "nothing was left out: scores on questions made from the same data may contain their own answers"


def describe(folder: Path, manifest: Manifest) -> list[str]:
    """Return lines that say what a catalogue holds, what it was made of, and what was left out of it."""
    counts, settings, made = manifest.counts, manifest.settings, manifest.versions
    size = sum(entry.bytes for entry in manifest.files)
    return [
        f"{folder}: {counts.products:,} products, {counts.queries:,} known queries "
        f"({counts.judgements:,} judgements), {size / 1e6:.1f} MB",
        f"made {manifest.created} by shopalign {made.shopalign}, tantivy {made.tantivy}, Python {made.python}",
        f"indexed: {', '.join(settings.indexed)}; stemming: {settings.stemming}; "
        f"locales: {', '.join(settings.locales) or 'all'}; split: {settings.split or 'all'}",
        *(line for source in manifest.sources for line in _source(source)),
        exclusion(manifest),
    ]


def exclusion(manifest: Manifest) -> str:
    """Say whether evaluation files were left out of a catalogue, and which."""
    if not manifest.excluded:
        return NOTHING_LEFT_OUT
    files = (
        f"{each.file} ({each.products:,} products, {each.queries:,} queries; sha256 {each.sha256[:12]})"
        for each in manifest.excluded
    )
    return f"rows of these evaluation files were left out: {', '.join(files)}"


def print_found(hits: Sequence[Hit], related: Related | None) -> None:
    """Print hits with their scores, and related products with where they come from."""
    for hit in hits:
        print(f"{hit.score:8.3f}  {hit.title}")
    if not hits:
        print("no product has a word of this query")
    if related:
        print(f"related, from: {related.source}")
        print("\n".join(f"          {title}" for title in related.titles))


def _source(source: Source) -> Iterator[str]:
    yield f"{source.file} ({source.holds}): {source.kept:,} of {source.rows:,} rows kept"
    yield from (f"  left out, {each.reason}: {each.rows:,}" for each in source.dropped)
