"""The peers: each formulation of a small case reaches the reference; what cannot be compared says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltarule.bench import peers
from deltarule.bench.cases import CASES, CHECKED, Case, find
from deltarule.bench.crew import Crew
from deltarule.bench.peer import Peer, blas_threads, thread_counts
from deltarule.bench.peers import PEERS
from deltarule.bench.race import TOLERANCE
from deltarule.errors import UnknownNameError

SMALL = {
    "small adam": Case("small adam", "64/16/10", "tanh", "adam", 1e-2, 32, "digits", 1000),
    "online": replace(find("online"), rows=2 * CHECKED),
    "small lenet": Case(
        "small lenet", "1x8x8/conv(3,3,pad=1)/meanpool(2)/conv(4,3)/meanpool(2)/9/10", "tanh", "momentum(0.9)", 0.05, 8,
        "digits", 200,
    ),
    "small links": Case(
        "small links", "1x8x8/conv(6,3,pad=1,border=-0.1)/subsample(2)/conv(16,3,links=lenet5)/subsample(2)/10",
        "scaled tanh", "momentum(0.9)", 0.05, 8, "digits", 200,
    ),
    "small colour": Case(
        "small colour", "3x9x10/conv(5,(4,3),pad=same)/maxpool(2)/conv(4,2,stride=(1,2),pad=same)/maxpool(2)/9/10",
        "relu", "adam", 1e-2, 8, "pixels", 200,
    ),
    "small characters": Case(
        "small characters", "seq(65)/rnn(9)/65", "tanh", "momentum(0.9)", 0.05, 8, "characters", 170, length=7
    ),
    "small steps": Case("small steps", "seq(3)/rnn(5)/4", "relu", "adam", 1e-2, 8, "noise", 170, length=7),
    "small last": Case("small last", "seq(8)/rnn(5,last=True)/10", "tanh", "sgd", 0.1, 8, "digits", 170, length=8),
    "small ufldl": Case("small ufldl", "1x8x8/conv(5,3)/meanpool(2)/10", "sigmoid", "sgd", 0.5, 8, "digits", 200),
}  # fmt: skip
IMAGES = [name for name in SMALL if SMALL[name].images]
SEQUENCES = [name for name in SMALL if SMALL[name].sequences]


def small(name):
    return SMALL.get(name) or find(name).shortened()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_formulations_differ(peer, case):
    found = peer.formulations(case, [1, 2])
    assert len({(f.name, f.threads) for f in found}) == len(found)
    assert {f.threads for f in found} <= {1, 2}


def test_the_environment_sets_the_threads_before_the_start():
    jax = peers.find("jax")
    one, two = (jax.environment(jax.formulations(find("tiny"), [n])[0]) for n in (1, 2))
    assert (one["OMP_NUM_THREADS"], two["NPROC"]) == ("1", "2")
    assert "multi_thread_eigen=false" in one["XLA_FLAGS"]
    assert two["XLA_FLAGS"] == ""
    assert thread_counts()[0] == 1


def test_an_absent_peer_says_how_to_install_it():
    peer = Peer("x", "X", lambda *_: [], None, ("numpy", "no_such_package"), "pip install x", environment=blas_threads)
    assert peers.absent(peer) == "no_such_package is not installed: pip install x"
    assert peers.absent(peers.find("textbook")) is None
    with pytest.raises(UnknownNameError, match="peers: native, textbook, torch, torch-by-hand, jax, sklearn"):
        peers.find("caffe")


def check(race, peer, case):
    """Every formulation on one thread, in processes of their own; vectors of another width compute the same."""
    with Crew() as crew:
        run = race(case, crew)
        for formulation in peer.formulations(case, [1]):
            if (case.images or case.sequences) and formulation.options.get("width"):
                continue  # each takes seconds to compile
            lane = run.enter(peer, formulation)
            assert lane.failure == "", f"{lane}: {lane.failure}"
            assert lane.error < TOLERANCE


@pytest.mark.parametrize("name", IMAGES + SEQUENCES)
@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.ours], ids=lambda peer: peer.name)
def test_both_engines_reach_the_reference_on_images_and_sequences(race, peer, name):
    if not peer.refuses(small(name)):
        check(race, peer, small(name))


@pytest.mark.parametrize("name", ["digits", "small adam", "mlp32", "online", "predict1"])
def test_scikit_learn_reaches_the_reference(race, name):
    check(race, peers.find("sklearn"), small(name))


def test_scikit_learn_says_what_it_cannot():
    refuses = peers.find("sklearn").refuses
    assert "one sigmoid output" in refuses(find("tiny"))
    assert "dense layers only" in refuses(find("lenet32"))
    assert "dense layers only" in refuses(find("rnn32"))
    assert refuses(find("wide")) is None


def test_by_hand_pytorch_says_what_it_leaves():
    refuses = peers.find("torch-by-hand").refuses
    assert "no gradient" in refuses(find("predict1"))
    assert refuses(find("lenet32")) is None
    assert refuses(find("rnn32")) is None


def test_sequences_come_in_every_form():
    """Characters one-hot and as tokens, batch first and time first; numbers as they are."""
    torch = peers.find("torch")
    forms = {(f.options["inputs"], f.options["order"]) for f in torch.formulations(find("rnn32"), [1])}
    assert forms == {("one-hot", "batch first"), ("one-hot", "time first"), ("tokens", "time first")}
    assert {f.options["inputs"] for f in torch.formulations(find("pixels"), [1])} == {"numbers"}
    assert next(f.name for f in peers.find("native").formulations(find("rnn32"), [1])) == "X tokens"


@pytest.mark.peers
@pytest.mark.parametrize(
    "name", ["tiny", "digits", "small adam", "mlp32", "deep", "online", "predict1", *IMAGES, *SEQUENCES]
)
def test_pytorch_reaches_the_reference(race, name):
    check(race, peers.find("torch"), small(name))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["digits", "small adam", "mlp32", "deep", "online", *IMAGES, *SEQUENCES])
def test_pytorch_by_hand_reaches_the_reference(race, name):
    check(race, peers.find("torch-by-hand"), small(name))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["digits", "small adam", "mlp32", "online", "predict1", *IMAGES, *SEQUENCES])
def test_jax_reaches_the_reference(race, name):
    check(race, peers.find("jax"), small(name))
