"""The parser of server-sent events, and the relay that passes an answer on."""

import asyncio
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.gateway.calls.relay import Relay, decompress
from durable_agent_team.gateway.calls.sse import Event, EventParser, comment, event

datas = st.binary(min_size=1, max_size=30).map(
    lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")
)
WRITTEN = (
    b": hi\n\ndata: one\n\r\ndata:two\rdata: lines\r\revent: error\r\nid: 5\r\ndata:  three\r\n\r\n"
    b"data: four\r\n\ndata: five\n\n"
    b"ignored\nretry: 7\n\n:\ndata\n\ndata: last"
)
READ = [
    Event(comment=b" hi"),
    Event(b"one"),
    Event(b"two\nlines"),
    Event(b" three", b"error"),
    Event(b"four"),
    Event(b"five"),
    Event(comment=b""),
    Event(b"last"),
]


def read(pieces: list[bytes]) -> list[Event]:
    parser = EventParser()
    found = [each for piece in pieces for each in parser.feed(piece)]
    return [*found, *parser.finish()]


@given(st.lists(st.integers(0, len(WRITTEN))))
def test_events_do_not_depend_on_how_the_bytes_are_split(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(WRITTEN)]
    assert read([WRITTEN[start:end] for start, end in pairwise(ends)]) == READ


def test_events_can_arrive_byte_by_byte() -> None:
    assert read([WRITTEN[at : at + 1] for at in range(len(WRITTEN))]) == READ


def test_a_mark_of_utf_8_before_the_first_event_is_no_part_of_it() -> None:
    marked = b"\xef\xbb\xbf" + WRITTEN.removeprefix(b": hi\n\n")
    assert read([marked]) == READ[1:]
    assert read([marked[at : at + 1] for at in range(len(marked))]) == READ[1:]


@given(st.lists(st.tuples(st.booleans(), datas)))
def test_written_events_are_parsed_again(pieces: list[tuple[bool, bytes]]) -> None:
    pieces = [(is_data, data) for is_data, data in pieces if data]
    written = b"".join(event(data) if is_data else comment(data) for is_data, data in pieces)
    wanted = [Event(data) if is_data else Event(comment=data) for is_data, data in pieces]
    assert read([written]) == wanted


def test_the_size_of_an_unfinished_event_is_known() -> None:
    parser = EventParser()
    assert list(parser.feed(b"data: 1\n\ndata: 23\ndata: 4")) == [Event(b"1")]
    assert parser.unfinished_bytes == len(b"data: 23data: 4")


def test_a_long_line_in_small_pieces_is_parsed_in_linear_time() -> None:
    """Appending each piece to all before it would take 100 times as long for 10 times the bytes."""

    def seconds(size: int) -> float:
        line = b"data: " + b"x" * size
        began = time.process_time()
        found = read([line[start : start + 100] for start in range(0, size, 100)])
        assert len(found[0].data) > size - 200
        return time.process_time() - began

    small = min(seconds(200_000) for _ in range(5))
    assert min(seconds(2_000_000) for _ in range(3)) < 40 * small


async def everything(relay: Relay) -> bytes:
    return b"".join([piece async for piece in relay.read()])


@given(st.lists(st.binary(max_size=100)), st.binary(max_size=100))
def test_the_stored_answer_equals_the_one_passed_on(pieces: list[bytes], tail: bytes) -> None:
    async def pass_on() -> None:
        relay = Relay(keep=True)
        for piece in pieces:
            relay.add(piece)
            relay.add(b": heartbeat\n\n", stored=False)
        packed = relay.compressed(tail)
        assert b"".join(decompress(packed)) == b"".join([*pieces, tail])
        relay.add(tail)
        relay.close()
        passed = await everything(relay)
        assert passed == b"".join(piece + b": heartbeat\n\n" for piece in pieces) + tail

    asyncio.run(pass_on())


async def test_a_reader_gets_pieces_added_while_it_waits() -> None:
    relay = Relay(keep=False)
    reading = asyncio.create_task(everything(relay))
    for piece in (b"a", b"b", b"c"):
        relay.add(piece)
        await asyncio.sleep(0)
    assert not reading.done()
    relay.close()
    assert await reading == b"abc"
    assert relay.compressed(b"") == b""


@pytest.mark.parametrize("keep", [True, False])
async def test_after_the_client_left_pieces_are_dropped_but_still_stored(keep: bool) -> None:
    relay = Relay(keep=keep)
    relay.add(b"before")
    relay.client_left()
    relay.add(b"after")
    relay.close()
    assert await everything(relay) == b""
    assert b"".join(decompress(relay.compressed(b"!"))) == (b"beforeafter!" if keep else b"")


def test_a_stored_answer_is_decompressed_in_bounded_pieces() -> None:
    relay = Relay(keep=True)
    relay.client_left()
    for _ in range(1_000):
        relay.add(b"x" * 1_000)
    packed = relay.compressed(b"")
    sizes = [len(piece) for piece in decompress(packed)]
    assert (sum(sizes), max(sizes)) == (1_000_000, 64 * 1024)
    assert len(packed) < 20_000
