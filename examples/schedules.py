"""What a falling learning rate buys: η through training, and the cost it leads to.

Document 004. The same network, data, seed and first rate; only the schedule differs.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

import deltarule as dr

X, t = load_digits(return_X_y=True)
X, epochs = X / 16, 30
schedules = {
    "constant": dr.Constant(), "step": dr.StepDecay(0.5, every=6), "exponential": dr.ExponentialDecay(0.9),
    "1/t": dr.InverseTimeDecay(0.2), "cosine": dr.Cosine(),
}  # fmt: skip
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for name, schedule in schedules.items():
    net = dr.Network("64/32/10", seed=0)
    history = dr.train(
        net, X, t, optimizer="momentum(0.9)", learning_rate=0.2, schedule=schedule, epochs=epochs, batch_size=16,
        seed=0, verbose=False,
    )  # fmt: skip
    axes[0].step(range(1, epochs + 1), history.learning_rate, where="mid", label=name)
    axes[1].semilogy(range(1, epochs + 1), history.cost, label=name)
    print(f"{name}: η {history.learning_rate[0]:.3f} … {history.learning_rate[-1]:.4f}, cost {history.cost[-1]:.2e}")
axes[0].set(xlabel="epoch", ylabel="learning rate η")
axes[1].set(xlabel="epoch", ylabel="cost C")
axes[1].legend()
figure.tight_layout()
figure.savefig("schedules.svg")
