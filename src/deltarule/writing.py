"""Text written by a network: one character after the other, each drawn from what it answers to those before."""

from __future__ import annotations

import numpy as np

from deltarule import engines
from deltarule.activations import Softmax
from deltarule.errors import DataError, HyperparameterError
from deltarule.limits import number, whole
from deltarule.network import Network
from deltarule.randomness import draw_seed, generator

__all__ = ["generate"]

AT_A_TIME = 1 << 16  # characters that are drawn in one go


def generate(
    net: Network, prompt: str = "", length: int = 500, *, temperature: float = 1.0, seed: int | None = 0
) -> str:
    """What the network writes behind a prompt.

    p_k ∝ e^{z_k / T}: below T = 1 the likelier characters are preferred, at 0 the likeliest is taken.

    Args:
        net: a recurrent network with a vocabulary, which answers every character with the next.
        prompt: what it goes on from; nothing begins with a line break, or with the first of its characters.
        length: how many characters.
        temperature: T, not negative.
        seed: of the draws; the same seed writes the same text. None draws one.

    Returns:
        The characters behind the prompt.

    Raises:
        DataError: the prompt has a character that the network has never seen.

    >>> net = Network("seq(3)/rnn(8)/3", vocabulary="abc", seed=1)
    >>> len(generate(net, "ab", 20)), set(generate(net, length=50)) <= set("abc")
    (20, True)
    """
    vocabulary = net.vocabulary
    chances = isinstance(net.output.activation, Softmax)
    if vocabulary is None or not chances or net.shapes[-1] != (None, len(vocabulary)):
        raise HyperparameterError(
            f"{net.spec} writes no text: that takes a vocabulary, and a softmax over its characters at every step"
        )
    length, T = whole("length", length), number("temperature", temperature, least=0)
    if not isinstance(prompt, str):
        raise DataError(f"the prompt is a text, not {prompt!r:.60}")
    begin = prompt or ("\n" if "\n" in vocabulary.characters else vocabulary.characters[0])
    tokens = vocabulary.encode(begin, "the prompt").astype(np.int64)
    T = T if np.finfo(net.dtype).tiny <= T else 0.0  # the likeliest then, as at 0
    random, engine, state = generator(draw_seed(seed), "generate"), engines.choose("auto", net), None
    written = []
    for at in range(0, length, AT_A_TIME):
        uniform = random.random(min(AT_A_TIME, length - at))
        drawn, state = engine.generate(net, net.theta, tokens, uniform, T, state)
        written.append(vocabulary.decode(drawn))
        tokens = drawn[-1:]
    return "".join(written)
