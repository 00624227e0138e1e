import json
from pathlib import Path

from utilities.tracks import TRACKS, track_by_number, track_of


def test_tracks_are_found_by_number_and_by_file(tmp_path: Path) -> None:
    for track in TRACKS:
        path = tmp_path / "aicrowd.json"
        path.write_text(json.dumps({"challenge_id": track.challenge_id}))
        assert track_of(path) == track == track_by_number(str(track.number))
