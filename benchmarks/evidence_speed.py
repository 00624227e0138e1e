"""The milliseconds in which BM25 and vectors compare a question with its candidates."""

import statistics
import sys
import time
from collections.abc import Sequence

from benchmarks.common import Json, make_parser, open_results, read_asked, shown
from evaluation.questions import DEVELOPMENT, QuestionRow
from models.engines.settings import engine_identity
from models.settings import load_settings
from prompts.reading import read_numbered_list
from retrieval.sources import open_knowledge
from utilities.errors import UserError, exit_code
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.evidence_speed                        data/development.json
  python -m benchmarks.evidence_speed --data FILE --limit 100 --threads 1
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = make_parser("evidence_speed", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True).parse_args(argv)
    questions, data = read_asked(options)
    results = open_results(options)
    report = milliseconds(questions)
    results.finish({**report, "data": data})
    print_table(("evidence", "ms a question (median)"), [(name, shown(value)) for name, value in report.items()])
    return 0


def milliseconds(questions: Sequence[QuestionRow]) -> Json:
    """Return the median milliseconds per question by source of evidence.

    Raises:
        UserError: no question has numbered candidates.
    """
    settings = load_settings()
    similarities = open_knowledge(settings.knowledge, engine_identity(settings.engine)).similarities
    lists = [listed for question in questions if (listed := read_numbered_list(question.input_field))]
    if not lists:
        raise UserError("no question has numbered candidates: name another --data")
    seconds: dict[str, list[float]] = {name: [] for name in similarities}
    for name, similarity in similarities.items():
        for listed in lists:
            started = time.perf_counter()
            similarity(listed.before, [item.text for item in listed.items])
            seconds[name].append(time.perf_counter() - started)
    return {name: 1000 * statistics.median(each) for name, each in seconds.items()}


if __name__ == "__main__":
    sys.exit(exit_code(main))
