"""The source: k votes on each pair, their mean as the value of a criterion, their spread as its noise.

A row fails with the reason of its first vote that failed; votes that came are kept, and only the others are asked for
the next time. ``unsure`` is a judgment like another, and kept: the judge has said that it cannot tell.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence

import torch
from torch import Tensor

from app.caller import CALLER
from app.errors import CallFailed
from app.sources.judge.asking import Asking, Sampling
from app.sources.judge.rubric import Rubric
from app.sources.judge.tally import Outcome, Tally, tally
from app.sources.judge.vote import Vote
from app.sources.remote import Remote
from app.sources.spent import Spent
from app.storage.judgments import Judgments, Numbers, VoteKey
from reward_bases.sources.source import Columns, Pair
from reward_bases.text import Conversation

READING = 1
"""Of replies; a change of what they are read as is another version."""
EVERYBODY = "*"
"""In the place of a tenant where judgments are shared."""
SAMPLE = Pair(Conversation.of("?"), "!")


class JudgeSource:
    """The criteria of ``rubric``, asked of the model at ``remote``; ``shared`` judgments serve all tenants."""

    kind = "judge"

    def __init__(
        self, remote: Remote, judgments: Judgments, rubric: Rubric, sampling: Sampling, shared: bool = False
    ) -> None:
        self.names, self.version = rubric.names, _version(rubric, sampling)
        self._rubric, self._judgments, self._shared = rubric, judgments, shared
        self._asking = Asking(remote, sampling, rubric)

    @property
    def spent(self) -> Spent:
        """In all."""
        return self._asking.remote.purse.total

    @property
    def pause(self) -> float:
        """Seconds for which the judge is not asked, since it has just failed; 0 if it is."""
        return self._asking.remote.pause

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        """Means over votes (n, f) float64, on each criterion's scale.

        Raises SourceChanged where another model answers than before, StoreFailed where a vote cannot be kept.
        """
        tallies = await self._tallies(pairs)
        failed = {row: one for row, one in enumerate(tallies) if isinstance(one, str)}
        return Columns(self._matrix(tallies, 0).nan_to_num(0.0), failed)

    async def noise(self, pairs: Sequence[Pair]) -> Tensor:
        """Standard errors (n, f) float64 of the means that ``columns`` gives, on each criterion's scale.

        0 where there is one vote, of whose noise nothing is known; NaN in rows that failed. Votes are asked for only
        where none are kept.
        """
        return self._matrix(await self._tallies(pairs), 1)

    def _matrix(self, tallies: Sequence[Tally | str], place: int) -> Tensor:
        nothing = [torch.nan] * len(self.names)
        rows = [nothing if isinstance(one, str) else [one[name][place] for name in self.names] for one in tallies]
        return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(self.names))

    async def _tallies(self, pairs: Sequence[Pair]) -> list[Tally | str]:
        tenant = EVERYBODY if self._shared else CALLER.get().cache
        distinct = {pair.digest: pair for pair in pairs}
        votes = {pair: [VoteKey(tenant, self.version, pair, n) for n in range(self._rubric.votes)] for pair in distinct}
        kept = await self._judgments.kept(tenant, self.version, distinct)
        self._asking.remote.purse.spend(cached=len(kept))
        missing = [key for keys in votes.values() for key in keys if key not in kept]
        found: dict[VoteKey, Outcome] = {**kept, **await self._outcomes([(key, distinct[key.pair]) for key in missing])}
        tallies = {pair: tally(self.names, [found[key] for key in keys]) for pair, keys in votes.items()}
        return [tallies[pair.digest] for pair in pairs]

    async def _outcomes(self, asked: Sequence[tuple[VoteKey, Pair]]) -> dict[VoteKey, Outcome]:
        found: dict[VoteKey, Outcome] = {}
        waiting = iter(asked)

        async def work() -> None:
            for key, pair in waiting:
                found[key] = await self._outcome(key, pair)

        # No more tasks than calls at a time: a basis has tens of thousands of pairs.
        at_once = min(len(asked), self._asking.remote.limits.concurrency)
        workers = [asyncio.create_task(work()) for _ in range(at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return found

    async def _outcome(self, key: VoteKey, pair: Pair) -> Outcome:
        try:
            return await self._judgments.under_way.join(key, lambda: self._numbers(key, pair))
        except CallFailed as error:
            return error.reason

    async def _numbers(self, key: VoteKey, pair: Pair) -> Numbers:
        # It may have been stored since it was looked for, by a request that has just ended or by another process.
        kept = await self._judgments.kept(key.tenant, key.version, [key.pair])
        if key in kept:
            return kept[key]
        vote = Vote.of(self._rubric, key.pair, key.vote)
        judgment = await self._asking.ask(vote, pair, lambda: self._judgments.under_way.wanted(key))
        return await self._judgments.keep(key, judgment.numbers, judgment.model, judgment.fingerprint)


def _version(rubric: Rubric, sampling: Sampling) -> str:
    """Of all that a judgment depends on: 12 hex digits of the SHA-256 of what a sample is asked, in all its votes."""
    votes = (Vote.of(rubric, SAMPLE.digest, number) for number in range(rubric.votes))
    asked = [sampling.body(vote, SAMPLE) for vote in votes]
    said = json.dumps([READING, sampling.revision, rubric.model_dump(), asked])
    return hashlib.sha256(said.encode()).hexdigest()[:12]
