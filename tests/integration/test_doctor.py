"""`callguard doctor` finds what is wrong, over real services in each broken state."""

import asyncio
import base64
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiohttp import web

from callguard.asterisk.prompts import sound_file
from callguard.config import (
    AmiSettings,
    AsteriskSettings,
    HttpSettings,
    PromptSettings,
    RedisSettings,
    Settings,
    SqlSettings,
)
from callguard.database import open_engine
from callguard.doctor import Doctor, Finding, State
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.model import NewEntry
from callguard.lists.registries import Counts, NewRegistry, RegistryStore
from callguard.lists.store import ListStore
from callguard.lists.sync import Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.sounds.make import SOUNDS
from callguard.telemetry.http import Part, pages, serving
from callguard.telemetry.metrics import Metrics
from tests.rig.ports import free_tcp_port
from tests.rig.redis import RedisServer

pytestmark = pytest.mark.integration


class Pbx:
    """As much of ARI as the doctor asks for, to give the answers that a test wants."""

    def __init__(self) -> None:
        self.version = "22.10.1"
        self.applications = {"callguard"}
        self.password = "secret"
        self.sounds: dict[str, tuple[str, ...]] = {}
        self.answer: str | None = None
        self.url = ""

    async def reply(self, request: web.Request) -> web.Response:
        if self.answer is not None:
            return web.Response(text=self.answer)
        wanted = base64.b64encode(f"callguard:{self.password}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            return web.json_response({"message": "no"}, status=401)
        if request.path == "/ari/asterisk/info":
            return web.json_response({"system": {"version": self.version}})
        if request.path.removeprefix("/ari/applications/") in self.applications:
            return web.json_response({"name": "callguard"})
        if request.path.startswith("/ari/sounds/callguard/"):
            languages = self.sounds.get(request.path.removeprefix("/ari/sounds/callguard/"), ())
            formats = [{"language": language, "format": "slin"} for language in languages]
            return web.json_response({"id": "x", "formats": formats})
        return web.json_response({"message": "not found"}, status=404)


class Ami:
    """As much of AMI as the doctor asks for."""

    def __init__(self) -> None:
        self.dialplan = [
            {"Context": "agents", "IncludeContext": "callguard-bridge"},
            {"Context": "callguard-bridge", "Application": "Stasis", "AppData": "callguard,bridge,${EXTEN}"},
        ]
        self.ari_conf: list[str] | None = [
            "websocket_write_timeout=5000",
            "channelvars=CALLGUARD_PROJECT,CALLGUARD_PURPOSE,CALLGUARD_AGENT,CALLGUARD_REFERENCE,DIALSTATUS",
        ]
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                asked = dict(line.split(": ", 1) for line in lines if ": " in line)
                for message in self.answer(asked["Action"]):
                    message["ActionID"] = asked["ActionID"]
                    told = [f"{name}: {value}\r\n" for name, value in message.items()]
                    writer.write("".join([*told, "\r\n"]).encode())
        writer.close()

    def answer(self, action: str) -> list[dict[str, str]]:
        if action == "ShowDialPlan":
            rows = [{"Event": "ListDialplan"} | row for row in self.dialplan]
            end = {"Event": "ShowDialPlanComplete", "EventList": "Complete"}
            return [{"Response": "Success", "EventList": "start"}, *rows, end]
        if action == "GetConfig" and self.ari_conf is None:
            return [{"Response": "Error", "Message": "Permission denied"}]
        if action == "GetConfig":
            lines = {f"Line-000000-{number:06}": line for number, line in enumerate(self.ari_conf or ())}
            return [{"Response": "Success"} | lines]
        return [{"Response": "Success", "Message": "Authentication accepted"}]


class Site:
    """Everything in order, until a test breaks it."""

    def __init__(self, settings: Settings, pbx: Pbx, ami: Ami) -> None:
        self.settings = settings
        self.pbx = pbx
        self.ami = ami
        self.parts: tuple[Part, ...] = (
            Part("asterisk", True, "connected"),
            Part("redis", True, "warm", False),
        )

        self.unrecorded: set[str] = set()

    def recording(self, language: str, name: str) -> Path | None:
        return None if language in self.unrecorded else sound_file(language, name)

    def change(self, **sections: object) -> None:
        self.settings = self.settings.model_copy(update=sections)

    async def examined(self) -> dict[str, list[Finding]]:
        found: dict[str, list[Finding]] = {}
        async for finding in Doctor(self.settings).examine():
            found.setdefault(finding.check, []).append(finding)
        return found

    async def only(self, check: str, state: State) -> str:
        """What is told of the one check that is not ok; those that rest on it are skipped."""
        found = await self.examined()
        wrong = {
            one.check: one
            for findings in found.values()
            for one in findings
            if one.state in {State.WARNING, State.FAILED}
        }
        assert list(wrong) == [check], wrong
        assert wrong[check].state is state
        return f"{wrong[check].told} -> {wrong[check].remedy}"


@pytest.fixture
async def site(
    engine: sa.Engine, sql_settings: SqlSettings, redis_settings: RedisSettings, tmp_path: Path
) -> AsyncIterator[Site]:
    pbx, ami = Pbx(), Ami()
    async with AsyncExitStack() as stack:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", pbx.reply)
        ari_port = await stack.enter_async_context(serving(HttpSettings(port=0), application))
        site = Site(Settings(state=tmp_path), pbx, ami)
        manager = await stack.enter_async_context(await asyncio.start_server(ami.serve, "127.0.0.1", 0))
        ami.port = manager.sockets[0].getsockname()[1]
        guard = pages(Metrics(), lambda: site.parts, site.recording)
        guard_port = await stack.enter_async_context(serving(HttpSettings(port=0), guard))
        ari = {"url": f"http://127.0.0.1:{ari_port}/ari", "password": "secret", "timeout": 3}
        site.settings = Settings.model_validate(
            {"state": tmp_path, "asterisk": ari, "http": {"port": guard_port},
             "sql": sql_settings, "redis": redis_settings,
             "ami": {"port": ami.port, "username": "doctor", "password": "secret"}}
        )  # fmt: skip
        await fill(engine, redis_settings, tmp_path)
        yield site


async def fill(engine: sa.Engine, settings: RedisSettings, state: Path) -> None:
    """Bring the lists to Redis, as a guard does."""
    threads = SqlThreads(timeout=5, count=1)
    cache = ListCache(connect(settings, state), key=settings.key, timeout=2)
    assert await Synchroniser(ListStore(engine), cache, threads).rebuild()
    await cache.close()
    threads.close()


async def test_where_all_is_well_every_check_is_ok(site: Site) -> None:
    found = await site.examined()
    assert {check: one[0].state for check, one in found.items()} == dict.fromkeys(
        ("settings", "sql", "redis", "lists", "asterisk", "application", "guard", "prompts",
         "ari.conf", "dialplan"), State.OK
    )  # fmt: skip
    assert "22.10.1" in found["asterisk"][0].told
    assert "REST over websocket" in found["asterisk"][0].told


async def test_a_database_that_cannot_be_reached_is_found_and_the_lists_are_skipped(site: Site) -> None:
    site.change(sql=SqlSettings(url="postgresql://nobody@127.0.0.1:1/nowhere", timeout=1))
    assert "is the database up, and sql.url right?" in await site.only("sql", State.FAILED)
    assert (await site.examined())["lists"][0].state is State.SKIPPED


async def test_a_database_that_is_not_there_is_not_made(site: Site, tmp_path: Path) -> None:
    site.change(sql=SqlSettings(url=f"sqlite:///{tmp_path}/none.sqlite"))
    assert "the first `callguard guard` makes it" in await site.only("sql", State.FAILED)
    assert not (tmp_path / "none.sqlite").exists()


async def test_a_database_of_another_version_is_found(site: Site, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert "the tables are of revision 0001, not" in await site.only("sql", State.FAILED)


async def test_an_empty_database_is_found(site: Site, tmp_path: Path) -> None:
    settings = SqlSettings(url=f"sqlite:///{tmp_path}/empty.sqlite")
    open_engine(settings, tmp_path).dispose()
    site.change(sql=settings)
    assert "the tables are of revision none" in await site.only("sql", State.FAILED)


async def test_a_database_that_cannot_be_written_is_found(
    site: Site, engine: sa.Engine, sql_settings: SqlSettings
) -> None:
    lock = "LOCK TABLE meta IN SHARE MODE" if sql_settings.url else "UPDATE meta SET value = value"
    site.change(sql=sql_settings.model_copy(update={"timeout": 0.2}))
    with engine.connect() as holder, holder.begin():
        holder.execute(sa.text(lock))
        told = await site.only("sql", State.FAILED)
    assert "another process has held the database" in told or "statement timeout" in told


async def test_what_the_doctor_tries_to_write_leaves_no_trace(site: Site, engine: sa.Engine) -> None:
    def everything() -> list[object]:
        with engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT * FROM meta")).all())

    before = everything()
    await site.examined()
    assert everything() == before


async def test_a_redis_that_is_gone_or_hangs_is_found(
    site: Site, start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis()
    site.change(redis=RedisSettings(url=server.url))
    server.hang()
    assert "no answer" in await site.only("redis", State.FAILED)
    server.stop()
    assert "redis.url right?" in await site.only("redis", State.FAILED)
    assert (await site.examined())["lists"][0].state is State.SKIPPED


async def test_without_the_private_redis_the_guard_is_what_is_missing(site: Site) -> None:
    site.change(redis=RedisSettings())
    assert "it runs while `callguard guard` does" in await site.only("redis", State.FAILED)


async def test_a_redis_that_throws_lists_away_is_found(
    site: Site, start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")
    site.change(redis=RedisSettings(url=server.url))
    assert "set maxmemory-policy to noeviction" in await site.only("redis", State.FAILED)


async def test_an_empty_redis_is_a_warning_for_sql_is_asked(
    site: Site, start_redis: Callable[..., RedisServer]
) -> None:
    site.change(redis=RedisSettings(url=start_redis().url))
    assert "Redis does not hold them" in await site.only("lists", State.WARNING)


async def test_lists_in_redis_that_are_behind_sql_are_found(site: Site, engine: sa.Engine) -> None:
    ListStore(engine).add(NewEntry("+6281234567890", "tl1"))
    assert "Redis is at position 0, SQL at 1" in await site.only("lists", State.WARNING)


async def test_lists_in_redis_of_another_database_are_found(
    site: Site, engine: sa.Engine, start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE meta SET value = 'another' WHERE key = 'database'"))
    assert "of another database" in await site.only("lists", State.WARNING)


@pytest.mark.parametrize(
    ("day", "state", "told"),
    [
        (None, State.WARNING, "us: 7 numbers, of no known day, 31 days allowed"),
        (date(2000, 1, 1), State.WARNING, "days old, 31 days allowed"),
        (datetime.now(UTC).date(), State.OK, "us: 7 numbers, 0 days old, 31 days allowed"),
    ],
)
async def test_a_registry_list_that_is_too_old_is_a_warning(
    site: Site, engine: sa.Engine, day: date | None, state: State, told: str
) -> None:
    store = RegistryStore(engine)
    us = store.create(NewRegistry("us", "US", "do-not-call", "1", (), 31, "{}"), by="tl1")
    generation = store.begin(
        us.id, mode="replace", file="f", digest="d", data_date=day, who="tl1", block_size=10_000
    )
    store.switch(generation.id, Counts(0, 7, 7, 0, 0), instead_of=None, why="")
    (finding,) = (await site.examined())["registries"]
    assert (finding.state, told in finding.told) == (state, True)
    assert ("callguard list import us" in finding.remedy) is (state is State.WARNING)


async def test_a_registry_list_that_was_never_imported_is_a_warning(site: Site, engine: sa.Engine) -> None:
    RegistryStore(engine).create(NewRegistry("us", "US", "do-not-call", "1", (), 31, "{}"), by="tl1")
    (finding,) = (await site.examined())["registries"]
    assert (finding.state, "never imported" in finding.told) == (State.WARNING, True)


async def test_an_asterisk_that_is_away_is_found_and_the_application_skipped(site: Site) -> None:
    site.change(asterisk=AsteriskSettings(url=f"http://127.0.0.1:{free_tcp_port()}/ari"))
    assert "is Asterisk up" in await site.only("asterisk", State.FAILED)
    assert (await site.examined())["application"][0].state is State.SKIPPED


async def test_an_asterisk_that_is_silent_does_not_hold_the_doctor_up(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/ari"
        site.change(asterisk=AsteriskSettings(url=url, timeout=0.2))
        assert "no answer within 0.2 s" in await site.only("asterisk", State.FAILED)


async def test_a_refused_password_is_found(site: Site) -> None:
    site.pbx.password = "another"
    assert "asterisk.password" in await site.only("asterisk", State.FAILED)


@pytest.mark.parametrize(
    "answer", ["", "<html>hello</html>", "[" * 50_000, '{"system": null}', '"\\n\\u001b"']
)
async def test_a_server_that_is_no_asterisk_is_found(answer: str, site: Site) -> None:
    site.pbx.answer = answer
    assert "asterisk" in await site.only("asterisk", State.FAILED)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("22.9.0", "known deadlocks (#1928, #1962)"),
        ("16.28.0", "commands may wait up to 200 ms"),
        ("22.10.0", "GHSA-wcvv-g26m-wx5c"),
    ],
)
async def test_a_version_with_a_known_defect_is_named(version: str, told: str, site: Site) -> None:
    site.pbx.version = version
    found = await site.examined()
    assert found["asterisk"][0].state is State.OK
    assert any(one.state is State.WARNING and told in one.told for one in found["asterisk"])


async def test_an_application_without_a_guard_is_found(site: Site) -> None:
    site.pbx.applications.clear()
    assert "start `callguard guard`" in await site.only("application", State.FAILED)


async def test_a_guard_that_does_not_run_is_found(site: Site) -> None:
    site.change(http=HttpSettings(port=free_tcp_port()))
    assert "start `callguard guard`" in await site.only("guard", State.FAILED)


async def test_a_guard_that_is_not_ready_says_why(site: Site) -> None:
    site.parts = (Part("asterisk", False, "the password is refused"),)
    assert "not ready: asterisk: the password is refused" in await site.only("guard", State.FAILED)


async def test_a_guard_that_works_without_redis_is_a_warning(site: Site) -> None:
    site.parts = (Part("asterisk", True, "connected"), Part("redis", False, "cold", needed=False))
    assert "ready, but for redis: cold" in await site.only("guard", State.WARNING)


@pytest.mark.parametrize(
    "answer", ["", "[" * 60_000, "{}", '{"ready": "yes"}', '{"ready": false, "parts": {"a": 1}}']
)
async def test_another_program_at_the_guards_port_is_found(answer: str, site: Site) -> None:
    site.pbx.answer = answer
    port = int(site.settings.asterisk.url.split(":")[2].split("/")[0])
    site.change(http=HttpSettings(port=port))
    assert (await site.examined())["guard"][0].state is State.FAILED


async def test_a_prompt_that_is_not_served_is_found(site: Site) -> None:
    site.unrecorded.add("en")
    assert "/sounds/en/attempts.wav: answers 404" in await site.only("prompts", State.FAILED)


async def test_prompts_at_an_address_where_nobody_is_are_found(site: Site) -> None:
    site.change(prompts=PromptSettings(base_url=f"http://127.0.0.1:{free_tcp_port()}"))
    assert "is prompts.base_url right?" in await site.only("prompts", State.FAILED)


NAMES = [file.stem for file in sorted(SOUNDS.glob("en/*.wav"))]


async def test_prompts_in_asterisks_own_folder_must_be_there_in_the_default_language(site: Site) -> None:
    site.change(prompts=PromptSettings(source="files"))
    site.pbx.sounds = dict.fromkeys(NAMES, ("id", "en"))
    assert (await site.examined())["prompts"][0].state is State.OK
    site.pbx.sounds["listed"] = ("id",)
    assert "en/callguard/listed" in await site.only("prompts", State.WARNING)
    site.pbx.sounds["listed"] = ("en",)
    assert "id/callguard/listed" in await site.only("prompts", State.FAILED)


async def test_a_dialplan_that_never_asks_the_guard_is_found(site: Site) -> None:
    site.ami.dialplan = [{"Context": "agents", "Application": "Dial", "AppData": "PJSIP/1@trunk"}]
    assert "#include callguard.conf" in await site.only("dialplan", State.FAILED)


async def test_a_guard_that_no_context_of_the_agents_leads_to_is_found(site: Site) -> None:
    site.ami.dialplan = [
        {"Context": "callguard-ask", "Application": "Stasis", "AppData": "callguard,bridge"},
        {"Context": "stasis-callguard", "Application": "Stasis", "AppData": "callguard"},
    ]
    assert "include => callguard-bridge" in await site.only("dialplan", State.FAILED)


async def test_a_context_that_goes_around_the_guard_is_named(site: Site) -> None:
    site.ami.dialplan.append({"Context": "old", "Application": "Dial", "AppData": "PJSIP/${EXTEN}@trunk,60"})
    assert "old: a trunk is dialled without the guard" in await site.only("dialplan", State.WARNING)


async def test_an_ami_that_cannot_be_reached_is_found(site: Site) -> None:
    site.change(ami=AmiSettings(port=free_tcp_port(), username="doctor"))
    found = await site.examined()
    assert (found["dialplan"][0].state, found["ari.conf"][0].state) == (State.FAILED, State.FAILED)
    assert "manager.conf" in found["dialplan"][0].remedy


async def test_without_ami_the_doctor_says_what_it_could_not_see(site: Site) -> None:
    site.change(ami=AmiSettings())
    found = await site.examined()
    assert (found["dialplan"][0].state, found["ari.conf"][0].state) == (State.SKIPPED, State.SKIPPED)
    assert "ami.username" in found["dialplan"][0].remedy
    assert "websocket_write_timeout = 5000" in found["ari.conf"][0].remedy


async def test_an_impatient_asterisk_and_missing_channel_variables_are_warned_of(site: Site) -> None:
    site.ami.ari_conf = ["channelvars=CALLGUARD_PROJECT"]
    found = (await site.examined())["ari.conf"]
    assert [one.state for one in found] == [State.WARNING, State.WARNING]
    assert "websocket_write_timeout = 100" in found[0].told
    assert "CALLGUARD_AGENT, CALLGUARD_PURPOSE, CALLGUARD_REFERENCE, DIALSTATUS" in found[1].told


async def test_an_ami_user_who_may_not_read_ari_conf_is_no_failure(site: Site) -> None:
    site.ami.ari_conf = None
    found = await site.examined()
    assert (found["ari.conf"][0].state, found["dialplan"][0].state) == (State.SKIPPED, State.OK)


async def test_a_password_that_everybody_can_read_is_a_warning(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(0o644)
    ari = site.settings.asterisk.model_copy(update={"password": None, "password_file": file})
    site.change(asterisk=ari)
    assert "chmod 600" in await site.only("settings", State.WARNING)


async def program(site: Site, *arguments: str, **environ: str) -> tuple[int, str]:
    """Run the real program over the site: its exit code and standard output."""
    settings = {
        "CALLGUARD_CONFIG": "",
        "CALLGUARD_STATE": str(site.settings.state),
        "CALLGUARD_ASTERISK__URL": site.settings.asterisk.url,
        "CALLGUARD_ASTERISK__PASSWORD": "secret",
        "CALLGUARD_AMI__PORT": str(site.ami.port),
        "CALLGUARD_AMI__USERNAME": "doctor",
        "CALLGUARD_HTTP__PORT": str(site.settings.http.port),
        "CALLGUARD_REDIS__URL": site.settings.redis.url,
        "CALLGUARD_SQL__URL": site.settings.sql.url,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callguard", "doctor", *arguments,
        stdout=asyncio.subprocess.PIPE, env=os.environ | settings | environ,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_program_shows_a_line_a_check_and_its_exit_code_says_what_to_look_at(site: Site) -> None:
    code, output = await program(site)
    assert (code, [line.split()[0] for line in output.splitlines()]) == (0, ["ok"] * 10)
    site.pbx.version = "22.9.0"
    assert (await program(site))[0] == 0
    site.pbx.applications.clear()
    code, output = await program(site, "--json")
    told = json.loads(output)
    assert (code, told["ok"]) == (4, False)
    assert {one["check"] for one in told["checks"] if one["state"] == "failed"} == {"application"}


async def test_wrong_settings_are_all_shown_and_exit_code_2(site: Site) -> None:
    code, output = await program(site, "--json", CALLGUARD_LOG__LEVEL="loud", CALLGUARD_NONSENSE="1")
    told = json.loads(output)
    assert (code, told["ok"], len(told["checks"])) == (2, False, 2)
