"""ESCI, the Shopping Queries data set: products judged Exact, Substitute, Complement or Irrelevant for a query."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from retrieval.products.columns import JUDGEMENT_COLUMNS, PRODUCT_COLUMNS, Columns
from tuning.selection.rows import Dropped, Filters, Names, Reading, ReadingOptions, Row, from_rows
from utilities.errors import UserError
from utilities.tables import read_rows
from utilities.task_type import TaskType

WORDS = "query, product_id, esci_label (Shopping Queries, KDD Cup 2022), with --products FILE for titles"
FIELDS: Names = (("query",), ("esci_label",))
RANKING, RELATION = "esci_ranking", "esci_relation"
_RANKED = 5
_RANKING_WORDINGS = (
    "A shopper searches for '{query}'. Rank the following numbered products by how relevant they are to this query, "
    "the most relevant one first.\nProduct List:\n{products}\nAnswer with a permutation of 1 to 5, separated by "
    "commas, without any explanation.\nOutput:",
    "Query: {query}\nBelow is a numbered list of 5 products. Order all of them from the most to the least relevant to "
    "the query.\nProducts:\n{products}\nOnly output the five numbers, separated by commas.\nOutput:",
    'Please sort these 5 products by relevance to the search query "{query}":\n{products}\nEach number from 1 to 5 has '
    "to appear exactly once; separate the numbers by commas.\nAnswer:",
)
_RELATION_WORDINGS = (
    "A customer entered the query '{query}' and is shown the product '{product}'. Which statement is right?\n"
    "{options}\nAnswer:",
    "How does the product fit the search query?\nQuery: {query}\nProduct: {product}\n{options}\nOutput:",
)
_RELATIONS: Mapping[float, str] = {
    1.0: "The product meets everything that the query asks for.",
    0.1: "The product misses a part of the query, but can be bought in its place.",
    0.01: "The product is not what the query asks for, but is used together with it.",
    0.0: "The product has nothing to do with the query.",
}


class _Judged(NamedTuple):
    product: str
    title: str
    gain: float


def read(path: Path, options: ReadingOptions) -> Iterator[Reading]:
    """Yield a ranking of five products for each query, and a question about the relation of one product.

    The five products are one for every gain that was given, and random others. Questions about relations go through
    all relations in turn.

    Raises:
        UserError: a file cannot be read or lacks a column, or there are no titles.
    """
    columns = Columns(JUDGEMENT_COLUMNS, {}, "")
    needed = (("query",), ("gain",), ("id", "title"))
    filters = Filters(path, split=options.split, locale=options.locale)
    queries: dict[str, list[_Judged]] = defaultdict(list)

    def judgement(place: str, fields: dict[str, object]) -> Dropped | None:
        """Keep a judgement, or return it as dropped with the reason."""
        # The files of KDD Cup 2022 have no split.
        values = {name: columns.text(fields, name, place) for name in ("split", "locale")}
        if reason := filters.refusal({name: value for name, value in values.items() if value}):
            return Dropped(RANKING, reason)
        query = columns.text(fields, "query", place)
        if not query or not columns.text(fields, "gain", place):
            return Dropped(RANKING, "empty field")
        product = columns.text(fields, "id", place)
        queries[query].append(_Judged(product, columns.title(fields, place), columns.gain(fields, place)))
        return None

    yield from from_rows(path, judgement, partial(columns.chosen, path, needed))
    filters.check()
    titles = _titles(path, options, queries)
    yield from _questions(queries, titles, random.Random(options.seed))


def _titles(path: Path, options: ReadingOptions, queries: Mapping[str, Sequence[_Judged]]) -> dict[str, str]:
    """Return the titles, by id, of judged products whose judgement has no title."""
    wanted = {each.product for members in queries.values() for each in members if not each.title}
    if wanted and not options.products:
        raise UserError(f"{path} has judgements without titles: name the file of products with --products FILE")
    columns = Columns(PRODUCT_COLUMNS, {}, "")
    titles: dict[str, str] = {}
    for file in options.products if wanted else ():
        for place, fields, *_ in read_rows(file, partial(columns.chosen, file, (("id",), ("title",)))):
            identity = columns.text(fields, "id", place)
            if identity in wanted and columns.text(fields, "locale", place) in ("", options.locale):
                titles[identity] = columns.title(fields, place)
    return titles


def _questions(
    queries: Mapping[str, Sequence[_Judged]], titles: Mapping[str, str], draw: random.Random
) -> Iterator[Reading]:
    asked: Counter[float] = Counter()
    for number, (query, members) in enumerate(sorted(queries.items())):
        named = {each.title or titles.get(each.product, ""): each.gain for each in members}
        named.pop("", None)
        # Without the titles, a query has too few products for a reason that only the file of products explains.
        short = "fewer than five products, or all alike" if named else "no title in the files of products"
        yield _ranking(query, named, number, draw) or Dropped(RANKING, short)
        relations = sorted(gain for gain in set(named.values()) if gain in _RELATIONS)
        if relations:
            gain = min(relations, key=lambda each: asked[each])
            yield _relation(query, draw.choice([title for title in named if named[title] == gain]), gain, asked)
            asked[gain] += 1


def _ranking(query: str, named: Mapping[str, float], number: int, draw: random.Random) -> Row | None:
    if len(named) < _RANKED or len(set(named.values())) < 2:
        return None
    titles = draw.sample(sorted(named), len(named))
    first = {named[title]: title for title in titles}.values()
    chosen = [*first, *(title for title in titles if title not in first)][:_RANKED]
    draw.shuffle(chosen)
    listed = "\n".join(f"{index}. {title}" for index, title in enumerate(chosen, start=1))
    text = _RANKING_WORDINGS[number % len(_RANKING_WORDINGS)].format(query=query, products=listed)
    return Row(text, [named[title] for title in chosen], RANKING, TaskType.RANKING, "ndcg", "ESCI")


def _relation(query: str, product: str, gain: float, asked: Counter[float]) -> Row:
    """Ask for a product's relation; the right option goes through all numbers in turn, so that none is likelier."""
    turn = asked[gain]
    gains = [*_RELATIONS]
    shift = (gains.index(gain) - turn) % len(gains)
    order = gains[shift:] + gains[:shift]
    listed = "\n".join(f"{index}. {_RELATIONS[each]}" for index, each in enumerate(order))
    wording = _RELATION_WORDINGS[turn // len(gains) % len(_RELATION_WORDINGS)]
    text = wording.format(query=query, product=product, options=listed)
    return Row(text, order.index(gain), RELATION, TaskType.MULTIPLE_CHOICE, "accuracy", "ESCI")
