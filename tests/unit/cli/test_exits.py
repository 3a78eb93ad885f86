import asyncio
import signal

import pytest

from modelkeep.cli.exits import signals_held_back, terminated_in_order


def test_a_termination_calls_a_coroutine_off_in_order() -> None:
    ended = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what is cleaned up may itself have to wait
            ended.append("in order")
            raise

    with pytest.raises(KeyboardInterrupt), terminated_in_order():
        asyncio.run(work())

    assert ended == ["in order"]


def test_a_termination_outside_of_coroutines_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), terminated_in_order():
        signal.raise_signal(signal.SIGTERM)


def test_a_termination_interrupts_even_where_ctrl_c_is_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), terminated_in_order():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_handler_of_before_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with terminated_in_order():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_that_are_held_back_arrive_when_the_work_is_whole() -> None:
    done = []

    def work() -> None:
        with terminated_in_order(), signals_held_back():
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert done == ["whole"]
