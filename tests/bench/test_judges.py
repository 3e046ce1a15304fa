"""Judges from local files and behind an endpoint: probabilities, batches, templates, faults, the command."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from listening import listening
from readers import LIKES, Endpoint, odds
from test_in_context import TARGETS, TEXTS, answered, longer
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as Decoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from world_files import comparisons

from bench import __main__ as command
from bench.compare.judges import endpoint as endpoints
from bench.compare.judges.causal import CausalJudge
from bench.compare.judges.endpoint import TOP, ChatEndpoint
from bench.compare.judges.opening import JudgeName, try_out
from bench.compare.judges.prompts import DESCRIBE, Wording
from bench.compare.peers.in_context import InContext
from bench.compare.peers.persona import Persona
from bench.compare.world import Pairs
from elicitation.errors import InvalidInput

pytestmark = pytest.mark.slow

PROMPTS = ["Which one?\nPreferred:", "Short:", "Which of these do you think they would prefer? Preferred:"]
END = "<end>"


def tiny_model(folder: Path, texts: Sequence[str], letters: bool = True) -> Path:
    """A GPT-2 of two narrow layers with random weights and a byte-level tokenizer trained on ``texts``."""
    tokens = Tokenizer(BPE())
    tokens.pre_tokenizer, tokens.decoder = ByteLevel(add_prefix_space=False), Decoder()
    alphabet = ByteLevel.alphabet() if letters else list("abcdefgh")
    tokens.train_from_iterator(texts, BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=[END]))
    PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token=END).save_pretrained(folder)
    torch.manual_seed(0)
    end = tokens.token_to_id(END)
    config = GPT2Config(
        vocab_size=tokens.get_vocab_size(),
        n_positions=512,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.3,
        bos_token_id=end,
        eos_token_id=end,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"), [*PROMPTS, *(" ".join(pair) for pair in TEXTS), "A B A B"])


@pytest.fixture(scope="module")
def local(folder: Path) -> CausalJudge:
    return CausalJudge.load(str(folder), 8192)


def test_log_odds_are_those_of_the_next_token_whatever_the_batch(local: CausalJudge) -> None:
    found = local.log_odds(PROMPTS)
    for prompt, value in zip(PROMPTS, found.tolist(), strict=True):
        ids = local.causal.tokenizer(prompt, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            p = local.causal.model(input_ids=ids).logits[0, -1].double().softmax(0)
        read = [local.causal.tokenizer.decode([token]).strip() for token in range(len(p))]
        a, b = (sum(float(p[i]) for i, text in enumerate(read) if text == letter) for letter in "AB")
        assert value == pytest.approx(float(torch.tensor(a / b).log()), abs=1e-4)


def test_small_batches_give_the_same(local: CausalJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    together = local.log_odds(PROMPTS), local.write(PROMPTS, 5)
    monkeypatch.setattr("bench.compare.judges.causal.BATCH_TOKENS", 1)
    torch.testing.assert_close(local.log_odds(PROMPTS), together[0], atol=1e-5, rtol=0)
    assert local.write(PROMPTS, 5) == together[1]


def test_a_text_is_cut_to_tokens(local: CausalJudge) -> None:
    text = "They would prefer this one, or would they not? " * 5
    assert local.cut(text, 1000) == text
    cut = local.cut(text, 7)
    assert text.startswith(cut.removesuffix("…"))
    assert local.tokens(cut.removesuffix("…")) == 7
    assert local.cut("né", 2) in ("né", "n…")


def test_a_prompt_is_a_turn_of_the_models_chat(folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for turn in messages %}[{{ turn.role }}] {{ turn.content }}\n{% endfor %}[assistant] "
    tokenizer.save_pretrained(tmp_path)
    GPT2LMHeadModel.from_pretrained(folder).save_pretrained(tmp_path)
    chat, plain = CausalJudge.load(str(tmp_path), 100), CausalJudge.load(str(folder), 100)
    assert (chat.context, CausalJudge.load(str(folder), 8192).context) == (100, 512)
    assert chat.log_odds(["Short:"]) == pytest.approx(plain.log_odds(["[user] Short:\n[assistant] "]), abs=1e-5)
    assert chat.tokens("Short:") == plain.tokens("[user] Short:\n[assistant] ")


@pytest.mark.parametrize("method", [InContext, Persona])
def test_a_local_model_reads_the_answers_and_both_orders(local: CausalJudge, method: type[InContext | Persona]) -> None:
    wording = Wording(local, tuple((question[:6], response[:9]) for question, response in TEXTS))
    p, other = (method(wording).believe_pairs(answered([column])).prefer(0, TARGETS) for column in (0, 2))
    assert float((p - other).abs().max()) > 1e-3
    back = method(wording).believe_pairs(answered([0])).prefer(0, Pairs(TARGETS.right, TARGETS.left))
    torch.testing.assert_close(back, 1 - p, atol=1e-5, rtol=0)


def test_what_is_no_model_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"^--judge {tmp_path} is no causal language model .* name a folder"):
        CausalJudge.load(str(tmp_path), 100)
    tiny_model(tmp_path, ["abcdefgh"], letters=False)
    with pytest.raises(InvalidInput, match=rf"^--judge {tmp_path} has no token that reads A; name a model"):
        CausalJudge.load(str(tmp_path), 100)


@pytest.fixture
def serve() -> Iterator[Callable[[Endpoint], ChatEndpoint]]:
    with ExitStack() as stack:
        yield lambda some: ChatEndpoint(f"{stack.enter_context(listening(some.app()))}/v1", "reader", 8192)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "PAUSES", (0.0, 0.0))


def test_an_endpoint_tells_its_log_odds_and_writes(serve: Callable[[Endpoint], ChatEndpoint]) -> None:
    some = Endpoint()
    judge = serve(some)
    belief = InContext(Wording(judge, TEXTS)).believe_pairs(answered(longer(1)))
    lengths = torch.tensor([len(response) for _, response in TEXTS], dtype=torch.float64)
    expected = ((lengths[TARGETS.left] - lengths[TARGETS.right]) / 10).sigmoid()
    torch.testing.assert_close(belief.prefer(0, TARGETS), expected)
    assert len(some.bodies) == 2 * len(TARGETS)
    for body in some.bodies:
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("reader", 0, 1)
        assert (body["logprobs"], body["top_logprobs"]) == (True, TOP)
    assert judge.write([f"Nothing.\n\n{DESCRIBE}"], 40) == [LIKES[0]]
    assert (some.bodies[-1]["max_tokens"], some.bodies[-1]["temperature"]) == (40, 0)
    assert set(some.keys) == {None}


def test_a_key_is_sent_where_there_is_one(
    serve: Callable[[Endpoint], ChatEndpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEL_JUDGE_KEY", "of the judge")
    some = Endpoint()
    serve(some).log_odds(PROMPTS[:1])
    assert some.keys == ["Bearer of the judge"]


def test_a_letter_that_is_not_told_counts_as_the_last_that_is(serve: Callable[[Endpoint], ChatEndpoint]) -> None:
    told = Endpoint().told(odds(""))["logprobs"]["content"][0]["top_logprobs"]
    first = torch.tensor([entry["logprob"] for entry in told if entry["token"].strip() == "A"]).logsumexp(0)
    assert float(serve(Endpoint(letters="A")).log_odds([""])) == pytest.approx(float(first) + 30.0)


@pytest.mark.parametrize(
    ("some", "message"),
    [
        (Endpoint(logprobs=False), "gives no logprobs for the model reader; name an endpoint that answers top_log"),
        (Endpoint(letters=""), "reader answers neither A nor B among its 2 likeliest first tokens; name a model"),
        (Endpoint(faults=[404]), r"does not answer for the model reader \(status 404\); correct --judge"),
        (Endpoint(faults=[503] * 3), r"\(status 503\); correct"),
    ],
)
def test_an_endpoint_that_does_not_do_is_named_with_the_remedy(
    some: Endpoint, message: str, serve: Callable[[Endpoint], ChatEndpoint]
) -> None:
    with pytest.raises(InvalidInput, match=message):
        serve(some).log_odds(["prompt"])


def test_a_busy_endpoint_is_asked_again(serve: Callable[[Endpoint], ChatEndpoint]) -> None:
    some = Endpoint(faults=[503, 429])
    assert serve(some).log_odds([""]) == pytest.approx(odds(""))
    assert len(some.bodies) == 3


def test_an_endpoint_that_is_absent_or_another_service_is_named(serve: Callable[[Endpoint], ChatEndpoint]) -> None:
    with pytest.raises(InvalidInput, match=r"http://127.0.0.1:9/v1 does not answer .*\(ConnectError\)"):
        try_out(JudgeName("http://127.0.0.1:9/v1", "reader"))
    other = FastAPI()
    other.post("/v1/chat/completions")(lambda: {"detail": "hello"})
    with listening(other) as place, pytest.raises(InvalidInput, match="answers with no chat completion; --judge is"):
        try_out(JudgeName(f"{place}/v1", "reader"))


def test_an_endpoints_tokens_are_counted_from_above() -> None:
    judge = ChatEndpoint("http://host/v1", "reader", 100)
    assert judge.tokens("x" * 300) > 100
    assert judge.cut("é" * 50, 10) == "é" * 15 + "…"
    assert judge.cut("é" * 15, 10) == "é" * 15


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mine") / "mine.csv.gz"
    comparisons(path, shared=True)
    return path


def measured(capsys: pytest.CaptureFixture[str], *given: str) -> Any:
    assert command.main([*given, "--quick", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_compares_a_judge_with_the_aggregate(
    data: Path, serve: Callable[[Endpoint], ChatEndpoint], capsys: pytest.CaptureFixture[str]
) -> None:
    some = Endpoint()
    judge = serve(some).base
    methods = ["aggregate", "in-context", "persona"]
    given = ["pairs", "--data", str(data), "--methods", ",".join(methods), "--judge", judge, "--judge-model", "reader"]
    found = measured(capsys, *given)
    assert list(found["methods"]) == methods
    for name in methods[1:]:
        assert found["methods"][name]["subsample"] == {"people": 3, "seeds": 1}
        assert (found["methods"][name]["auc"]["0"], found["methods"][name]["auc"]["5"]) == (0.5, 1.0)
    assert found["command"].endswith("--judge JUDGE --judge-model reader")
    assert sum(DESCRIBE in body["messages"][0]["content"] for body in some.bodies) == 3 * 6


def test_the_command_reads_with_a_local_model(data: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["pairs", "--data", str(data), "--methods", "in-context", "--judge", str(folder)]
    found = measured(capsys, *given)
    assert (list(found["methods"]), found["people"]) == (["in-context"], 3)
    nll = found["methods"]["in-context"]["nll"]
    assert nll["0"] != nll["5"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--methods", "in-context"], "--methods names in-context; known are aggregate"),
        (["--judge-model", "reader"], "--judge-model reader has no endpoint; add --judge"),
        (["--judge", "/nowhere/at/all"], "--judge /nowhere/at/all is no causal language model"),
    ],
)
def test_the_command_says_what_it_lacks(
    given: list[str], message: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["pairs", "--data", str(data), "--quick", *given]) == 1
    assert f"keel bench: {message}" in capsys.readouterr().err


def test_a_suite_without_texts_has_no_judge(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["bank", "--quick", "--judge", str(folder)]) == 1
    assert "keel bench: bank has no texts of compared responses" in capsys.readouterr().err
