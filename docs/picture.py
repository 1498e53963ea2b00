"""Draw docs/training.svg, the README's picture of a training run: `python docs/picture.py`."""

import io
from pathlib import Path

from rich.console import Console

import deltarule as dr
from deltarule.cli.show import print_scores
from deltarule.data import Preprocessing, holdout, read
from deltarule.training.callbacks import ProgressBar


class LastFrame(ProgressBar):
    """A progress bar that shows its last state only: a picture does not move."""

    def on_begin(self, run):
        super().on_begin(run)
        self.bar.stop()
        self.console.export_text(clear=True)
        self.console.print("[bold]$ deltarule train digits[/bold]")

    def on_end(self, run):
        self.on_slice(run)
        self.console.print(self.bar.get_renderable())


data = read("digits")
kept, held = holdout(data.t, 0.2, 0, stratify=True)
net = dr.Network("64/100/10", preprocessing=Preprocessing.fit(data.X[kept], data.t[kept]))
console = Console(record=True, force_terminal=True, width=84, file=io.StringIO())
dr.train(net, data.X[kept], data.t[kept], verbose=False, callbacks=[LastFrame(console)])
scores = {"training": (len(kept), net.evaluate(data.X[kept], data.t[kept]))}
print_scores(scores | {"held out": (len(held), net.evaluate(data.X[held], data.t[held]))}, console)
Path(__file__).with_name("training.svg").write_text(console.export_svg(title="deltarule"), encoding="utf-8")
