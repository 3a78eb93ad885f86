"""Find every record of one story in the journal, wherever it stands."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from modelkeep.journal.contents import Contents, contents_of
from modelkeep.journal.needles import KeyNeedles, Needles, for_text, spellings
from modelkeep.journal.records import Damaged, decode
from modelkeep.journal.segments import blocks, list_segments, readable
from modelkeep.journal.story import Story


class Trace:
    """The story of one model as the journal holds it now; holds the places of its records, not the records.

    Args:
        folder: where the segments lie.
        text: what names the model, see `Story`.

    Raises:
        JournalError: a segment cannot be read.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.story = Story(text)
        self._segments = list_segments(folder)
        self._contents = [contents_of(segment) for segment in self._segments[:-1]]
        self._lengths: dict[tuple[int, int], int] = {}
        """The length of each line, by the number of its segment and its offset."""
        paths = spellings("path", text)
        self._look_for(for_text(text), lambda contents: contents.may_name(text) or contents.may_hold(paths))
        # A record may be connected only by what another one tells, so look until nothing new turns up.
        while keys := self.story.fresh_keys():
            self._look_for(KeyNeedles(keys), lambda contents: contents.may_hold(keys))

    def records(self, *, newest_first: bool) -> Iterator[dict[str, object]]:
        """Yield the story's records in the order of `seq`, or in the opposite one."""
        for number, places in groupby(sorted(self._lengths, reverse=newest_first), key=lambda place: place[0]):
            segment = self._segments[number]
            with readable(segment), segment.path.open("rb") as file:
                for place in places:
                    file.seek(place[1])
                    with suppress(Damaged):  # the newest segment may have been cut off meanwhile
                        yield decode(file.read(self._lengths[place]))

    def _look_for(self, needles: Needles | KeyNeedles, may_hold: Callable[[Contents], bool]) -> None:
        for number, segment in enumerate(self._segments):
            contents = self._contents[number] if number < len(self._contents) else None
            if contents is not None and not may_hold(contents):
                continue
            offset = 0
            for block in blocks(segment):
                for start, line in needles.lines(block):
                    self._take((number, offset + start), line)
                offset += len(block)

    def _take(self, place: tuple[int, int], line: bytes) -> None:
        if place in self._lengths:
            return
        with suppress(Damaged):
            if self.story.takes(decode(line)):
                self._lengths[place] = len(line)
