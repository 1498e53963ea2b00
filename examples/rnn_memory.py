"""How far back an RNN remembers: ‖δ_{t,k}‖, what the cost of step t gives to step k, before and after training.

Document 003. The task is to name, at the last of T steps, the symbol that stood at the first. The triangle's last row
is the error of that answer on its way back: from small recurrent weights it fades within a few steps; training, or U
near a rotation, makes it reach the beginning.
"""

import matplotlib.pyplot as plt
import numpy as np

import deltarule as dr

T, symbols, random = 12, 4, np.random.default_rng(0)
X = random.integers(symbols, size=(2000, T))
t = X[:, 0]


def network(recurrent: str) -> dr.Network:
    """One recurrent layer that answers at the end."""
    layers = [dr.RNN(32, last=True, recurrent_initializer=recurrent), dr.Dense(symbols)]
    return dr.Network(layers, input_shape=(None, symbols), seed=0)


def reach(net: dr.Network) -> np.ndarray:
    """The mean ‖δ_{T,k}‖ over some sequences, beside that of the last step."""
    triangle = dr.trace(net, X[:200], t[:200]).triangle(1)
    lengths = np.linalg.norm(triangle[:, -1], axis=-1).mean(axis=0)
    return lengths / lengths[-1]


figure, axis = plt.subplots(figsize=(8, 3.6))
for name, recurrent in {"usual U": "lecun_uniform(0.5)", "orthogonal U": "orthogonal"}.items():
    net = network(recurrent)
    before = reach(net)
    dr.train(net, X, t, epochs=15, learning_rate=0.003, clip_norm=1, verbose=False)
    (line,) = axis.semilogy(range(1, T + 1), before, "--", label=f"{name}, before")
    axis.semilogy(range(1, T + 1), reach(net), color=line.get_color(), label=f"{name}, after training")
    accuracy = net.evaluate(X, t)["accuracy"]
    print(f"{name}: at step 1 ‖δ‖ is {before[0]:.1e} of the last, {reach(net)[0]:.1e} trained; {accuracy:.0%} right")
axis.set(xlabel="step k", ylabel=r"mean $\|\delta_{T,k}\|\;/\;\|\delta_{T,T}\|$", xticks=range(1, T + 1))
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
axis.grid(alpha=0.3)
figure.tight_layout()
figure.savefig("rnn_memory.svg")
