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
}


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
    """Every formulation on one thread, in processes of their own."""
    with Crew() as crew:
        run = race(case, crew)
        for formulation in peer.formulations(case, [1]):
            lane = run.enter(peer, formulation)
            assert lane.failure == "", f"{lane}: {lane.failure}"
            assert lane.error < TOLERANCE


@pytest.mark.parametrize("name", ["digits", "small adam", "mlp32", "online", "predict1"])
def test_scikit_learn_reaches_the_reference(race, name):
    check(race, peers.find("sklearn"), small(name))


def test_scikit_learn_says_what_it_cannot():
    refuses = peers.find("sklearn").refuses
    assert "one sigmoid output" in refuses(find("tiny"))
    assert refuses(find("wide")) is None


@pytest.mark.peers
@pytest.mark.parametrize("name", ["tiny", "digits", "small adam", "mlp32", "deep", "online", "predict1"])
def test_pytorch_reaches_the_reference(race, name):
    check(race, peers.find("torch"), small(name))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["digits", "small adam", "mlp32", "online", "predict1"])
def test_jax_reaches_the_reference(race, name):
    check(race, peers.find("jax"), small(name))
