"""The lists in Redis: the hash that codec.py draws, read in one command and changed only in one step.

Every command is bounded in time, and every failure is a CacheError. A change is made by a script that first
compares the head with the one that the change was made for: of several processes that keep the hash up to
date, one wins and the others look again. Each script writes the head last, so that a head never stands for
more than is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from types import NoneType

from redis.typing import EncodableT

from callguard.errors import CacheCold, CacheError, CacheEvicts
from callguard.lists import codec
from callguard.lists.blocks import BadBlock
from callguard.lists.connection import UP_REMEDY, Client, Script, bounded, memory_of
from callguard.lists.hits import Questions
from callguard.lists.loading import Blocks, Build, Loader, lost
from callguard.lists.model import Catalogue, Mark, RegistryList, Word
from callguard.screening.model import Entry, Exemption, Hits

_ROUNDS = 3
"""How often a look-up begins again because the catalogue changed: between two of them a list must have been
switched."""
_ANSWERS = frozenset({bytes, NoneType})
_BULK_SECONDS = 5.0
"""For one command of the work in bulk: Redis may be held up for as long as that while it forks."""
_STEP = 50
_STEP_BYTES = 32 * 1024
"""Fields that one step of a scan looks at, and bytes of their values, which HSCAN copies: 0.3 ms of Redis's
time at most."""

_APPLY = """
if redis.call('HGET', KEYS[1], 'head') ~= ARGV[1] then return 0 end
local at = 5 + 2 * tonumber(ARGV[4])
for i = 5, at - 1, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return 2 end
end
for i = at, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('HSET', KEYS[1], 'catalogue', ARGV[3], 'head', ARGV[2])
return 1
"""
"""KEYS: hash. ARGV: head as found, new head, new catalogue, how many fields must be there, each of these with
its value, then field and value in turn; an empty value deletes."""

_SWAP = """
local head = redis.call('HGET', KEYS[1], 'head')
local counted = redis.call('HGET', KEYS[2], ARGV[4])
if (head or '') ~= ARGV[1] then return 0 end
if (counted or '0') ~= ARGV[5] then return 2 end
redis.call('HDEL', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[2], 'catalogue', ARGV[3], 'head', ARGV[2])
redis.call('PERSIST', KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[3]) end
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('UNLINK', KEYS[3])
return 1
"""
"""KEYS: hash, built hash, where the old one goes. ARGV: head as found (empty for none), new head, new
catalogue, counter of the built hash, what it must be. The old one is moved aside and unlinked: RENAME over a
large hash would free it while everyone waits. Returns 0 if the head is another, _LOST if the counter is."""
_LOST = 2

_SCAN = """
local function scan(from, step, bytes)
  local names, count, size = {}, 0, 0
  repeat
    local found = redis.call('HSCAN', KEYS[1], from, 'COUNT', 4)
    from = found[1]
    for i = 1, #found[2], 2 do
      count = count + 1
      names[count] = found[2][i]
      size = size + #found[2][i + 1]
    end
  until from == '0' or count >= step or size >= bytes
  return from, names
end
"""
"""For scripts of which KEYS[1] is the hash: the cursor to go on from, and the names of `step` fields or a few
more, or of fewer whose values have that many bytes."""

_SWEEP = (
    _SCAN
    + """
