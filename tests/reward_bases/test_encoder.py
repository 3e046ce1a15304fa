"""The real encoder: unit vectors that depend on the text alone."""

from pathlib import Path

import pytest
import torch

from elicitation.errors import ArtifactMismatch
from reward_bases.sources import encoder_files
from reward_bases.sources.encoder import CPU_STEP_TOKENS, Encoder
from reward_bases.sources.encoder_files import load_encoder

TEXTS = ["Rinse the rice.", "Wash the rice first.", "The council votes on Monday.", ""]


def test_vectors_are_of_unit_length_and_close_for_close_meanings(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.3


def test_a_vector_does_not_depend_on_the_batch_it_came_in(encoder: Encoder) -> None:
    together = encoder.encode([*TEXTS, "word " * 600])
    alone = torch.cat([encoder.encode([text]) for text in TEXTS])
    torch.testing.assert_close(together[:4], alone, atol=1e-5, rtol=0)


def test_nothing_of_a_long_text_is_dropped(encoder: Encoder) -> None:
    start = "The rice is rinsed and then it is boiled. " * 60
    with_end = start + "Volcanoes erupt on distant islands every century. " * 30
    cosine = float(encoder.encode([start])[0] @ encoder.encode([with_end])[0])
    assert cosine < 0.95


def test_no_texts_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_a_step_reads_few_tokens_and_the_last_gives_the_vectors(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    pooled = Encoder._pooled

    def counted(self: Encoder, batch: list[list[int]]) -> torch.Tensor:
        sizes.append(len(batch) * max(map(len, batch)))
        return pooled(self, batch)

    monkeypatch.setattr(Encoder, "_pooled", counted)
    texts = [*TEXTS, "word " * 3_000, *(f"Water plant {n} when its soil is dry. " * 20 for n in range(20))]
    *pauses, vectors = encoder.steps(texts)
    assert vectors is not None
    assert pauses == [None] * (len(sizes) - 1)
    assert max(sizes) <= CPU_STEP_TOKENS
    assert len(sizes) > 4
    torch.testing.assert_close(vectors, encoder.encode(texts), atol=1e-5, rtol=0)
    (short,) = encoder.steps(TEXTS[:1])
    assert short is not None


def test_other_weights_under_the_default_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_files, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ArtifactMismatch, match="sha256"):
        load_encoder()


def test_a_causal_model_in_a_folder_is_pooled_at_its_last_token(tmp_path: Path, encoder: Encoder) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(encoder.tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    causal = load_encoder(str(tmp_path))
    assert causal.causal
    assert causal.sha256
    torch.testing.assert_close(causal.encode(TEXTS[:2])[1:], causal.encode(TEXTS[1:2]), atol=1e-5, rtol=0)
