#!/usr/bin/env python3
"""Records what a driver sends over UDP, greetings left out: record.py OUT COMMAND…

`HOST` and `PORT` in the command are replaced. Each datagram is written behind its length in four bytes.
"""
import socket
import struct
import subprocess
import sys


def main(out, *command):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    receiver.bind(("127.0.0.1", 0))
    places = {"HOST": "127.0.0.1", "PORT": str(receiver.getsockname()[1])}
    driver = subprocess.Popen([places.get(word, word) for word in command], stdin=subprocess.PIPE, text=True)
    receiver.recv(65536)
    driver.stdin.write("go\n")
    driver.stdin.flush()
    receiver.settimeout(2)
    with open(out, "wb") as file:
        while True:
            try:
                datagram = receiver.recv(65536)
            except socket.timeout:
                break
            if b"greeting" not in datagram:
                file.write(struct.pack(">I", len(datagram)) + datagram)
    driver.communicate("end\n")


main(*sys.argv[1:])
