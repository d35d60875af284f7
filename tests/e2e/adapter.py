"""A socket adapter: lets a program that knows nothing of relays talk through one.

    adapter.py listen --relay HOST:PORT --token TOKEN --local HOST:PORT [--lanes N]
    adapter.py dial   --relay HOST:PORT --token TOKEN --server HOST:PORT [--lanes N]

`listen` takes a connection on --local and joins the first free lane with it. `dial` waits on every
lane with the other slot's token; when one is joined it connects to --server, says so with one byte,
and waits again when that connection is over. `listen` takes its next connection behind that byte:
lanes race each other, and some programs tell their connections apart by the order in which they
come. Half-closes and resets pass.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
import threading
import time

import tandem_client as tc

CHUNK = 256 * 1024
CONNECTED = b"."


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def splice(one: socket.socket, other: socket.socket, first: bytes) -> None:
    """Until both directions ended; first goes to `other` ahead of all."""
    broken = threading.Event()

    def pump(source: socket.socket, sink: socket.socket, head: bytes) -> None:
        try:
            sink.sendall(head)
            while data := source.recv(CHUNK):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            broken.set()
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)  # wakes the other direction
                except OSError:
                    pass

    back = threading.Thread(target=pump, args=(other, one, b""), daemon=True)
    back.start()
    pump(one, other, first)
    back.join()
    for sock in (one, other):
        reset(sock) if broken.is_set() else sock.close()


def join(relay: tuple[str, int], token: tc.Token, lane: int) -> tc.Stream:
    """Joined, with as much patience as it takes: the lane's former tenant may only just have left
    (SESSION_FULL), and nobody may have come yet (TIMEOUT)."""
    former_until = time.monotonic() + 5
    while True:
        stream = tc.Stream(relay, timeout=None)
        how = stream.prove if token.flags & tc.NEEDS_PROVE else stream.join
        try:
            how(token, lane)
            return stream.wait_paired()
        except tc.RelayError as error:
            stream.close()
            if error.code == "SESSION_FULL" and time.monotonic() < former_until:
                time.sleep(0.05)
            elif error.code != "TIMEOUT":
                raise


def listen(relay: tuple[str, int], token: tc.Token, local: tuple[str, int], lanes: int) -> None:
    free = threading.Semaphore(lanes)
    taken = [threading.Lock() for _ in range(lanes)]
    with socket.create_server(local, family=tc.family_of(local[0]), backlog=64) as server:
        print("listening", server.getsockname()[1], flush=True)
        while True:
            client, _ = server.accept()
            free.acquire()
            lane = next(lane for lane in range(lanes) if taken[lane].acquire(blocking=False))

            through = threading.Event()

            def serve(client: socket.socket, lane: int, through: threading.Event) -> None:
                try:
                    stream = join(relay, token, lane)
                    stream.read_exactly(len(CONNECTED))
                    through.set()
                    splice(stream.sock, client, stream.take_unread())
                except (OSError, tc.RelayError, tc.StreamClosed) as error:
                    print(f"lane {lane}: {error}", file=sys.stderr, flush=True)
                    reset(client)
                finally:
                    taken[lane].release()
                    free.release()
                    through.set()

            threading.Thread(target=serve, args=(client, lane, through), daemon=True).start()
            through.wait()


def dial(relay: tuple[str, int], token: tc.Token, server: tuple[str, int], lanes: int) -> None:
    def serve(lane: int) -> None:
        while True:
            try:
                stream = join(relay, token, lane)
            except (OSError, tc.RelayError, tc.StreamClosed) as error:
                print(f"lane {lane}: {error}", file=sys.stderr, flush=True)
                return
            try:
                target = socket.create_connection(server, timeout=10)
                target.settimeout(None)
                stream.sendall(CONNECTED)
            except OSError as error:
                print(f"lane {lane}: {error}", file=sys.stderr, flush=True)
                reset(stream.sock)
                continue
            splice(stream.sock, target, stream.take_unread())

    threads = [threading.Thread(target=serve, args=(lane,), daemon=True) for lane in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description="lets a program talk through a relay")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, end in (("listen", "--local"), ("dial", "--server")):
        command = commands.add_parser(name)
        command.add_argument("--relay", type=address, required=True)
        command.add_argument("--token", type=tc.parse_token, required=True)
        command.add_argument(end, type=address, required=True)
        command.add_argument("--lanes", type=int, default=4)
    options = parser.parse_args()
    if options.command == "listen":
        listen(options.relay, options.token, options.local, options.lanes)
    else:
        dial(options.relay, options.token, options.server, options.lanes)


if __name__ == "__main__":
    main()
