"""Text from a seeded generator: a Markov chain of varying order over 64 Zipf-distributed tokens.

Why not real text: a generator can be shipped whole, never runs out, and gives every run fresh tokens. What
it keeps of real text is what scaling laws live on: token and context frequencies follow Zipf's law, so that
there is always a rarer context left to learn, and some words need more context than others: after some
tokens the last one says what may follow, after others the last two, three or four. Farther back only the
class of a token counts (as a part of speech does), so that contexts have something in common.

Nothing is tabulated: what may follow a context is a hash of the context.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VOCABULARY, CLASSES, ORDER = 64, 8, 4
STREAMS = 4096  # independent texts written side by side
BURN_IN = 16  # tokens of every text that are thrown away
SURPRISE = 0.05  # how often any token may follow, by Zipf's law
SUCCESSORS = (16, 8, 6, 4)  # how many draws a context of 1, .. ORDER tokens knows, rank r weighing 1/r

Tokens = NDArray[np.int64]
Hash = NDArray[np.uint64]


def text(tokens: int, seed: int) -> Tokens:
    """At least `tokens` tokens of STREAMS texts, after ORDER tokens of context: (time, STREAMS), flattened.

    In this order a batch of consecutive tokens comes from different texts, and the token j places before
    another in its own text lies j * STREAMS before it.
    """
    rng = np.random.default_rng(seed)
    length = ORDER + BURN_IN + -(-tokens // STREAMS)
    written = np.zeros((length, STREAMS), dtype=np.int64)
    written[:ORDER] = rng.integers(VOCABULARY, size=(ORDER, STREAMS))
    for time in range(ORDER, length):
        written[time] = _following(written[time - ORDER : time], rng)
    return written[BURN_IN:].ravel()


def _following(before: Tokens, rng: np.random.Generator) -> Tokens:
    """The next token of every text, given its last ORDER tokens: (ORDER, texts), the last one last."""
    luck, surprise = rng.random((2, before.shape[1]))
    order = 1 + before[-1] % ORDER
    rank = np.zeros_like(order)
    for o, count in enumerate(SUCCESSORS, start=1):
        rank[order == o] = np.searchsorted(_zipf(count), luck[order == o], side="right")
    place = np.where(surprise < SURPRISE, luck, _uniform(_key(before, order), rank))
    return np.searchsorted(_zipf(VOCABULARY), place, side="right")


def _key(before: Tokens, order: Tokens) -> Hash:
    """One number for the context that an order looks at: the last two tokens, and classes farther back."""
    key = np.zeros(before.shape[1], dtype=np.uint64)
    for back in range(1, ORDER + 1):
        token = before[-back] if back <= 2 else before[-back] % CLASSES
        longer = _mixed(key * np.uint64(VOCABULARY + 1) + token.astype(np.uint64))
        key = np.where(order >= back, longer, key)
    return key


def _uniform(key: Hash, rank: Tokens) -> NDArray[np.float64]:
    """A number in [0, 1) that depends on context and rank only."""
    bits = _mixed(_mixed(key) + rank.astype(np.uint64))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(x: Hash) -> Hash:
    """SplitMix64's finalizer (Steele, Lea & Flood 2014, doi:10.1145/2714064.2660195); wraps modulo 2^64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _zipf(count: int) -> NDArray[np.float64]:
    """Upper ends of `count` intervals of [0, 1) whose lengths are as 1/rank; the last one is open."""
    weights = 1.0 / np.arange(1, count + 1)
    ends: NDArray[np.float64] = np.cumsum(weights / weights.sum())[:-1]
    return ends
