"""The generated text: the same for a seed, Zipf's law in its tokens, more to learn from longer contexts."""

from __future__ import annotations

import numpy as np

from examples.proxies.text import ORDER, STREAMS, VOCABULARY, Tokens, text


def plug_in_entropy(keys: Tokens, size: int) -> float:
    """Entropy in nats of what was counted."""
    p = np.bincount(keys, minlength=size) / keys.size
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def test_a_seed_gives_one_text_and_another_seed_another() -> None:
    assert np.array_equal(text(10_000, seed=3), text(10_000, seed=3))
    assert not np.array_equal(text(10_000, seed=3), text(10_000, seed=4))


def test_a_longer_text_begins_as_the_shorter_one_does() -> None:
    short, long = text(STREAMS, seed=3), text(4 * STREAMS, seed=3)
    assert np.array_equal(long[: short.size], short)
    assert short.size == (ORDER + 1) * STREAMS


def test_frequent_tokens_are_much_more_frequent() -> None:
    counts = np.sort(np.bincount(text(200_000, seed=0), minlength=VOCABULARY))[::-1]
    assert counts[-1] > 0
    slope = np.polyfit(np.log(np.arange(1, 33)), np.log(counts[:32]), 1)[0]
    assert -1.6 < slope < -0.6  # Zipf's law is -1


def test_every_token_of_context_tells_more_of_what_follows() -> None:
    written = text(2_000_000, seed=0).reshape(-1, STREAMS)
    entropies = []
    for order in range(4):  # a plug-in estimate of longer contexts would need more text
        key = np.zeros_like(written[order:])
        for back in range(order, -1, -1):
            key = key * VOCABULARY + written[order - back : len(written) - back]
        joint = plug_in_entropy(key.ravel(), VOCABULARY ** (order + 1))
        context = plug_in_entropy(key.ravel() // VOCABULARY, VOCABULARY**order)
        entropies.append(joint - context)
    assert np.all(np.diff(entropies) < -0.15)
