"""Run the daemon as a process: from its settings to its exit status, whatever hangs."""

import asyncio
import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from modelkeep.base.log import configure_logging
from modelkeep.base.memory import note_programs
from modelkeep.base.notify import ServiceManager
from modelkeep.base.patience import within
from modelkeep.base.threads import Threads
from modelkeep.service.daemon import Daemon
from modelkeep.service.holdings import open_holdings
from modelkeep.service.supervision import supervised
from modelkeep.service.telling import tell
from modelkeep.settings.model import Settings

THREAD_TURN_SECONDS = 0.001
END_SECONDS = 1.0
"""How long threads may take to end when all else has."""

NEW_OBJECTS = 50_000
"""So many come before garbage is looked for: more than the rows in hand are made of.

With fewer, what is on its way is walked through again and again, which took a twentieth of a small file's time. An
idle daemon collects whatever is left.
"""


def run_daemon(settings: Settings, *, announce: Callable[[str], None], log_level: str = "info") -> int:
    """Run until SIGTERM or SIGINT; returns the exit status.

    Args:
        settings: the configuration.
        announce: shows a sentence to whoever started it.
        log_level: from which on the operational log says something.

    Raises:
        DataDirectoryBusy: another daemon holds the data folder.
        SettingsError: the address is in use, or the configuration is wrong.
        CatalogueError: the catalogue cannot be opened.
        JournalError: the journal cannot be opened.
    """
    configure_logging(log_level)
    # The service manager ends what hangs by SIGABRT: the log then says where the event loop hung. To read the other
    # threads, which run on meanwhile, could end us by SIGSEGV before anything is said.
    faulthandler.enable(all_threads=False)
    # A request is handed from the event loop to a thread and back: each time a busy thread may go on for so long.
    sys.setswitchinterval(THREAD_TURN_SECONDS)
    # A file lease that is broken in the instant in which it is asked for sends SIGIO, whose default is to end us.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    note_programs()
    with asyncio.Runner() as runner:
        threads = Threads("work", on_new=runner.get_loop().set_default_executor)
        try:
            status = runner.run(_run(settings, announce, threads.renew))
        except Exception as error:
            if _hangs(threads):
                announce(f"ended by an error: {error}")
                _leave(1)
            raise
        if _hangs(threads):
            _leave(status)
    return status


def _hangs(threads: Threads) -> bool:
    """Return whether something is left that waits for a disk; the interpreter would wait for it too."""

    def end() -> bool:
        threads.shutdown(cancel_futures=True)
        for thread in threading.enumerate():  # also those that were renewed
            if not thread.daemon and thread is not threading.main_thread():
                thread.join()
        return False

    return within(END_SECONDS, end, otherwise=True)


def _leave(status: int) -> NoReturn:
    """End the process now: everything that has to last is closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


async def _run(settings: Settings, announce: Callable[[str], None], renew_threads: Callable[[], None]) -> int:
    async with (
        supervised(ServiceManager()) as supervision,
        open_holdings(settings, "modelkeep run", tell) as holdings,
    ):
        daemon = Daemon(settings, holdings, renew_threads)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(supervision.reload(daemon.reload)))
        await daemon.start()
        gc.freeze()  # what a start made stays; to look for garbage in it would hold up requests
        gc.set_threshold(NEW_OBJECTS)
        roots = len(settings.model_roots())
        watched = f"{roots} root{'' if roots == 1 else 's'}"
        announce(f"ready at {daemon.url}, {watched}, data in {settings.data_dir}")
        supervision.ready(daemon.status_line, daemon.stuck_part)
        await daemon.wait(stop)
        supervision.stopping()
        announce("stopping")
        await daemon.stop()
    announce("stopped")
    return 0
