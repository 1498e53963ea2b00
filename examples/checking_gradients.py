"""A gradient is checked before it is trusted: the error of a central difference over its step, and of a complex step.

Document 002. Large steps err by truncation, as ε²; small ones by rounding, as 1/ε; between them 1e-4 is good for nine
digits. A complex step subtracts nothing: h = 1e-30 is good for all digits there are.
"""

import matplotlib.pyplot as plt
import numpy as np

import deltarule as dr

random = np.random.default_rng(0)
net = dr.Network("20/30:tanh/10:sigmoid/5", dtype="float64")
X, t = random.normal(size=(10, 20)), random.integers(5, size=10)
print(dr.check_gradient(net, X, t))

C, gradient = net.cost_and_gradient(X, t)
direction = random.normal(size=net.size)
direction /= np.linalg.norm(direction)
slope, J = gradient @ direction, net.cost_function(X, t)
steps = np.logspace(-14, 0, 57)
central = [(J(net.theta + e * direction)[0] - J(net.theta - e * direction)[0]) / (2 * e) for e in steps]

figure, axis = plt.subplots(figsize=(6, 3.6))
axis.loglog(steps, np.abs(np.array(central) - slope) / abs(slope), label="central difference")
error = max(dr.check_gradient(net, X, t, method="complex").error("complex"), 1e-17)
axis.axhline(error, color="C1", label="complex step, h = 1e-30")
axis.set(xlabel="step ε", ylabel="relative error", ylim=(1e-17, 10))
axis.legend(loc="upper center")
axis.grid(alpha=0.3)
figure.tight_layout()
figure.savefig("checking_gradients.svg")
