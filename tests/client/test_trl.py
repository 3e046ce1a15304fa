"""TRL's GRPO trainer on a tiny random model, with rewards from a real server."""

import asyncio
import math
import string
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

import keel
from keel import AsyncReward, Client, Reward, keel_reward
from tests.client.servers import Server

pytestmark = [
    pytest.mark.slow,
    # TRL, accelerate and datasets warn of their own insides.
    pytest.mark.filterwarnings("default"),
]
WORDS = ("basil", "mint", "water", "sun", "pot", "soil", "dry", "warm", "cut", "leaf", "grow", "cool", "keep", "rain")
TEMPLATE = "{% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"
STEPS, GROUP = 3, 4


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Words and letters, and a chat template."""
    vocabulary = ["<pad>", "<end>", "<unknown>", "user", "assistant", ".", "?", *WORDS, *string.ascii_lowercase]
    numbered = {word: i for i, word in enumerate(vocabulary)}
    plain = Tokenizer(models.WordLevel(numbered, unk_token="<unknown>"))
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.Whitespace(), decoders.Fuse()
    special = {"pad_token": "<pad>", "eos_token": "<end>", "unk_token": "<unknown>"}
    return PreTrainedTokenizerFast(tokenizer_object=plain, padding_side="left", chat_template=TEMPLATE, **special)


@pytest.fixture
def trainer(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Callable[..., GRPOTrainer]:
    """Builds a trainer whose batches hold two people; what it samples is added to ``seen``, step by step."""

    def build(
        reward: Any, conversational: bool, seen: list[Any], *callbacks: TrainerCallback, **options: Any
    ) -> GRPOTrainer:
        functions = reward if isinstance(reward, list) else [reward]

        def watch(prompts: list[Any], completions: list[Any], user_id: list[str], **_: Any) -> list[float]:
            seen.append((prompts, completions, user_id))
            return [0.0] * len(completions)

        torch.manual_seed(0)
        size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        rows = [("how to grow basil ?", "ada"), ("how to grow mint ?", "bob")] * STEPS
        prompts = [[{"role": "user", "content": text}] if conversational else text for text, _ in rows]
        config = GRPOConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            max_steps=STEPS,
            per_device_train_batch_size=2 * GROUP,
            num_generations=GROUP,
            max_completion_length=8,
            reward_weights=[1.0] * len(functions) + [0.0],
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            shuffle_dataset=False,
            **options,
        )
        return GRPOTrainer(
            LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **size)),
            reward_funcs=[*functions, watch],
            args=config,
            train_dataset=Dataset.from_dict({"prompt": prompts, "user_id": [name for _, name in rows]}),
            processing_class=tokenizer,
            callbacks=list(callbacks),
        )

    return build


@pytest.fixture
def reward(server: Server) -> Iterator[Reward]:
    function = keel_reward(server.url)
    yield function
    function.close()


class AfterFirstStep(TrainerCallback):
    """Does something to the service while the run goes on."""

    def __init__(self, happening: Callable[[], object]) -> None:
        self._happening = happening

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 1:
            self._happening()


def steps(trainer: GRPOTrainer) -> list[dict[str, float]]:
    return [row for row in trainer.state.log_history if "reward" in row]


def logged(trainer: GRPOTrainer) -> list[float]:
    return [row["rewards/keel/mean"] for row in steps(trainer)]


def expected(client: Client, seen: list[Any]) -> list[float]:
    """The mean reward of every step's accepted rows, by the native route, each row for its own person."""
    means = []
    for prompts, completions, people in seen:
        scores = client.score(prompts, completions, user_ids=people, detail=True)
        rows = zip(scores.rewards, scores.details or (), strict=True)
        accepted = [reward for reward, detail in rows if detail.gate.passed]
        means.append(sum(accepted) / len(accepted))
    return means


@pytest.mark.parametrize("conversational", [False, True], ids=["plain", "conversational"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_run_with_two_people_in_one_batch_gets_each_row_s_own_reward(
    server: Server, trainer: Callable[..., GRPOTrainer], conversational: bool, asynchronous: bool
) -> None:
    seen: list[Any] = []
    reward = keel_reward(server.url, asynchronous=True) if asynchronous else keel_reward(server.url)
    run = trainer(reward, conversational, seen)
    run.train()
    if isinstance(reward, AsyncReward):
        asyncio.run_coroutine_threadsafe(reward.close(), run.async_loop).result()
    else:
        reward.close()
    assert [set(people) for _, _, people in seen] == [{"ada", "bob"}] * STEPS
    with Client(server.url) as client:
        assert logged(run) == pytest.approx(expected(client, seen), abs=1e-4)
    last = [row for row in run.state.log_history if "keel/gated" in row][-1]
    assert 0 <= last["keel/gated"] < 1
    assert math.isfinite(last["keel/uncertainty"])


def test_a_run_normalises_each_component_alone_for_one_request_a_step(
    server: Server, trainer: Callable[..., GRPOTrainer]
) -> None:
    seen: list[Any] = []
    reward = keel_reward(server.url, vector=True)
    run = trainer(reward.functions(), False, seen, multi_objective_aggregation="normalize_then_sum")
    run.train()
    assert server.paths.count("/v1/score") == STEPS
    columns = [[row[f"rewards/keel_{name}/mean"] for row in steps(run)] for name in reward.names]
    with Client(server.url) as client:
        assert [sum(shares) for shares in zip(*columns, strict=True)] == pytest.approx(expected(client, seen), abs=1e-4)
    reward.close()


def test_the_run_survives_a_restart_of_the_service(
    server: Server, trainer: Callable[..., GRPOTrainer], reward: Reward
) -> None:
    seen: list[Any] = []

    def restart() -> None:
        server.stop()
        threading.Timer(0.7, server.start).start()

    run = trainer(reward, True, seen, AfterFirstStep(restart))
    run.train()
    with Client(server.url) as client:
        assert logged(run) == pytest.approx(expected(client, seen), abs=1e-4)


def test_a_profile_that_changes_during_the_run_moves_no_reward(
    server: Server, trainer: Callable[..., GRPOTrainer], reward: Reward
) -> None:
    seen: list[Any] = []
    with Client(server.url) as client:
        pins = {name: client.profile(name).version for name in ("ada", "bob")}

        def change() -> None:
            question = client.ask("ada", rule="dopt", seed=9, force=True)
            assert question is not None
            client.tell("ada", question.question_id, "right", strength="clear")

        run = trainer(reward, True, seen, AfterFirstStep(change))
        run.train()
        assert client.profile("ada").version != pins["ada"]
        prompts, completions, people = seen[-1]
        scores = client.score(prompts, completions, user_ids=people, profile_versions=pins, detail=True)
    rows = zip(scores.rewards, scores.details or (), strict=True)
    accepted = [reward for reward, detail in rows if detail.gate.passed]
    assert logged(run)[-1] == pytest.approx(sum(accepted) / len(accepted), abs=1e-4)


def test_a_person_erased_during_the_run_stops_it(
    server: Server, trainer: Callable[..., GRPOTrainer], reward: Reward
) -> None:
    seen: list[Any] = []
    with Client(server.url) as client:
        run = trainer(reward, True, seen, AfterFirstStep(lambda: client.forget("bob")))
        with pytest.raises(keel.NotFound, match="bob"):
            run.train()
    assert len(logged(run)) == 1
