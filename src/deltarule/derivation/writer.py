"""The derivation of a network's gradient, written for the network at hand, every formula checked on its numbers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from deltarule.activations import Softmax
from deltarule.architecture import Architecture
from deltarule.derivation.checks import Numbers, error
from deltarule.derivation.document import TOLERANCE, Block, Formula, Heading, Paragraph, Table
from deltarule.derivation.forward import left_side, written_out
from deltarule.derivation.symbols import at_layer
from deltarule.layers import RNN, Conv, Dense, Layer, MaxPool, MeanPool, Subsample, flat_size
from deltarule.layers.base import Equation
from deltarule.network import Network
from deltarule.optimizers import Optimizer

__all__ = ["Writer"]

MOST_LAYERS, ENDS = 12, 4  # of more layers the first and the last few are written out
UP = ("mask", "mean", "net value", "activation", "state")  # the equations of the way up
GRADIENTS = {  # the equations that give a parameter's gradient, and which
    "weights": "W", "biases": "b", "input weights": "W", "recurrent weights": "U", "initial state": "h0",
}  # fmt: skip
CANCELLATION = {
    "softmax": (
        r"\delta_j = \sum_k \frac{\partial C}{\partial \hat y_k} \frac{\partial \hat y_k}{\partial z_j} "
        r"= \sum_k \left(-\frac{t_k}{\hat y_k}\right) \hat y_k \, ([k = j] - \hat y_j) = \hat y_j \sum_k t_k - t_j "
        r"= \hat y_j - t_j"
    ),
    "sigmoid": (
        r"\delta_k = \frac{\partial C}{\partial \hat y_k} \, f'(z_k) "
        r"= \frac{\hat y_k - t_k}{\hat y_k (1 - \hat y_k)} \, \hat y_k (1 - \hat y_k) = \hat y_k - t_k"
    ),
    "identity": (
        r"\delta_k = \frac{\partial C}{\partial \hat y_k} \, f'(z_k) = (\hat y_k - t_k) \cdot 1 = \hat y_k - t_k"
    ),
    "exp": (
        r"\delta_k = \frac{\partial C}{\partial \hat y_k} \, f'(z_k) = \left(1 - \frac{t_k}{\hat y_k}\right) \hat y_k "
        r"= \hat y_k - t_k"
    ),
}  # fmt: skip
FROM_LOGITS = {
    "softmax": r"C = \ln \sum_j e^{z_j} - \sum_k t_k z_k \qquad \left(\sum_k t_k = 1\right)",
    "sigmoid": r"C = \sum_k t_k \ln(1 + e^{-z_k}) + (1 - t_k) \ln(1 + e^{z_k})",
    "identity": r"C = \frac{1}{2} \lVert z - t \rVert^2",
    "exp": r"C = \sum_k e^{z_k} - t_k z_k",
}


class Writer:
    """Writes the blocks of one derivation: notation, forward, cost, back, batch, update, counts."""

    def __init__(self, net: Network, numbers: Numbers, optimizer: Optimizer) -> None:
        self.net, self.numbers, self.optimizer = net, numbers, optimizer
        self.L = len(net.layers)
        self.spec = Architecture([drawn(k) for k in net.layers], input_shape=net.input_shape, cost=net.output.cost).spec
        self.folded = range(ENDS + 1, self.L - ENDS + 1) if self.L > MOST_LAYERS else range(0)
        self.blocks: list[Block] = []
        self.count = 0

    def write(self) -> list[Block]:
        """All of it."""
        self.blocks.append(Heading(f"Backpropagation for {self.spec}", 1))
        self.notation()
        self.forward()
        self.cost()
        self.output_delta()
        self.chain_rule()
        self.backward()
        self.batch()
        self.update()
        self.counts()
        return self.blocks

    def say(self, text: str) -> None:
        """A paragraph."""
        self.blocks.append(Paragraph(text))

    def formula(self, latex: str, shapes: str = "", error: float | None = None) -> int:
        """A formula with its number."""
        self.count += 1
        self.blocks.append(Formula(self.count, latex, shapes, error))
        return self.count

    # Notation

    def notation(self) -> None:
        """Symbols with the shapes they have here."""
        self.blocks.append(Heading("Notation"))
        rows = [(r"$a^{(0)} = x$", self.shape(self.net.input_shape), "the input, of one sample")]
        for stage, layer in enumerate(self.net.layers, 1):
            if stage in self.folded:
                if stage == self.folded[0]:
                    rows.append(("…", "", f"layers {stage} to {self.folded[-1]}, folded"))
                continue
            own = self.shape(self.net.shapes[stage])
            shapes = layer.parameter_shapes(self.net.shapes[stage - 1])
            for name, shape in shapes.items():
                symbol = {"omega": r"\omega", "h0": "h"}.get(name, name) + f"^{{({stage})}}" + "_0" * (name == "h0")
                rows.append(
                    (f"${symbol}$", self.shape(shape), f"{WORDS.get(name, name)} of layer {stage}, {drawn(layer)}")
                )
            a = "h" if isinstance(layer, RNN) else "a"
            rows.append(
                (rf"$z^{{({stage})}}, {a}^{{({stage})}}, \delta^{{({stage})}}$", own, "net value, activation, error")
            )
        rows.append((rf"$\hat y = a^{{({self.L})}}$, $t$", self.shape(self.net.shapes[-1]), "answer and target"))
        rows.append(("$C$", "1", f"the cost of the sample, {self.net.output.cost}"))
        self.blocks.append(Table(("symbol", "shape", "meaning"), rows))
        self.say(
            r"$\delta^{(l)} = \partial C / \partial z^{(l)}$; $\odot$ multiplies entry by entry; $[\,\cdot\,]$ is 1 "
            "where what it holds is true, else 0. The error beside a formula is the relative difference between its "
            "two sides, for one sample in double precision: of the way up against the sums written out, of "
            "derivatives against a complex step, which knows nothing of the chain rule."
        )

    @staticmethod
    def shape(shape: Any) -> str:
        """As the tables write it."""
        return "T × " * (shape[0] is None) + " × ".join(str(n) for n in shape if n is not None)

    def sized(self, shapes: str, stage: int) -> str:
        """A formula's shapes with this layer's sizes: (n_out, n_in) becomes (10, 784)."""
        layer, below, own = self.net.layers[stage - 1], self.net.shapes[stage - 1], self.net.shapes[stage]
        sizes: dict[str, int | None] = {
            "n_out": own[-1],
            "n_in": flat_size(below),
            "n_h": layer.state_size,
            "n": below[-1],
        }
        if len(below) == 3:
            sizes |= dict(zip(("channels", "height", "width"), below))
        if len(own) == 3:
            sizes |= dict(zip(("maps", "h", "w"), own))
        if isinstance(layer, Conv | MaxPool | MeanPool | Subsample):
            sizes |= dict(zip(("rows", "columns"), layer.windows(cast(Any, below[1:])).size))
        return re.sub(r"[a-z_]+", lambda m: str(sizes.get(m.group(), m.group())), shapes)

    # Forward

    def forward(self) -> None:
        """Every layer's way up."""
        self.blocks.append(Heading("Forward"))
        self.layers(range(1, self.L + 1), self.upward, lambda stage: None)

    def upward(self, stage: int) -> Iterator[tuple[Equation, float | None]]:
        """The formulas of a layer's way up, and their errors."""
        layer = self.net.layers[stage - 1]
        for e in layer.equations():
            if e.name in UP:
                yield e, self.forward_error(stage, layer, e.name)

    def layers(
        self, stages: range, formulas: Callable[[int], Iterator[tuple[Equation, float | None]]],
        behind: Callable[[int], None],
    ) -> None:  # fmt: skip
        """The formulas of these layers, one layer after the other; those in the middle of very many are folded."""
        folded: list[float] = []
        for stage in stages:
            found = list(formulas(stage))
            errors = [error for _, error in found if error is not None]
            if stage in self.folded and max(errors, default=0.0) <= TOLERANCE:
                folded += errors
                if stage == (self.folded[-1] if stages.step > 0 else self.folded[0]):
                    self.fold(folded)
                continue
            self.blocks.append(Heading(f"Layer {stage}: {drawn(self.net.layers[stage - 1])}", 3))
            for e, found_error in found:
                self.formula(at_layer(e.latex, stage), self.sized(e.shapes, stage), found_error)
            behind(stage)

    def fold(self, errors: list[float]) -> None:
        """Say what is left out, and that it was checked."""
        first, last = self.folded[0], self.folded[-1]
        kinds = Counter(str(drawn(self.net.layers[stage - 1])) for stage in self.folded)
        what = ", ".join(f"{n} × {kind}" for kind, n in kinds.items())
        self.say(
            f"Layers {first} to {last} are folded here ({what}): their formulas are those of their kind beside them, "
            f"with their own numbers. All were checked; the largest of {len(errors)} errors is "
            f"{max(errors, default=0):.0e}. "
            "What fails its check is written out."
        )

    def forward_error(self, stage: int, layer: Layer, name: str) -> float | None:
        """Of some entries: what the layer answered against its formula written out."""
        write, k = written_out(layer, name), self.numbers.trace[stage]
        left = None if write is None else left_side(name, k)
        if write is None or left is None or left.size == 0:
            return None
        places = self.numbers.places(left.shape)
        return error([left[place] for place in places], [write(k, place) for place in places])

    # The cost and the output

    def cost(self) -> None:
        """C of one sample."""
        output = self.net.output
        self.blocks.append(Heading("The cost"))
        f, C = output.activation, output.cost
        values = self.numbers.trace
        direct = float(np.sum(C.value(np.reshape(values.y, (1, -1)), np.reshape(values.t, (1, -1)))))
        steps = self.net.shapes[-1][0] is None
        found = error(direct / (values.t.shape[0] if steps and self.net.time == "mean" else 1), values.C)
        self.formula("C = " + C.equation, "a number", found)
        if output.canonical:
            self.say(f"With {f} in the last layer it is computed from the net values, which overflow nowhere:")
            self.formula(FROM_LOGITS[f.name])
        if steps:
            mean = self.net.time == "mean"
            self.say(f"Every time step has such a cost; that of the sequence is their {'mean' if mean else 'sum'}.")

    def output_delta(self) -> None:
        """δ⁽ᴸ⁾: the cancellation of canonical pairs, or the full way."""
        output, top = self.net.output, self.net.layers[-1]
        f = output.activation
        self.blocks.append(Heading("The error of the output layer"))
        if isinstance(top, RNN):
            self.say("The last layer is recurrent: its error goes back through time, below.")
            return
        if not isinstance(f, Softmax) and not isinstance(top, Dense | Conv | Subsample):
            self.say("The last layer has no activation of its own: what comes from the cost passes on.")
            return
        if output.canonical:
            self.say(
                f"{f.name.capitalize()} and {output.cost.name} are made for each other: what one divides by the other "
                "multiplies with."
            )
            self.formula(CANCELLATION[f.name])
        else:
            self.say("By the chain rule, first through the cost, then through the activation:")
            self.formula(r"\frac{\partial C}{\partial \hat y} = " + output.cost.derivative_equation)
            if isinstance(f, Softmax):
                self.say("Softmax couples its outputs, so that its Jacobian is full:")
                self.formula(r"\frac{\partial \hat y_k}{\partial z_j} = \hat y_k \, ([k = j] - \hat y_j)")
                self.formula(
                    r"\delta_j = \sum_k \frac{\partial C}{\partial \hat y_k} \frac{\partial \hat y_k}{\partial z_j} "
                    r"= \hat y_j \left(\frac{\partial C}{\partial \hat y_j} "
                    r"- \sum_k \hat y_k \frac{\partial C}{\partial \hat y_k}\right)"
                )
            else:
                self.formula(rf"f'(z) = {f.derivative_equation}")
        delta = r"\hat y - t" if output.canonical else r"f'(z^{(L)}) \odot \frac{\partial C}{\partial \hat y}"
        if isinstance(f, Softmax) and not output.canonical:
            delta = r"J^T \frac{\partial C}{\partial \hat y}"
        latex = rf"\delta^{{({self.L})}} = " + delta.replace("(L)", f"({self.L})")
        self.formula(latex, self.shape(self.net.shapes[-1]), self.numbers.delta_error(self.L))

    def chain_rule(self) -> None:
        """Document 001's two cases, and where they occur here."""
        self.blocks.append(Heading("The chain rule"))
        self.say("Two cases are all there is. One variable after the other:")
        self.formula(r"z = h(y), \; y = g(x): \qquad \frac{dz}{dx} = \frac{dz}{dy} \frac{dy}{dx}")
        self.say(
            r"It takes $\partial C / \partial a$ to $\delta = \partial C / \partial z$ wherever $a = f(z)$ acts entry "
            "by entry. And several on the way, whose contributions add up:"
        )
        self.formula(
            r"z = k(x, y), \; x = g(s), \; y = h(s): \qquad \frac{dz}{ds} = \frac{\partial z}{\partial x} "
            r"\frac{dx}{ds} + \frac{\partial z}{\partial y} \frac{dy}{ds}"
        )
        self.say(
            r"It takes $\delta$ of a layer to $\partial C / \partial a$ of the layer below, since every unit there "
            "reaches many units; weights used many times, by a kernel or through time, have a term for every use."
        )
        self.say("So the gradient of a weight has two factors, one from each pass:")
        self.formula(
            r"\frac{\partial C}{\partial w} = \underbrace{\frac{\partial z}{\partial w}}_{\text{forward: } a} \; "
            r"\underbrace{\frac{\partial C}{\partial z}}_{\text{backward: } \delta}"
        )

    # Backward

    def backward(self) -> None:
        """From the last layer to the first: gradients, what goes down, and the next error."""
        self.blocks.append(Heading("Backward"))
        self.layers(range(self.L, 0, -1), self.downward, lambda stage: self.explain(stage, self.net.layers[stage - 1]))

    def downward(self, stage: int) -> Iterator[tuple[Equation, float | None]]:
        """The formulas of a layer's way back, and their errors; δ⁽ᴸ⁾ has a section of its own."""
        layer = self.net.layers[stage - 1]
        done = () if stage < self.L or isinstance(layer, RNN) else ("delta", "activation's derivative")
        for e in layer.equations():
            if e.name not in UP and e.name not in done:
                yield e, self.backward_error(stage, layer, e.name)

    def backward_error(self, stage: int, layer: Layer, name: str) -> float | None:
        """Against complex steps: of θ, of what comes in, of the net values."""
        if name in GRADIENTS:
            return self.numbers.gradient_error(stage, GRADIENTS[name])
        if name == "input":
            return self.numbers.input_error(stage)
        if name == "delta":
            return self.numbers.delta_error(stage)
        if name == "activation's derivative":
            return self.numbers.slope_error(stage)
        return None

    def explain(self, stage: int, layer: Layer) -> None:
        """What a layer's formulas are the short form of."""
        if isinstance(layer, Dense):
            self.say("Index by index:")
            self.formula(
                at_layer(r"z_i = \sum_k W_{ik} \, a_{\mathrm{prev},k} + b_i", stage) + r" \quad \Rightarrow \quad "
                + at_layer(r"\frac{\partial z_i}{\partial W_{jk}} = [i = j] \, a_{\mathrm{prev},k}", stage)
            )  # fmt: skip
            self.formula(at_layer(
                r"\frac{\partial C}{\partial W_{jk}} = \sum_i \frac{\partial C}{\partial z_i} "
                r"\frac{\partial z_i}{\partial W_{jk}} = \delta_j \, a_{\mathrm{prev},k}", stage,
            ))  # fmt: skip
            if stage > 1 and flat_size(self.net.shapes[stage - 1]) and self.entrywise(stage - 1):
                below = self.net.layers[stage - 2]
                self.formula(
                    at_layer(r"\delta", stage - 1) + r" = \operatorname{diag}\left(" + at_layer("f'(z)", stage - 1)
                    + r"\right) " + at_layer(r"W^T \delta", stage), f"at {drawn(below)}",
                )  # fmt: skip
        elif isinstance(layer, Conv):
            self.say(
                "The kernel slides without being turned (cross-correlation). What goes down is the wide convolution "
                r"of $\delta$ with the kernel turned by 180°, rot180; at stride 1:"
            )
            self.formula(at_layer(
                r"\frac{\partial C}{\partial a_{\mathrm{prev},c}} = \sum_o \delta_o \ast_{\mathrm{full}} W_{oc} = "
                r"\sum_o \operatorname{pad}(\delta_o) \star \operatorname{rot180}(W_{oc})", stage,
            ))  # fmt: skip
        elif isinstance(layer, MeanPool | Subsample):
            self.say(
                "Every number of a window has the same share of what comes back, and maps grow by Kronecker products:"
            )
            rows, columns = layer.windows(self.net.shapes[stage - 1][1:]).size  # type: ignore[arg-type]
            scale = r"\omega_o \, " if isinstance(layer, Subsample) else ""
            self.formula(at_layer(
                rf"\frac{{\partial C}}{{\partial a_{{\mathrm{{prev}},o}}}} = \frac{{1}}{{{rows * columns}}} \, {scale}"
                rf"\operatorname{{kron}}(\delta_o, 1_{{{rows} \times {columns}}})", stage,
            ))  # fmt: skip
        elif isinstance(layer, RNN):
            self.say("Unrolled, the recursion is a sum over what every later step contributes:")
            self.formula(
                at_layer(
                    r"\delta_k = \sum_{t \ge k} \delta_{t,k}, \qquad \delta_{t,k} = f'(z_k) \odot U^T \delta_{t,k+1}",
                    stage,
                )
            )
            self.formula(
                at_layer(
                    r"\delta_{t,k} = \left(\prod_{j=k}^{t-1} \operatorname{diag}(f'(z_j)) \, U^T\right) \delta_{t,t}",
                    stage,
                )
            )
            self.say("so that the errors of far steps vanish or explode with the powers of $U$ and of the slopes.")

    def entrywise(self, stage: int) -> bool:
        """Whether a layer's activation acts entry by entry on rows of its own."""
        layer = self.net.layers[stage - 1]
        return isinstance(layer, Dense) and not isinstance(layer.f, Softmax)

    # A batch, the update, the counts

    def batch(self) -> None:
        """The same for m samples."""
        self.blocks.append(Heading("A mini-batch"))
        self.say("For m samples with weights $w_i$ (1 unless said) and decay $\\lambda$:")
        self.formula(r"C = \frac{1}{\sum_i w_i} \sum_{i=1}^m w_i C^{(i)} + \frac{\lambda}{2} \sum W^2")
        self.formula(
            r"\frac{\partial C}{\partial W} = \frac{1}{\sum_i w_i} \sum_{i=1}^m w_i "
            r"\frac{\partial C^{(i)}}{\partial W} + \lambda W",
            "", self.numbers.batch_error(),
        )  # fmt: skip
        if any(isinstance(layer, Dense) for layer in self.net.layers):
            self.say("With samples as rows, $A$ and $\\Delta$ of m rows, a dense layer's sum is a product of matrices:")
            self.formula(
                r"Z = A_{\mathrm{prev}} W^T + 1 b^T, \quad \frac{\partial C}{\partial W} = \frac{1}{m} \Delta^T "
                r"A_{\mathrm{prev}}, \quad \frac{\partial C}{\partial b} = \frac{1}{m} \Delta^T 1, \quad "
                r"\frac{\partial C}{\partial A_{\mathrm{prev}}} = \Delta W"
            )

    def update(self) -> None:
        """The optimiser's step."""
        self.blocks.append(Heading(f"The update: {self.optimizer}"))
        self.say(
            r"With $g = \partial C / \partial \theta$, $\theta$ all parameters in one vector, $t$ the updates' number:"
        )
        self.formula(self.optimizer.equation, "", self.numbers.update_error(self.optimizer))

    def counts(self) -> None:
        """Parameters, and multiply-adds of a sample."""
        self.blocks.append(Heading("How much it is"))
        rows = []
        for stage, layer in enumerate(self.net.layers, 1):
            n = sum(s.stop - s.start for s in self.net.slots if s.stage == stage)
            rows.append((str(stage), str(drawn(layer)), f"{n:,}", f"{self.products(stage):,}"))
        rows.append(("", "all", f"{self.net.size:,}", f"{sum(self.products(k) for k in range(1, self.L + 1)):,}"))
        self.blocks.append(Table(("layer", "", "parameters", "multiply-adds forward"), rows))
        self.say(
            "The way back takes about twice as many: once for the gradients, once for what goes down (not in layer 1). "
            "Of sequences it is a step that is counted."
        )

    def products(self, stage: int) -> int:
        """Multiply-adds of one sample, or step, forward."""
        layer, own = self.net.layers[stage - 1], self.net.shapes[stage]
        weights = [math.prod(s.shape) for s in self.net.slots if s.stage == stage and s.name in ("W", "U", "omega")]
        uses = math.prod(n or 1 for n in own[1:]) if isinstance(layer, Conv | Subsample) else 1
        return sum(weights) * uses


def drawn(layer: Layer) -> Layer:
    """The layer without how its weights were drawn, which no formula asks for."""
    usual: dict[str, Any] = {
        f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        for f in dataclasses.fields(layer)
        if f.name.endswith("initializer")
    }
    return dataclasses.replace(layer, **usual)


WORDS = {"W": "weights", "U": "recurrent weights", "b": "biases", "omega": "weights of the means", "h0": "first state"}