local head = redis.call('HGET', KEYS[1], 'head')
if not head or not string.find(head, ARGV[1], 1, true) then return {'', 0} end
local kept = {}
for i = 6, #ARGV do kept[ARGV[i]] = true end
local cursor, names = scan(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
local dead = {}
for _, name in ipairs(names) do
  local key, generation = string.match(name, '^[bgt]:((%d+)-%x+)')
  if key and not kept[key] and tonumber(generation) <= tonumber(ARGV[5]) then
    dead[#dead + 1] = name
  end
end
if #dead > 0 then redis.call('HDEL', KEYS[1], unpack(dead)) end
return {cursor, #dead}
"""
)
"""KEYS: hash. ARGV: tag that the head must have, cursor, step, bytes, the largest id of a generation that may
go, and the keys of those that stay. Returns the next cursor (empty if the head is another) and how many
fields went."""

_NAMES = (
    _SCAN
    + """
local cursor, names = scan(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
return {cursor, names}
"""
)
"""KEYS: hash. ARGV: cursor, step, bytes. HSCAN alone would send all values, too."""


class CacheDamaged(CacheCold):
    """A field cannot be read: only a rebuild helps."""


class Applied(IntEnum):
    """What became of a change to the hash."""

    MOVED = 0
    """Nothing: the head was no longer as it was found."""
    DONE = 1
    NOT_LOADED = 2
    """Nothing: a generation of the new catalogue is not loaded."""


class ListCache:
    """The hash of lists in one Redis."""

    def __init__(self, client: Client, *, key: str, timeout: float) -> None:
        """`timeout`: seconds for one look-up, with its connection. Work in bulk, which no call waits for, has
        more."""
        self._client = client
        self._key = key
        self._timeout = timeout
        self._patience = max(timeout, _BULK_SECONDS)
        self._loader = Loader(client, key, timeout=self._patience)
        self._apply, self._swap = Script(_APPLY), Script(_SWAP)
        self._sweep, self._names = Script(_SWEEP), Script(_NAMES)
        self._tag, self._questions = "", Questions(Catalogue())
        self._raw_head, self._head = b"", codec.Head(Mark("", 0, 0), "")

    async def lookup(self, number: str) -> tuple[Mark, Hits]:
        """The version of the lists, and what all of them say about a number (E.164), of one instant.

        Raises CacheCold if there is no head, CacheDamaged if a field cannot be read, and another CacheError
        if Redis fails.
        """
        async with bounded(self._timeout):
            try:
                for _ in range(_ROUNDS):
                    tag, questions = self._tag, self._questions
                    fields = questions.fields(number)
                    head, *values = await self._get([codec.HEAD, *fields])
                    found = self._decoded(head)
                    if found.tag == tag:
                        return found.mark, _hits(number, questions, found.mark, fields, values)
                    await self._learn()
            except (codec.Undecodable, BadBlock) as error:
                raise CacheDamaged(f"a field cannot be read: {error}") from error
        raise CacheCold("the lists change faster than they can be read")

    async def head(self) -> bytes | None:
        """The head as it is, to compare with later; None if there is none. Raises CacheError."""
        return (await self.fields([codec.HEAD]))[0]

    async def fields(self, names: Sequence[str]) -> list[bytes | None]:
        """Some fields as they are in one instant, None for one that is not there. Raises CacheError."""
        async with bounded(self._timeout):
            return await self._get(names)

    async def names(self, cursor: str = "0") -> tuple[str, list[str]]:
        """A step of a walk through the names of all fields: the next cursor, `0` at the end, and some names.

        Every field that is there all the while is named, some perhaps twice. Raises CacheError.
        """
        async with bounded(self._patience):
            following, names = await self._names.run(self._client, [self._key], [cursor, _STEP, _STEP_BYTES])
            return following.decode(), [name.decode(errors="backslashreplace") for name in names]

    async def apply(
        self, found: bytes, mark: Mark, catalogue: Catalogue, words: Mapping[str, tuple[Word, ...]]
    ) -> Applied:
        """Replace the words of some numbers and patterns, and put catalogue and head, in one step.

        Does nothing if the head is no longer as it was found, or if a generation of the catalogue is not
        loaded. Raises CacheError.
        """
        loaded = [registry for registry in catalogue.registries if registry.generation]
        values: list[EncodableT] = [
            found,
            codec.encode_head(mark, catalogue),
            codec.encode_catalogue(catalogue),
            len(loaded),
        ]
        for registry in loaded:
            values += [codec.loaded_field(registry.key), registry.blocks]
        for number, of_number in words.items():
            values += [codec.number_field(number), codec.encode_words(of_number) if of_number else b""]
        async with bounded(self._patience):
            return Applied(await self._apply.run(self._client, [self._key], values))

    async def not_loaded(self, catalogue: Catalogue) -> list[RegistryList]:
        """The registry lists of a catalogue whose generation is not loaded. Raises CacheError."""
        wanted = [registry for registry in catalogue.registries if registry.generation]
        if not wanted:
            return []
        found = await self.fields([codec.loaded_field(registry.key) for registry in wanted])
        return [
            registry
            for registry, blocks in zip(wanted, found, strict=True)
            if blocks != b"%d" % registry.blocks
        ]

    async def load(self, database: str, key: str, chunks: Blocks) -> int:
        """Load a generation beside those in force, as Loader.load does: it is looked at only once a catalogue
        that names it is applied."""
        return await self._loader.load(database, key, chunks)

    async def unload(self, tag: str, cursor: str, *, newest: int, kept: Iterable[str]) -> tuple[str, int]:
        """A step of unloading all generations with ids up to `newest` but those whose keys are kept: the next
        cursor, `0` at the end, and how many fields went.

        Nothing is done, and the cursor is empty, unless the head has the tag: then the catalogue's own
        generations are among those kept, and no reader can miss anything. Raises CacheError.
        """
        async with bounded(self._patience):
            following, gone = await self._sweep.run(
                self._client, [self._key], [tag, cursor, _STEP, _STEP_BYTES, newest, *kept]
            )
            return following.decode(), int(gone)

    def build(self) -> Build:
        """Begin a new hash beside the live one."""
        return Build(self._client, self._key, timeout=self._patience)

    async def swap(self, build: Build, found: bytes | None, mark: Mark, catalogue: Catalogue) -> bool:
        """Make a built hash the live one, with this head and catalogue, in one step.

        Does nothing and returns False if the live head is no longer as it was found. Raises CacheError, also
        if a part of the built one was lost.
        """
        await build.pouring.flush()
        keys = [self._key, build.key, f"{build.key}:old"]
        values: list[EncodableT] = [
            found or b"",
            codec.encode_head(mark, catalogue),
            codec.encode_catalogue(catalogue),
            build.pouring.counter,
            build.pouring.batches,
        ]
        async with bounded(self._patience):
            swapped = int(await self._swap.run(self._client, keys, values))
        if swapped == _LOST:
            raise lost()
        return bool(swapped)

    async def check_policy(self) -> None:
        """Raise CacheEvicts, saying what to set, if this Redis may throw lists away to make room for others.

        The guard would notice and ask SQL; but lists that vanish again and again are slow, and a sign that
        this Redis is too small.
        """
        async with bounded(self._patience):
            nodes = await memory_of(self._client)
        for memory in nodes:
            policy = str(memory.get("maxmemory_policy", "noeviction"))
            if int(memory.get("maxmemory", 0)) > 0 and policy != "noeviction":
                raise CacheEvicts(
                    f"it evicts keys (maxmemory-policy {policy})",
                    remedy="set maxmemory-policy to noeviction, or give callguard a Redis of its own",
                )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, names: Sequence[str]) -> list[bytes | None]:
        values: object = await self._client.hmget(self._key, list(names))
        if isinstance(values, list) and len(values) == len(names) and _ANSWERS.issuperset(map(type, values)):
            return values
        raise CacheError(f"an answer that is none of Redis: {values!r:.40}", remedy=UP_REMEDY)

    def _decoded(self, raw: bytes | None) -> codec.Head:
        """The head that is there; most of the time it is the one seen last."""
        if raw is None:
            raise CacheCold("no lists are there")
        if raw != self._raw_head:
            self._raw_head, self._head = raw, codec.decode_head(raw)
        return self._head

    async def _learn(self) -> None:
        """Read the catalogue that belongs to the head."""
        head, raw = await self._get([codec.HEAD, codec.CATALOGUE])
        tag = self._decoded(head).tag
        catalogue = codec.decode_catalogue(raw or b"")
        if codec.tag_of(catalogue) != tag:
            raise codec.Undecodable("a catalogue that is not the head's")
        self._tag, self._questions = tag, Questions(catalogue)


def _hits(
    number: str, questions: Questions, mark: Mark, fields: Sequence[str], values: Sequence[bytes | None]
) -> Hits:
    """What the values of the fields say."""
    entries: list[Entry] = []
    exemptions: list[Exemption] = []
    blocks: list[bytes | None] = []
    several = False
    for field, value in zip(fields, values, strict=True):
        if field[0] == "b":
            blocks.append(value)
        elif value is not None:
            several = bool(entries)
            for word in codec.decode_words(f"+{field[2:]}", value):
                if isinstance(word, Entry):
                    entries.append(word)
                else:
                    exemptions.append(word)
    if several:
        entries.sort(key=lambda entry: entry.id)
    return Hits(
        entries=tuple(entries),
        position=mark.position,
        origin="redis",
        registries=questions.hits(number, blocks),
        exemptions=tuple(exemptions),
    )
