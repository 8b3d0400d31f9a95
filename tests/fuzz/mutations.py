"""Changes to the bytes of a video, drawn from a random generator: the same seed and number give the same file."""

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

# Names of boxes, chunks and the like, before or after which a length stands.
_NAMES = re.compile(
    rb"ftyp|moov|mvhd|trak|tkhd|edts|elst|mdia|mdhd|hdlr|minf|dinf|dref|stbl|stsd|stts|ctts|stsc|stsz|stco|stss|mdat|"
    rb"moof|mfhd|traf|tfhd|tfdt|trun|avcC|hvcC|av1C|udta|meta|ilst|RIFF|LIST|hdrl|avih|strl|strh|strf|movi|idx1|00dc|"
    rb"\x1aE\xdf\xa3|\x18S\x80g|\x15I\xa9f|\x16T\xaek|\x1fC\xb6u|\x1cS\xbbk|\x44\x89|\xb0\x82|\xba\x81|\xa3",
    re.DOTALL,
)
_TELLING = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEAD, _TAIL = 1024, 2048  # where most structure lies
_MOST = 4  # changes to one file

Mutation = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutated(corpus: Mapping[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """The name of the sound file that was taken, and what was made of it."""
    random = Random(f"{seed}-{number}")
    name = random.choice(sorted(corpus))
    content = bytearray(corpus[name])
    others = [corpus[other] for other in sorted(corpus)]
    for mutation in random.choices(MUTATIONS, k=random.randint(1, _MOST)):
        if content:
            mutation(content, random, others)
    return name, bytes(content)


def _place(content: bytearray, random: Random) -> int:
    """Anywhere, but rather near the ends."""
    kind, last = random.random(), len(content) - 1
    if kind < 0.35:
        return random.randint(0, min(last, _HEAD))
    if kind < 0.6:
        return random.randint(max(0, last - _TAIL), last)
    return random.randint(0, last)


def _flip_bits(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    for _ in range(random.choice((1, 1, 4, 32))):
        content[_place(content, random)] ^= 1 << random.randint(0, 7)


def _set_bytes(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    at, length = _place(content, random), random.choice((1, 2, 4, 16, 200))
    content[at : at + length] = random.randbytes(min(length, len(content) - at))


def _set_number(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    at, length = _place(content, random), random.choice((1, 2, 4, 8))
    number = random.choice(_TELLING) & (256**length - 1)
    content[at : at + length] = number.to_bytes(length, random.choice(("big", "little")))


def _change_length(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    """The size of a box or a chunk, or a field soon after its name."""
    places = [match.span() for match in _NAMES.finditer(content)]
    if not places:
        return
    begin, end = random.choice(places)
    at = random.choice((begin - 4, end, end + 4 * random.randint(0, 12)))
    if not 0 <= at <= len(content) - 4:
        return
    number = int.from_bytes(content[at : at + 4], "big")
    number = random.choice((number + random.randint(-16, 16), number * 2, random.choice(_TELLING))) & 0xFFFFFFFF
    content[at : at + 4] = number.to_bytes(4, "big")


def _truncate(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    del content[random.randint(0, len(content)) :]


def _remove(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    at = _place(content, random)
    del content[at : at + random.choice((1, 4, 64, 1024))]


def _move(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    at, length = _place(content, random), random.choice((4, 64, 1024))
    block = content[at : at + length]
    if random.random() < 0.5:
        del content[at : at + length]
    where = random.randint(0, len(content))
    content[where:where] = block * random.choice((1, 1, 1, 20))


def _splice(content: bytearray, random: Random, others: Sequence[bytes]) -> None:
    """The beginning of this one and the end of another, or another's piece in the middle."""
    other = random.choice(others)
    at, from_ = _place(content, random), random.randint(0, len(other))
    if random.random() < 0.5:
        content[at:] = other[from_:]
    else:
        content[at:at] = other[from_ : from_ + random.choice((64, 1024, 8192))]


MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits,
    _set_bytes,
    _set_number,
    _change_length,
    _change_length,
    _truncate,
    _remove,
    _move,
    _splice,
)
