"""A real Asterisk of the test's own.

It runs in a private mount namespace: its folder is bound to /mnt there (and, where Asterisk comes from a
root folder, /proc and /dev into that root), so that several instances share one root folder, and no mount
and no file outlives them.
"""

import http.client
import os
import re
import secrets
import shutil
import signal
import string
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.rig.ports import CARRIER, CARRIER2, LOCALHOST, free_tcp_port, free_udp_port
from tests.rig.process import Process
from tests.rig.waiting import WaitedInVainError, wait_for

_REPOSITORY = Path(__file__).parents[2]
_TEMPLATES = Path(__file__).parent / "etc"
_OLDEST = 16

# What a guarded call needs, and no more, so that Asterisk starts in a second.
_MODULES = (
    "app_dial", "app_exec", "app_originate", "app_playback", "app_playtones", "app_queue", "app_read",
    "app_senddtmf", "app_stack", "app_stasis", "app_transfer", "app_userevent", "app_verbose",
    "bridge_*", "cdr_csv", "chan_bridge_media", "chan_pjsip",
    "codec_a_mu", "codec_alaw", "codec_gsm", "codec_resample", "codec_ulaw",
    "format_gsm", "format_pcm", "format_sln", "format_wav",
    "func_callerid", "func_cdr", "func_channel", "func_curl", "func_cut", "func_db", "func_dialplan",
    "func_global", "func_groupcount", "func_hangupcause", "func_logic", "func_math", "func_pjsip_*",
    "func_rand", "func_sprintf", "func_strings", "func_timeout", "func_uri",
    "pbx_config", "res_agi", "res_ari*", "res_clioriginate", "res_crypto", "res_curl",
    "res_http_media_cache", "res_http_websocket", "res_musiconhold", "res_pjproject",
    "res_pjsip", "res_pjsip_acl", "res_pjsip_authenticator_digest", "res_pjsip_caller_id",
    "res_pjsip_diversion", "res_pjsip_dlg_options", "res_pjsip_dtmf_info", "res_pjsip_endpoint_identifier_*",
    "res_pjsip_header_funcs", "res_pjsip_logger", "res_pjsip_nat", "res_pjsip_outbound_authenticator_digest",
    "res_pjsip_pubsub", "res_pjsip_refer", "res_pjsip_registrar", "res_pjsip_rfc3326", "res_pjsip_sdp_rtp",
    "res_pjsip_session", "res_rtp_asterisk", "res_sorcery_*", "res_speech", "res_stasis", "res_stasis_answer",
    "res_stasis_device_state", "res_stasis_playback", "res_stasis_recording", "res_stasis_snoop",
    "res_timing_timerfd", "res_websocket_client",
)  # fmt: skip


# Asterisk logs an error for each of these that is missing, though it needs nothing in them.
_EMPTY = (
    *("acl", "ccss", "cel", "features", "pjproject", "queuerules", "queues", "udptl"),
    *("res_http_media_cache", "websocket_client"),
)


_NO_CARD = "No ethernet interface found for seeding global EID. You will have to set it manually.\n"
"""What Asterisk's console prints before anything else where there is loopback alone, whatever is set."""


class AsteriskFailedError(Exception):
    """Asterisk did not start, or did not do what was asked; the message has the end of its log."""


@dataclass(frozen=True)
class Agent:
    """An endpoint for an agent's phone at 127.0.0.2, known by the user of its From."""

    name: str
    context: str
    number: str
    variables: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"

    def section(self) -> str:
        lines = [
            f"[{self.name}](agent)",
            f"context = {self.context}",
            f'callerid = "{self.name}" <{self.number}>',
            f"language = {self.language}",
            *(f"set_var = {name}={value}" for name, value in self.variables.items()),
        ]
        return "\n".join(lines)


AGENTS = (
    Agent("agent1", "agents", "101"),
    Agent("agent2", "agents-screen", "102"),
    Agent("agent3", "plain", "103"),
    Agent("bare-bridge", "bare-bridge", "104"),
    Agent("bare-screen", "bare-screen", "105"),
)
"""One agent for each way to place a call: bridge, screen, no guard; the guard with no dialplan around it."""

PURPOSEFUL_AGENTS = (
    Agent("callback", "agents", "106", {"CALLGUARD_PURPOSE": "callback", "CALLGUARD_PROJECT": "bank"}),
    Agent("marketing", "agents", "107", {"CALLGUARD_PURPOSE": "marketing", "CALLGUARD_PROJECT": "bank"}),
    Agent("callback-shop", "agents", "108", {"CALLGUARD_PURPOSE": "callback", "CALLGUARD_PROJECT": "shop"}),
    Agent("debt1", "agents", "109", {"CALLGUARD_PURPOSE": "collection", "CALLGUARD_REFERENCE": "debt-1"}),
    Agent("debt2", "agents", "110", {"CALLGUARD_PURPOSE": "collection", "CALLGUARD_REFERENCE": "debt-2"}),
    Agent("bank", "agents", "111", {"CALLGUARD_PROJECT": "bank"}),
)
"""Agents whose channels say what their calls are for."""


