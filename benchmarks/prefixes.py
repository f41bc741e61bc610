"""What mined prefixes bring: evidence a pair of fresh pairs, against asking the same prompts again.

    .venv/bin/python benchmarks/prefixes.py            # four settings of the demo's models, about three minutes

A discriminator learns 8 pairs of each of `PROMPTS` prompts; then fresh pairs are drawn at the same prompts again, and at prompts with
prefixes mined from the pairs with the largest payoffs after their beginnings (the rule), with the largest payoffs, or at random.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from auto_interventions.config import EmbeddingConfig, PromptsConfig, SamplingConfig, SubjectConfig
from auto_interventions.embedding import StoredEncoder, open_encoder
from auto_interventions.exploring import Discriminator, RoundBatch
from auto_interventions.prompts import beginning, load_prompts, mine_prefixes
from auto_interventions.records import FloatArray, IntArray, Pair, Prompt, Role
from auto_interventions.stores import Store, open_store
from auto_interventions.subjects import Request, open_subject

DEMO = Path(__file__).resolve().parent.parent / "demo"
SETTINGS = (("narrow", "sea", 60), ("mixed", "sea", 60), ("rare", "kitchen", 80), ("narrow", None, 160))
LEARNED, FRESH = 8, 4
WORDS = 6


class Lab:
    """The demo's base and one adapter, an encoder, and a discriminator that has learned the first pairs of the prompts."""

    def __init__(self, adapter: str, stratum: str | None, prompts: int, store: Store) -> None:
        sampling, base = SamplingConfig(max_new_tokens=64), str(DEMO / "models" / "base")
        sides: dict[Role, SubjectConfig] = {
            "base": SubjectConfig(model=base),
            "intervention": SubjectConfig(model=base, adapter=str(DEMO / "adapters" / adapter)),
        }
        self.subjects = {role: open_subject(config, role, sampling, store) for role, config in sides.items()}
        self.encoder = StoredEncoder(open_encoder(EmbeddingConfig()), store)
        bank = load_prompts(PromptsConfig(path=str(DEMO / "prompts.jsonl"), strata="given"))
        self.bank = [prompt for prompt in bank if stratum in (None, prompt.stratum)][:prompts]
        self.pairs = self.draw(self.bank, 0, LEARNED)
        batch = self.batch(self.pairs)
        self.discriminator = Discriminator.start(int(batch.differences.shape[1])).learn(batch.differences, _one_stratum(self.pairs))

    def draw(self, prompts: Sequence[Prompt], first: int, samples: int) -> list[Pair]:
        """Fresh pairs of `prompts`."""
        requests = [Request(prompt, first, samples) for prompt in prompts]
        base, intervention = (self.subjects[role].generate(requests) for role in self.subjects)
        return [Pair(one.prompt, one, other, 0) for one, other in zip(base, intervention, strict=True)]

    def batch(self, pairs: Sequence[Pair]) -> RoundBatch:
        """Features of `pairs`."""
        vectors = self.encoder.encode([pair.base.text for pair in pairs] + [pair.intervention.text for pair in pairs])
        return RoundBatch.of(pairs, vectors[: len(pairs)], vectors[len(pairs) :])

    def payoffs(self, pairs: Sequence[Pair]) -> FloatArray:
        """(n,) mean of the two payoffs of each pair."""
        return self.discriminator.payoffs_of(self.batch(pairs).differences, _one_stratum(pairs)).mean(axis=0)

    def growth(self, pairs: Sequence[Pair]) -> str:
        """Nats a pair of the best constant bet, with the mean payoff and its standard error."""
        payoffs = self.payoffs(pairs)
        nats = max(float(np.log1p(share * payoffs).mean()) for share in np.linspace(0.02, 0.98, 49))
        return f"{nats:7.4f}  ({payoffs.mean():+.3f} ± {payoffs.std() / len(payoffs) ** 0.5:.3f}, {len(payoffs)} pairs)"

    def mined(self, scores: FloatArray) -> list[Prompt]:
        """As many prompts as the bank has, with prefixes of the pairs with the largest `scores`."""
        return list(mine_prefixes(self.pairs, scores, _one_stratum(self.pairs), {0: len(self.bank)}, WORDS, self.bank)[0])


def _one_stratum(pairs: Sequence[Pair]) -> IntArray:
    return np.zeros(len(pairs), dtype=np.int64)


def _cut(pair: Pair) -> Pair:
    base, intervention = (replace(text, text=beginning(text.text, WORDS)) for text in (pair.base, pair.intervention))
    return replace(pair, base=base, intervention=intervention)


def main() -> None:
    """Prints nats a pair for each setting and rule."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        for adapter, stratum, prompts in SETTINGS:
            lab = Lab(adapter, stratum, prompts, store)
            whole = lab.payoffs(lab.pairs)
            rules = {
                "after the beginnings": whole - lab.payoffs([_cut(pair) for pair in lab.pairs]),
                "largest payoffs": whole,
                "random pairs": np.random.default_rng(0).random(len(whole)) + 0.01,
            }
            sys.stdout.write(f"{adapter}, {stratum or 'all strata as one'}\n")
            sys.stdout.write(f"  {'same prompts again':22} {lab.growth(lab.draw(lab.bank, LEARNED, FRESH))}\n")
            for name, scores in rules.items():
                sys.stdout.write(f"  {name:22} {lab.growth(lab.draw(lab.mined(scores), 0, FRESH))}\n")
            sys.stdout.flush()
        store.close()


if __name__ == "__main__":
    main()
