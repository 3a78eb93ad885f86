"""What is held back waits for what takes its place, and not a moment longer."""

import threading

from tests.waiting import wait_until

from modelkeep.watch.pairing import PromptQueue

HELD_SECONDS = 60.0
"""Longer than any test lasts."""


def taken(queue: PromptQueue[str]) -> list[str | None]:
    """Begin to take elements out, in a thread that waits for them."""
    found: list[str | None] = []

    def take() -> None:
        while True:
            found.append(queue.get())
            if found[-1] is None:
                return

    threading.Thread(target=take, daemon=True).start()
    return found


def test_what_takes_the_place_of_something_held_back_is_handed_over_at_once() -> None:
    queue = PromptQueue[str](HELD_SECONDS)
    queue.put("half", delay=True)
    found = taken(queue)
    assert queue.remove(lambda element: element == "half") == "half"
    queue.put("whole")
    queue.put("later")
    wait_until(lambda: found == ["whole", "later"])
    queue.close()


def test_what_nothing_takes_the_place_of_comes_when_its_time_is_over_and_keeps_its_turn() -> None:
    queue = PromptQueue[str](0.05)
    queue.put("half", delay=True)
    queue.put("later")
    assert [queue.get(), queue.get()] == ["half", "later"]


def test_a_closed_queue_has_nothing_even_for_whoever_waits() -> None:
    queue = PromptQueue[str](HELD_SECONDS)
    queue.put("half", delay=True)
    found = taken(queue)
    queue.close()
    wait_until(lambda: found == [None])
