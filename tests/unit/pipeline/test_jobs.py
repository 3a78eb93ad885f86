"""The table of what is in hand: one way in, one way out, and everybody who waits is answered."""

import asyncio

import pytest

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.values import Action, PendingImport, Priority, Strategy
from modelkeep.errors import HashError, NotFound
from modelkeep.pipeline.jobs import Job, Jobs, Stage

DIGEST = Digest("ab" * 32, Fingerprint(1, 2, 3, 4))


def row_job(pending_id: int, path: str) -> Job:
    return Job.of_row(PendingImport(pending_id, path), Priority.NEW, Strategy.AUTO)


@pytest.fixture
def touched() -> list[str]:
    return []


@pytest.fixture
def jobs(touched: list[str]) -> Jobs:
    return Jobs(touched.append)


def test_a_job_is_found_by_its_row_and_its_path_until_it_ends(jobs: Jobs) -> None:
    job = jobs.add(row_job(7, "/a"))
    assert (jobs.rows[7], jobs.at("/a"), len(jobs)) == (job, [job], 1)
    jobs.end(job)
    assert (7 in jobs.rows, jobs.at("/a"), len(jobs)) == (False, [], 0)
    jobs.end(job)


def test_a_row_is_in_hand_once(jobs: Jobs) -> None:
    jobs.add(row_job(7, "/a"))
    with pytest.raises(ValueError, match="row 7"):
        jobs.add(row_job(7, "/b"))


def test_a_renamed_job_is_found_by_its_new_path_alone(jobs: Jobs) -> None:
    job, other = jobs.add(row_job(7, "/a")), jobs.add(Job("/b", Priority.INTERACTIVE))
    jobs.rename(job, "/b")
    assert (jobs.at("/a"), jobs.at("/b"), job.path) == ([], [other, job], "/b")


def test_what_was_touched_on_its_way_is_looked_at_when_it_ends(jobs: Jobs, touched: list[str]) -> None:
    job = jobs.add(row_job(7, "/a"))
    job.touched = True
    jobs.rename(job, "/b")
    jobs.end(job)
    assert touched == ["/b"]


def test_jobs_are_told_apart_by_their_stage(jobs: Jobs) -> None:
    settling, hashing = jobs.add(row_job(1, "/a")), jobs.add(row_job(2, "/b"))
    hashing.stage = Stage.HASHING
    assert jobs.in_stage(Stage.SETTLING) == [settling]
    assert jobs.in_stage(Stage.HASHING, Stage.MIGRATING) == [hashing]


async def test_those_who_wait_are_answered(jobs: Jobs) -> None:
    job = jobs.add(row_job(7, "/a"))
    digests, rows = [job.wait_for_digest() for _ in range(2)], [job.wait_for_row() for _ in range(2)]
    assert job.is_awaited
    digests[0].cancel()
    rows[0].cancel()
    job.answer_digest(DIGEST)
    job.answer_row(("ab" * 32, Action.CREATED))
    assert await digests[1] == DIGEST
    assert await rows[1] == ("ab" * 32, Action.CREATED)
    assert not job.is_awaited


@pytest.mark.parametrize("error", [HashError("it may not be read"), None])
async def test_whoever_still_waits_when_a_job_ends_is_told_why(jobs: Jobs, error: HashError | None) -> None:
    job = jobs.add(row_job(7, "/a"))
    waiters = (job.wait_for_digest(), job.wait_for_row())
    jobs.end(job, error)
    for failed in await asyncio.gather(*waiters, return_exceptions=True):
        assert isinstance(failed, NotFound if error is None else HashError)
