"""The challenge's five tracks: number, id in `aicrowd.json`, and time limit."""

from dataclasses import dataclass
from pathlib import Path

from utilities.errors import UserError
from utilities.json_files import read_object


@dataclass(frozen=True)
class Track:
    """One track; `minutes` is the time limit for all its questions in the second phase."""

    number: int
    challenge_id: str
    minutes: int


TRACKS: tuple[Track, ...] = (
    Track(1, "amazon-kdd-cup-24-understanding-shopping-concepts", 70),
    Track(2, "amazon-kdd-cup-24-shopping-knowledge-reasoning", 20),
    Track(3, "amazon-kdd-cup-24-user-behavior-alignment", 30),
    Track(4, "amazon-kdd-cup-24-multi-lingual-abilities", 20),
    Track(5, "amazon-kdd-cup-24-all-around", 140),
)

# Track 3's questions in the second phase. The other tracks' numbers are unknown; the same pace is assumed.
TRACK_3_QUESTIONS = 2373
SECONDS_A_QUESTION = 30 * 60 / TRACK_3_QUESTIONS


def track_by_number(number: str) -> Track:
    """Return the track of this number, or raise a `UserError` if there is none; serves as the type of an option."""
    for track in TRACKS:
        if str(track.number) == number:
            return track
    raise UserError(f"there is no track {number}: choose one of 1 to {len(TRACKS)}")


def track_of(path: Path) -> Track:
    """Return the track that an `aicrowd.json` names by its `challenge_id`, or raise a `UserError`."""
    named = read_object(path, "write it as docs/submission.md shows").get("challenge_id")
    for track in TRACKS:
        if track.challenge_id == named:
            return track
    known = ", ".join(track.challenge_id for track in TRACKS)
    raise UserError(f"{path}: challenge_id is {named!r}; it must be one of: {known}")
