"""Ask, tell and undo: one person at a time, one question open at a time, everything recorded.

tell: validate → append to the log → commit → refit → reply. The reply is a function of the log up to its entry, so a
repeated request with the same Idempotency-Key gets the same reply however often it comes, after a restart too.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from weakref import WeakValueDictionary

import torch

from app.errors import Conflict, NotFound
from app.observing.measured import stage
from app.people.pool import Pool
from app.profiles.evidence import difference
from app.profiles.profiles import Profile, Profiles, require_person
from app.schemas.asking import AnswerReply, AnswerRequest, AskRequest, Progress, QuestionReply, Turn, UndoReply
from app.schemas.base import SEED_END
from app.scoring.bounds import require_at_most
from app.settings import Settings
from app.storage.store import Answer, Correction, Entry, Person, PersonKey, Question, Store, active_answers, now
from elicitation.acquisition import choose
from elicitation.choice import require_side
from elicitation.errors import InvalidInput
from elicitation.predict import predict
from elicitation.stopping import expected_total, worth_asking
from reward_bases.text import Conversation, digest

UNDO = digest("undo")


@dataclass(frozen=True)
class Asked:
    """A question to show; ``fresh`` unless it was open already."""

    question: QuestionReply
    fresh: bool


class Asking:
    """The use cases that move a person's log."""

    def __init__(self, settings: Settings, store: Store, profiles: Profiles) -> None:
        self._settings, self._store, self._profiles = settings, store, profiles
        self._artifact = profiles.artifact
        self._pool = Pool.of(profiles.artifact)
        self._turns: WeakValueDictionary[PersonKey, asyncio.Lock] = WeakValueDictionary()

    def turn(self, key: PersonKey) -> asyncio.Lock:
        """Held while a person's log is read and then written."""
        return self._turns.setdefault(key, asyncio.Lock())

    async def ask(self, key: PersonKey, request: AskRequest) -> Asked | None:
        """The open question or a new one; None when no question is left or none is worth asking."""
        async with self.turn(key):
            person = await self._store.visit(key)
            questions, log = await self._store.questions(key), await self._store.log(key)
            profile = await self._profiles.of(person)
            answered = {answer.question_id for answer in active_answers(log)}
            waiting = [question for question in questions if question.question_id not in answered]
            if waiting:
                return Asked(
                    await self._shown(replace(waiting[0], number=len(answered) + 1), profile, questions), False
                )
            with stage("choose"):
                question = await asyncio.to_thread(self._chosen, request, profile, questions)
            if question is None:
                return None
            await self._store.add_question(key, question)
            return Asked(await self._shown(question, profile, [*questions, question]), True)

    async def tell(self, key: PersonKey, request: AnswerRequest, idempotency_key: str | None) -> AnswerReply:
        """Store an answer durably, then refit."""
        async with self.turn(key):
            person = await require_person(self._store, key)
            log, request_digest = await self._store.log(key), digest(request.model_dump_json())
            stored = _replayed(log, idempotency_key, request_digest)
            if stored is None:
                question = await self._open_question(key, request, log)
                stored = await self._answer(person, question, request, idempotency_key, request_digest)
                await self._store.append(key, stored)
            progress = await self._progress(person, stored.position)
            return AnswerReply(answer_id=stored.answer_id, **dict(progress))

    async def undo(self, key: PersonKey, idempotency_key: str | None) -> UndoReply:
        """Take the last active answer back by appending a correction."""
        async with self.turn(key):
            person = await require_person(self._store, key)
            log = await self._store.log(key)
            stored = _replayed(log, idempotency_key, UNDO)
            if stored is None:
                answers = active_answers(log)
                if not answers:
                    raise NotFound("there is no answer to take back; answer a question first")
                stored = Correction(len(log) + 1, answers[-1].answer_id, idempotency_key, UNDO, now())
                await self._store.append(key, stored)
            progress = await self._progress(person, stored.position)
            question_id = next(e.question_id for e in log if isinstance(e, Answer) and e.answer_id == stored.answer_id)
            return UndoReply(answer_id=stored.answer_id, question_id=question_id, **dict(progress))

    async def _open_question(self, key: PersonKey, request: AnswerRequest, log: Sequence[Entry]) -> Question:
        require_side(request.choice, request.strength)
        require_at_most("characters in one note", len(request.note or ""), "max_note_chars", self._settings)
        questions = {question.question_id: question for question in await self._store.questions(key)}
        question = questions.get(request.question_id)
        if question is None:
            raise NotFound(f"no question {request.question_id!r} was asked of this person; ask for one first")
        if any(answer.question_id == question.question_id for answer in active_answers(log)):
            raise Conflict(f"question {question.question_id!r} is answered; undo the answer to change it")
        return question

    async def _answer(
        self, person: Person, question: Question, request: AnswerRequest, idempotency_key: str | None, digested: str
    ) -> Answer:
        profile = await self._profiles.of(person)
        shown = difference(self._artifact, question)[None]
        left, same, right = predict(profile.posterior, self._artifact.choice_model, shown)[0].tolist()
        return Answer(
            position=person.position + 1,
            answer_id=f"a_{secrets.token_hex(8)}",
            question_id=question.question_id,
            choice=request.choice,
            strength=request.strength,
            note=request.note,
            predicted=(left, same, right),
            idempotency_key=idempotency_key,
            request_digest=digested,
            logged_at=now(),
        )

    def _chosen(self, request: AskRequest, profile: Profile, questions: Sequence[Question]) -> Question | None:
        allowed = self._pool.allowed({question.prompt_id for question in questions})
        answered = len(profile.answers)
        outlook = (profile.posterior, self._artifact.choice_model, self._pool.differences, allowed, self._pool.targets)
        if not bool(allowed.any()) or not (request.force or worth_asking(*outlook, asked=answered)):
            return None
        seed = secrets.randbelow(SEED_END) if request.seed is None else request.seed
        generator = torch.Generator().manual_seed(seed)
        selection = choose(request.rule, *outlook, generator)
        prompt, left, right = self._pool.pairs[selection.index]
        if bool(torch.randint(2, (), generator=generator)):
            left, right = right, left
        return Question(
            question_id=f"q_{secrets.token_hex(8)}",
            number=answered + 1,
            asked_after=profile.position,
            prompt_id=prompt.id,
            conversation=tuple(asdict(message) for message in prompt.conversation.messages),
            left_id=left.id,
            right_id=right.id,
            left=left.text,
            right=right.text,
            left_digest=digest(left.text),
            right_digest=digest(right.text),
            rule=request.rule.value,
            seed=seed,
            expected_gain=selection.gain,
            unit=selection.unit,
            bank_version=self._artifact.bank.version,
            basis_version=self._artifact.basis.version,
            population_version=self._artifact.population_version,
            profile_version=profile.version,
            asked_at=now(),
        )

    async def _shown(self, question: Question, profile: Profile, questions: Sequence[Question]) -> QuestionReply:
        with stage("choose"):
            _, total = await asyncio.to_thread(self._outlook, profile, questions)
        return QuestionReply(
            question_id=question.question_id,
            prompt=_prompt(Conversation.of(question.conversation)),
            left=question.left,
            right=question.right,
            number=question.number,
            expected_total=max(total, question.number),
            expected_gain=question.expected_gain,
            unit=question.unit,
        )

    async def _progress(self, person: Person, position: int) -> Progress:
        profile = await self._profiles.of(person, position)
        questions = await self._store.questions(person.key)
        with stage("choose"):
            worthwhile, total = await asyncio.to_thread(self._outlook, profile, questions)
        return Progress(
            profile_version=profile.version,
            answered=len(profile.answers),
            expected_total=total,
            done=not worthwhile,
        )

    def _outlook(self, profile: Profile, questions: Sequence[Question]) -> tuple[bool, int]:
        """Whether another question is worth asking, and the expected total: from the active answers alone."""
        answered = {answer.question_id for answer in profile.answers}
        allowed = self._pool.allowed({q.prompt_id for q in questions if q.question_id in answered})
        outlook = (profile.posterior, self._artifact.choice_model, self._pool.differences, allowed, self._pool.targets)
        return worth_asking(*outlook, asked=len(answered)), expected_total(*outlook, asked=len(answered))


def _replayed(log: Sequence[Entry], idempotency_key: str | None, request_digest: str) -> Entry | None:
    """The entry that this key made before; InvalidInput when another request made it."""
    entries = (entry for entry in log if idempotency_key is not None and entry.idempotency_key == idempotency_key)
    entry = next(entries, None)
    if entry is not None and entry.request_digest != request_digest:
        raise InvalidInput("this Idempotency-Key came with another request before; send a fresh key")
    return entry


def _prompt(conversation: Conversation) -> str | list[Turn]:
    """Plain text for a single user turn."""
    if len(conversation.messages) == 1:
        return conversation.last_user
    return [Turn.model_validate(asdict(message)) for message in conversation.messages]
