"""The benchmark: peers side by side in one interleaved run, every process apart, every number checked before it counts.

cases     what is trained, one line of a table each
problem   a case with its data, θ₀ and the numbers that every peer must reach
stages    the layers of a problem's network, from which peers build theirs
peer_*    one file a peer: its formulations, each built into a job that can be checked and timed
*_layers  the layers in a peer's library, one function a kind
worker    a process that computes for one peer at one number of threads, and otherwise waits
run       who computes when
figures   what is no case: import time, peak memory, a taken core, float64, SimpleChains.jl's ten epochs
summary, report   medians, ratios, shares; JSON, Markdown, a chart
"""

__all__ = ()
