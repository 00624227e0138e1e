"""Making any text readable: of bounded length, and without what is no character."""

LONGEST = 12_000  # characters; the longest public question has under 4,000, and a prompt holds about 8,000


def clipped(question: str) -> str:
    """Return the question, without its middle if it is longer than `LONGEST`: both ends carry the task.

    Lone surrogates, which no tokenizer accepts, become question marks.
    """
    if len(question) > LONGEST:
        half = LONGEST // 2
        question = f"{question[:half]}\n{question[-half:]}"
    return question.encode("utf-8", "replace").decode("utf-8")