@cache
def asterisk_root() -> Path:
    """The root folder of the Asterisk to test with.

    $ASTERISK (16 or 22) names a version; without it, the system's own Asterisk is taken where it is 16 or
    newer, else version 22.
    """
    wanted = os.environ.get("ASTERISK", "")
    own = shutil.which("asterisk")
    if own and not wanted:
        shown = subprocess.run([own, "-V"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"Asterisk (\d+)", shown)
        if found and int(found[1]) >= _OLDEST:
            return Path("/")
    script = _REPOSITORY / "docker/asterisk-root.sh"
    built = subprocess.run([script, wanted or "22"], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        raise AsteriskFailedError(f"{script} {wanted or '22'} ended with {built.returncode}")
    return Path(built.stdout.strip())


class Asterisk:
    """One Asterisk, with ports and passwords of its own.

    `folder` is seen by Asterisk as /mnt: configuration in etc, logs in log, sounds in data/sounds, CDRs in
    log/cdr-csv/Master.csv.
    """

    def __init__(
        self,
        folder: Path,
        *,
        agents: Sequence[Agent] = AGENTS,
        files: Mapping[str, str] | None = None,
        dialplan: str = "",
        verbose: bool = False,
    ) -> None:
        """`files` replaces or adds files of etc by name; `dialplan` is added to extensions.conf."""
        self.folder = folder
        self.root = asterisk_root()
        self.sip_port = free_udp_port()
        self.http_port = free_tcp_port()
        self.ami_port = free_tcp_port()
        self.carrier_port = free_udp_port(CARRIER)
        self.carrier2_port = free_udp_port(CARRIER2)
        self.user = "callguard"
        self.password = secrets.token_urlsafe(16)
        self.ari_url = f"http://{LOCALHOST}:{self.http_port}/ari"
        self.agents = tuple(agents)
        self._files = dict(files or {})
        self._dialplan = dialplan
        self._verbose = verbose
        self._process: Process | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        for name in ("etc", "lib/keys", "spool", "run", "log/cdr-csv", "data", "agi", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        modules = next(self.root.glob("usr/lib/*/asterisk/modules"), self.root / "usr/lib/asterisk/modules")
        loads = sorted({path.name for name in _MODULES for path in modules.glob(f"{name}.so")})
        values = {
            "modules": "\n".join(f"load = {name}" for name in loads),
            "levels": "notice,warning,error" + (",verbose(5)" if self._verbose else ""),
            "http": str(self.http_port),
            "ami": str(self.ami_port),
            "sip": str(self.sip_port),
            "password": self.password,
            "agents": "\n\n".join(agent.section() for agent in self.agents),
            "carrier": str(self.carrier_port),
            "carrier2": str(self.carrier2_port),
        }
        for template in _TEMPLATES.iterdir():
            own = values | (
                {"modules": f"/{modules.relative_to(self.root)}"} if template.name == "asterisk.conf" else {}
            )
            text = string.Template(template.read_text()).substitute(own)
            if template.name == "extensions.conf":
                text += self._dialplan
            (self.folder / "etc" / template.name).write_text(text)
        for dialplan in (_REPOSITORY / "dialplan").glob("*.conf"):
            shutil.copy(dialplan, self.folder / "etc")
        for name in _EMPTY:
            (self.folder / "etc" / f"{name}.conf").touch()
        shutil.copy(self.root / "etc/asterisk/indications.conf", self.folder / "etc")
        for name, text in self._files.items():
            (self.folder / "etc" / name).write_text(text)
        self._link_data()

    def _link_data(self) -> None:
        """Asterisk's own data, by links, with folders of sounds where a test can put some beside."""
        data = self.folder / "data"
        installed = Path("/usr/share/asterisk")
        for source in self._inside(installed).iterdir():
            if source.name != "sounds":
                (data / source.name).symlink_to(installed / source.name)
        (self.sounds / "en").mkdir(parents=True)
        spoken = next(
            path for path in self._inside(installed / "sounds").glob("en*") if not path.is_symlink()
        )
        for source in spoken.iterdir():
            (self.sounds / "en" / source.name).symlink_to(installed / "sounds" / spoken.name / source.name)

    def _inside(self, path: Path) -> Path:
        """Where a path of Asterisk's root lies here."""
        return self.root / path.relative_to("/")

    @property
    def process(self) -> Process:
        if self._process is None:
            raise AsteriskFailedError("Asterisk was never started")
        return self._process

    @property
    def sounds(self) -> Path:
        """The folder of sounds that Asterisk plays from, by language."""
        return self.folder / "data/sounds"

    def start(self) -> None:
        """Start, and return when it is fully booted and its HTTP server answers.

        Raises AsteriskFailedError.
        """
        if self._process and self._process.running:
            return
        (self.folder / "run/asterisk.ctl").unlink(missing_ok=True)
        root = str(self.root)
        enter = 'mount --bind "$1" "$2/mnt"; mount --bind "$2/mnt/tmp" "$2/tmp"; '
        if root != "/":
            enter += 'mount --bind /dev "$2/dev"; mount --rbind /proc "$2/proc"; '
        enter += 'ulimit -n "$(ulimit -H -n)"; '
        script = f'set -e; {enter} exec chroot "$2" asterisk -f -C /mnt/etc/asterisk.conf'
        self._process = Process(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                script,
                "sh",
                str(self.folder),
                root,
            ],
            self.folder / "log/output",
            cwd=Path("/"),
        )
        try:
            wait_for("Asterisk's start", self._ready, seconds=30)
        except WaitedInVainError as error:
            raise AsteriskFailedError(f"{error}\n{self.log_tail()}") from None

    def _ready(self) -> bool:
        if not self.process.running:
            raise AsteriskFailedError(f"ended with {self.process.exit_code}\n{self.log_tail()}")
        if not self._answers_http():
            return False
        try:
            return "fully booted" in self.cli("core waitfullybooted")
        except AsteriskFailedError:
            return False

    def _answers_http(self) -> bool:
        """Any answer is one: a test may have changed the password."""
        connection = http.client.HTTPConnection(LOCALHOST, self.http_port, timeout=2)
        try:
            connection.request("GET", "/ari/asterisk/info")
            connection.getresponse()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def cli(self, command: str) -> str:
        """Run a command of Asterisk's console and return what it printed.

        Raises AsteriskFailedError when Asterisk does not take it within 10 s.
        """
        target = str(self.process.pid)
        try:
            done = subprocess.run(
                ["nsenter", "--target", target, "--mount", "--root", "--wdns=/",
                 "/usr/sbin/asterisk", "-C", "/mnt/etc/asterisk.conf", "-rx", command],
                capture_output=True, text=True, timeout=10, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise AsteriskFailedError(f"no answer to {command!r}\n{self.log_tail()}") from None
        if done.returncode != 0:
            raise AsteriskFailedError(f"{command!r}: {done.stdout}{done.stderr}\n{self.log_tail()}")
        return done.stdout.removeprefix(_NO_CARD)

    def channels(self) -> list[str]:
        """The names of the channels that exist now."""
        return [line.split("!")[0] for line in self.cli("core show channels concise").splitlines() if line]

    def bridges(self) -> list[str]:
        """The ids of the bridges that exist now."""
        lines = self.cli("bridge show all").splitlines()
        return [line.split()[0] for line in lines if line and not line.startswith("Bridge-ID")]

    def wait_empty(self, seconds: float = 5.0) -> None:
        """Return when no channel and no bridge is left. Raises WaitedInVainError."""
        left: list[str] = []

        def empty() -> bool:
            left[:] = self.channels() + self.bridges()
            return not left

        try:
            wait_for("the end of all channels and bridges", empty, seconds=seconds)
        except WaitedInVainError:
            raise WaitedInVainError(f"left after {seconds} s: {left}\n{self.log_tail()}") from None

    def clear(self) -> None:
        """Drop every call, whatever it takes, so that the next test starts with none."""
        try:
            self.cli("channel request hangup all")
            self.wait_empty()
        except (AsteriskFailedError, WaitedInVainError):
            self.kill()
            self.start()

    def stop(self) -> None:
        """End it in an orderly way, dropping all calls."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()

    def restart(self) -> None:
        """Stop and start, with the same ports and passwords."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it hang: it keeps its connections and does nothing."""
        self.process.freeze()

    def thaw(self) -> None:
        self.process.signal(signal.SIGCONT)

    def configure(self, name: str, text: str) -> None:
        """Replace a file of etc. Asterisk must be told to reload, or be restarted."""
        (self.folder / "etc" / name).write_text(text)

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of its log and of what it printed."""
        log = self.folder / "log/messages"
        written = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
        printed = self.process.tail(10) if self._process else ""
        return "\n".join(["--- Asterisk's log:", *written, printed])


@contextmanager
def running_asterisk(
    *,
    agents: Sequence[Agent] = AGENTS,
    files: Mapping[str, str] | None = None,
    dialplan: str = "",
    verbose: bool = False,
) -> Iterator[Asterisk]:
    """A started Asterisk, which is stopped and whose folder is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="callguard-asterisk-") as folder:
        asterisk = Asterisk(Path(folder), agents=agents, files=files, dialplan=dialplan, verbose=verbose)
        try:
            asterisk.start()
            yield asterisk
        finally:
            asterisk.stop()
