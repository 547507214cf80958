"""What the drivers of the Python clients share: the test says on standard input when to go on.

A driver sends greetings until it is told `go`, then its messages, and keeps its sockets until it is told `end`.
"""
import sys
import threading
import time

GREETING_PAUSE_S = 0.005
GREETINGS_IN_A_ROUND = 10


def greet(send):
    """Sends rounds of greetings, numbered from 0, until standard input says that one has arrived."""
    told = threading.Event()
    listener = threading.Thread(target=lambda: (sys.stdin.readline(), told.set()))
    listener.daemon = True
    listener.start()
    while not told.is_set():
        for number in range(GREETINGS_IN_A_ROUND):
            send(number)
            time.sleep(GREETING_PAUSE_S)
    listener.join()


def wait_for_end():
    """Waits until standard input says that everything has arrived."""
    sys.stdin.readline()
