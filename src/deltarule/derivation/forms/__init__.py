"""A derivation in its forms: Markdown, LaTeX, HTML with MathML, a terminal."""

from deltarule.derivation.forms import html, latex, markdown, terminal

__all__ = ["html", "latex", "markdown", "terminal"]
