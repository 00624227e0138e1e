"""What became of the rows of each source."""

from collections import Counter
from pathlib import Path

from retrieval.products.exclusion import Guard
from retrieval.products.manifest import Dropped, Excluded, Source
from utilities.wheels import sha256


class Tally:
    """Counts the rows of one file."""

    def __init__(self, path: Path, holds: str) -> None:
        self._path = path
        self._holds = holds
        self._dropped: Counter[str] = Counter()
        self.rows = 0

    def drop(self, reason: str) -> None:
        """Count a row that is left out."""
        self._dropped[reason] += 1

    def source(self) -> Source:
        """Return the file with its counts."""
        return Source(
            file=self._path.name,
            holds=self._holds,
            sha256=sha256(self._path),
            bytes=self._path.stat().st_size,
            rows=self.rows,
            kept=self.rows - self._dropped.total(),
            dropped=tuple(Dropped(reason, count) for reason, count in sorted(self._dropped.items())),
        )


class Exclusions:
    """Counts the distinct products and queries that the leak guard holds back."""

    def __init__(self, guard: Guard) -> None:
        self._evaluations = guard.evaluations
        self._products: list[set[int]] = [set() for _ in guard.evaluations]
        self._queries: list[set[str]] = [set() for _ in guard.evaluations]

    def product(self, evaluation: int, folded: str) -> None:
        """Count a product by its folded words."""
        self._products[evaluation].add(hash(folded))

    def query(self, evaluation: int, key: str) -> None:
        """Count a query by its key."""
        self._queries[evaluation].add(key)

    def excluded(self) -> tuple[Excluded, ...]:
        """Return the evaluation files with their counts; what several hold counts for the first of them."""
        counts = zip(self._evaluations, self._products, self._queries, strict=True)
        return tuple(
            Excluded(each.file, each.sha256, len(products), len(queries)) for each, products, queries in counts
        )
