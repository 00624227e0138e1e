"""Which queries are so near to one of a few that a search would take one for the other."""

import math
from collections.abc import Iterable

from retrieval.products.catalogue import NEAREST, shared

# A product of two numbers may come out a little above the whole number that it is.
_ROUNDING = 1e-9


class NearQueries:
    """Queries as sets of words, found by their words."""

    def __init__(self, queries: Iterable[frozenset[str]]) -> None:
        self._queries = [query for query in dict.fromkeys(queries) if query]
        self._holding: dict[str, list[int]] = {}
        for number, query in enumerate(self._queries):
            for word in query:
                self._holding.setdefault(word, []).append(number)

    def near(self, asked: frozenset[str]) -> bool:
        """Tell whether a query shares at least `NEAREST` of the words of both.

        Whoever shares that much has one of the rarest words of `asked`: the others alone are too few (the prefix
        filter of Chaudhuri et al., 2006).
        """
        needed = math.ceil(NEAREST * len(asked) - _ROUNDING)
        rarest = sorted(asked, key=lambda word: len(self._holding.get(word, ())))[: len(asked) - needed + 1]
        numbers = {number for word in rarest for number in self._holding.get(word, ())}
        return any(shared(asked, self._queries[number]) >= NEAREST for number in numbers)
