"""Ctrl-C and SIGTERM, sent for real."""

import os
import signal
import threading
from contextlib import contextmanager

import pytest

from senas.study.interrupt import Interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _handlers():
    """Whatever a test does to the handlers, the next one has the usual ones."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@contextmanager
def interrupted():
    """What is inside is left by way of KeyboardInterrupt."""
    left = False
    try:
        yield
        left = True
    except KeyboardInterrupt:
        pass
    assert not left, "nothing interrupted it"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_at_once_outside_a_shield(number):
    reached = []
    with interrupted(), Interrupt():
        send(number)
        reached.append("behind")
    assert reached == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_shield_is_finished_before_a_signal_takes_effect(number):
    reached = []
    with interrupted(), Interrupt() as interrupt:
        with interrupt.shield():
            send(number)
            reached.append("inside")
        reached.append("behind")
    assert reached == ["inside"]


def test_a_second_signal_raises_at_once_shield_or_not():
    reached = []
    with interrupted(), Interrupt() as interrupt, interrupt.shield():
        send()
        reached.append("after the first")
        send(signal.SIGTERM)
        reached.append("after the second")
    assert reached == ["after the first"]


def test_an_inner_shield_does_not_end_the_outer_one():
    reached = []
    with interrupted(), Interrupt() as interrupt, interrupt.shield():
        with interrupt.shield():
            send()
        reached.append("still inside")
    assert reached == ["still inside"]


def test_a_shield_without_a_signal_does_nothing():
    with Interrupt() as interrupt, interrupt.shield():
        pass


def test_a_signal_interrupts_once_and_later_shields_are_as_before():
    reached = []
    with Interrupt() as interrupt:
        with interrupted(), interrupt.shield():
            send()
        with interrupt.shield():
            reached.append("again")
    assert reached == ["again"]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_the_handlers_are_restored_however_it_ends(error):
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with Interrupt():
            assert [signal.getsignal(number) for number in SIGNALS] != before
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError):
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_another_thread_it_leaves_the_handlers_alone():
    before, seen = [signal.getsignal(number) for number in SIGNALS], []

    def work():
        with Interrupt() as interrupt, interrupt.shield():
            seen.append([signal.getsignal(number) for number in SIGNALS])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
