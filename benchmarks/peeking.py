"""What looking often does to a p-value, and what it does not do to an e-value: `.venv/bin/python -m benchmarks.peeking [--draw FILE.svg]`.

Simulated: two equal models, one sentence that each text shows with the same probability; after every `step` pairs somebody looks, and
stops at the first sign of a difference. Three ways of looking, on the same pairs: a z-test of two proportions (p ≤ alpha), Student's t over
the pairs' differences (p ≤ alpha), and the capital of the library's own bettor (e ≥ 1/alpha). Then the same with a true difference, where
the question is how many pairs each needs. What it does not know: sentences born from the data, and sampling where it pays; both only make
the first two worse, and leave the third as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import stats

from auto_interventions.inference import bet_many, log_e_values, start_log_wealth

ALPHA = 0.05
WAYS = ("z-test", "t-test", "e-value")


def differences(runs: int, pairs: int, rates: tuple[float, float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether the sentence fits each text: (runs, pairs) of the base, and of the intervention."""
    rng = np.random.default_rng(seed)
    return tuple((rng.random((runs, pairs)) < rate).astype(float) for rate in rates)  # pyright: ignore[reportReturnType]


def first_alarm(base: np.ndarray, intervention: np.ndarray, looks: np.ndarray) -> dict[str, np.ndarray]:
    """At which look each way says "different" for the first time: (runs,), infinity where it never does."""
    runs = len(base)
    alarms = {way: np.full(runs, np.inf) for way in WAYS}
    wealth = start_log_wealth(runs, two_sided=True)
    before = 0
    for look in looks:
        b, i = base[:, :look], intervention[:, :look]
        wealth = bet_many(wealth, (i - b)[:, before:])
        before = int(look)
        pooled = (b.mean(axis=1) + i.mean(axis=1)) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.abs(i.mean(axis=1) - b.mean(axis=1)) / np.sqrt(2 * pooled * (1 - pooled) / look)
            t = np.abs((i - b).mean(axis=1)) / ((i - b).std(axis=1, ddof=1) / np.sqrt(look))
        said = {
            "z-test": z >= stats.norm.isf(ALPHA / 2),
            "t-test": t >= stats.t.isf(ALPHA / 2, look - 1),
            "e-value": log_e_values(wealth) >= np.log(1 / ALPHA),
        }
        for way, now in said.items():
            alarms[way] = np.where(now & np.isinf(alarms[way]), look, alarms[way])
    return alarms


def draw(alarms: dict[str, np.ndarray], looks: np.ndarray, target: Path) -> None:
    """Share of the null runs that had said "different" by each look, as SVG."""
    import altair as alt
    import pandas as pd

    named = {"z-test": "p ≤ 0.05 (z-test; the t-test lies on it)", "e-value": "e-value ≥ 20"}
    rows = [{"pairs": int(look), "share": float(np.mean(alarms[way] <= look)), "way": named[way]} for way in named for look in looks]
    lines = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X("pairs:Q", title="pairs seen, a look after every 25"),
            y=alt.Y("share:Q", title="runs that were wrong by then", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 0.4])),
            color=alt.Color(
                "way:N",
                title=None,
                scale=alt.Scale(domain=list(named.values()), range=["#b4541a", "#1f6f54"]),
                legend=alt.Legend(orient="top", labelLimit=400),
            ),
        )
    )
    bar = alt.Chart(pd.DataFrame({"share": [ALPHA]})).mark_rule(strokeDash=[4, 4], color="#666").encode(y="share:Q")
    (lines + bar).properties(width=520, height=260, background="white").save(str(target))


def main() -> int:
    """Prints both tables, and draws the picture of docs/guarantee.md where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--step", type=int, default=25)
    parser.add_argument("--draw", type=Path)
    given = parser.parse_args()
    looks = np.arange(given.step, given.pairs + 1, given.step)
    null = first_alarm(*differences(given.runs, given.pairs, (0.2, 0.2), 0), looks)
    out = sys.stdout.write
    out(f"{given.runs} runs of two equal models, 20% of the texts of each; said to differ by:\n\n")
    shown = [look for look in (25, 100, 400, 1000, 2000) if look <= given.pairs]
    out(f"| pairs | {' | '.join(WAYS)} |\n| --- | --- | --- | --- |\n")
    for look in shown:
        out(f"| {look:,} | {' | '.join(f'{np.mean(null[way] <= look):.1%}' for way in WAYS)} |\n")
    out("\nA true difference, median pairs until it is said (a dash: not in half of the runs), and found in the end:\n\n")
    out(f"| base → intervention | {' | '.join(WAYS)} |\n| --- | --- | --- | --- |\n")
    for rates in ((0.2, 0.6), (0.2, 0.4), (0.2, 0.3), (0.05, 0.1)):
        alarms = first_alarm(*differences(given.runs // 4, given.pairs, rates, 1), looks)
        cells = [f"{m:,.0f} ({np.mean(np.isfinite(alarms[way])):.0%})" if np.isfinite(m := np.median(alarms[way])) else "–" for way in WAYS]
        out(f"| {rates[0]:.0%} → {rates[1]:.0%} | {' | '.join(cells)} |\n")
    if given.draw is not None:
        draw(null, looks, given.draw)
    return 0


if __name__ == "__main__":
    sys.exit(main())
