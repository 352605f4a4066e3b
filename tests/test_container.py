"""The Dockerfile and the compose file, step by step in directories of their own: no engine runs."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import typing

from twisted.trial.unittest import TestCase

from aluvia.agent.tap import Options
from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.dialling import dial
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin
from tests import compose
from tests.aluvia_process import Child, reactor
from tests.checkout import CHECKOUT
from tests.image import Container, built, step, steps

#: Nobody.
NOBODY = "65534:65534"


class ContainerCase(TestCase):
    """Runs what containers run; all of it ends with the test."""

    timeout = 900.0

    def setUp(self) -> None:
        """An image, and a directory for what is mounted."""
        self.image = built()
        self.place = pathlib.Path(self.mktemp()).resolve()
        self.place.mkdir()

    def mounted(self, name: str) -> pathlib.Path:
        """What is mounted under this name."""
        path = self.place / name
        path.mkdir(exist_ok=True)
        return path

    def kept(self, child: Child) -> Child:
        """End it with the test."""

        async def end() -> None:
            child.kill()
            await child.wait()

        self.addCleanup(end)
        return child

    async def healthy(self, container: Container, child: Child, wanted: int = 0) -> None:
        """Wait until a check of its health says this."""
        status = None
        while status != wanted:
            self.assertFalse(child.ended, child.output)
            status = await self.kept(container.check()).wait()

    async def ends(self, child: Child) -> None:
        """It drains at SIGTERM, and has had no trouble."""
        child.send_signal(signal.SIGTERM)
        self.assertEqual(await child.wait(), 128 + signal.SIGTERM, child.output)
        self.assertNotIn("Traceback", child.output)
        self.assertNotIn("plugin cache", child.output)

    async def get(self, port: int, path: str) -> Response:
        """Ask a port of this machine."""
        connection = await dial(reactor, "127.0.0.1", port)
        try:
            await connection.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return await read_response(connection)
        finally:
            connection.close()


class ImageTests(ContainerCase):
    """What a build makes, and what it does by itself."""

    def test_small(self) -> None:
        """Of the build stage it takes the environment alone: no sources, no pip, no compiler."""
        self.assertEqual({line.split()[0] for line in steps("COPY")}, {".", "--from=build"})
        self.assertEqual(len(steps("FROM")), 2)
        programs = {path.name for path in (self.image.root / "opt/aluvia/bin").iterdir()}
        self.assertEqual({"aluvia", "twistd", "python3"} - programs, set())
        self.assertEqual({each for each in programs if each.startswith(("pip", "wheel"))}, set())
        self.assertFalse([*self.image.root.rglob("setuptools")])

    def test_context(self) -> None:
        """What the wheel is built from gets into the build, and nothing that may be secret."""
        self.assertEqual(
            {path.name for path in self.image.context.iterdir()} - {"build", "aluvia.egg-info"},
            {"LICENSE", "README.rst", "aluvia", "pyproject.toml", "setup.cfg", "twisted"},
        )

    def test_nobody(self) -> None:
        """It is nobody's, and so are the places of volumes, which are there; nothing else is."""
        self.assertEqual(step("USER"), NOBODY)
        owned = [line for line in steps("COPY") if "--chown" in line]
        self.assertEqual(owned, [f"--from=build --chown={NOBODY} /made /var/lib"])
        for service in compose.services({}).values():
            for volume in service["volumes"]:
                self.assertTrue((self.image.root / volume.split(":")[1][1:]).is_dir(), volume)

    async def test_client(self) -> None:
        """Its own command is the client's: it starts, is healthy, drains, and writes nothing."""
        secrets = self.mounted("secrets")
        (secrets / "aluvia-token").write_text("token\n", encoding="utf-8")
        (secrets / "aluvia-users").write_text("me:mine\n", encoding="utf-8")
        plane = FakeControlPlane(reactor, rules=["*.example.com"])
        self.addCleanup(plane.stop)
        container = Container(
            self.image,
            {"/run/secrets": secrets, "/tmp": self.mounted("tmp")},
            {"ALUVIA_API_BASE_URL": plane.base_url},
        )
        before = self.image.files()
        child = self.kept(
            container.start([*json.loads(step("CMD")), "--port", "0", "--admin-port", "0"])
        )
        await self.healthy(container, child)
        await self.ends(child)
        self.assertNotIn("mine", child.output)
        self.assertEqual(self.image.files(), before)
        self.assertEqual(await self.kept(container.check()).wait(), 69)


class ComposeTests(ContainerCase):
    """The compose file: an edge, an agent, and the key between them."""

    def test_guarded(self) -> None:
        """No service may more than it needs, and one port is for everybody."""
        found = compose.services({})
        self.assertEqual(sorted(found), ["agent", "edge", "key"])
        for service in found.values():
            self.assertEqual(
                (service["read_only"], service["cap_drop"], service["security_opt"]),
                (True, ["ALL"], ["no-new-privileges:true"]),
            )
            self.assertEqual(service["tmpfs"], ["/tmp"])
            self.assertEqual((service["build"], service["image"]), (".", "aluvia"))
        self.assertEqual(found["edge"]["ports"], ["8080:8080", "127.0.0.1:8901:8901"])
        self.assertEqual([name for name in found if "ports" in found[name]], ["edge"])
        self.assertEqual(found["agent"]["volumes"], ["key:/var/lib/aluvia/key:ro"])
        self.assertNotIn("key", [each.split(":")[0] for each in found["edge"]["volumes"]])
        self.assertEqual(found["agent"]["extra_hosts"], ["host.docker.internal:host-gateway"])
        self.assertEqual(
            {name: service["restart"] for name, service in found.items()},
            {"edge": "unless-stopped", "agent": "unless-stopped", "key": "no"},
        )

    def test_parts(self) -> None:
        """Who waits for the key does so until it is there; each volume that is used is declared."""
        document = compose.read(compose.COMPOSE.read_text(encoding="utf-8"))
        found = document["services"]
        for name in ("edge", "agent"):
            self.assertEqual(
                found[name]["depends_on"],
                {"key": {"condition": "service_completed_successfully"}},
            )
        used = {each.split(":")[0] for service in found.values() for each in service["volumes"]}
        self.assertEqual(used, set(document["volumes"]))

    def container(
        self, name: str, places: typing.Mapping[str, str], **environ: str
    ) -> tuple[Container, typing.Callable[[], Child]]:
        """
        A service, and what starts it.

        :param places: what is somewhere else here than in the containers' network.
        """
        service = compose.services(environ)[name]
        volumes = [each.split(":")[:2] for each in service["volumes"]]
        mounts = {path: self.mounted(f"volume-{volume}") for volume, path in volumes}

        def here(text: str) -> str:
            for there, place in places.items():
                text = text.replace(there, place)
            return text

        container = Container(
            self.image,
            {"/tmp": self.mounted(f"tmp-{name}"), **mounts},
            {key: here(value) for key, value in service.get("environment", {}).items()},
        )

        def start() -> Child:
            command = [here(word) for word in service["command"]]
            return self.kept(container.start(command, service.get("entrypoint")))

        return container, start

    async def made_key(self) -> str:
        """Make the key; it is made once."""
        _, start = self.container("key", {})
        file = self.mounted("volume-key") / "agent.key"
        keys = set()
        for _ in range(2):
            child = start()
            self.assertEqual(await child.wait(), 0, child.output)
            keys.add(file.read_text(encoding="ascii"))
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        (key,) = keys
        self.assertNotIn(key.strip(), child.output)
        return key.strip()

    async def test_up(self) -> None:
        """
        ``docker compose up``: a page of this machine is to be had below ``/t/app/``, with no step
        by hand; all are healthy; when the edge is away the agent is not, and comes back.
        """
        origin = FakeOrigin(reactor)
        self.addCleanup(origin.stop)
        before = self.image.files()
        key = await self.made_key()
        edge_places = {f"0.0.0.0:{port}": "127.0.0.1:0" for port in (8080, 8910, 8901)}
        edge, start_edge = self.container("edge", edge_places)
        edge_child = start_edge()
        await self.healthy(edge, edge_child)
        ports = json.loads(edge.port_file.read_text(encoding="utf-8"))
        agent_places = {
            "edge:8910": f"127.0.0.1:{ports['hub']}",
            "host.docker.internal:3000": f"127.0.0.1:{origin.port}",
        }
        agent, start_agent = self.container("agent", agent_places)
        agent_child = start_agent()
        await self.healthy(agent, agent_child)
        page = await self.get(ports["http"], "/t/app/hello?a=b")
        self.assertEqual(page.status, 200, page)
        self.assertEqual(json.loads(page.body)["target"], "/hello?a=b")
        self.assertEqual((await self.get(ports["hub"], "/api/health")).status, 200)
        self.assertEqual((await self.get(ports["api"], "/readyz")).status, 200)
        await self.ends(edge_child)
        await self.healthy(agent, agent_child, 1)
        again = {there: f"127.0.0.1:{ports[name]}" for there, name in _PORTS.items()}
        edge, start_edge = self.container("edge", again)
        edge_child = start_edge()
        await self.healthy(agent, agent_child)
        self.assertEqual((await self.get(ports["http"], "/t/app/")).status, 200)
        await self.ends(agent_child)
        await self.ends(edge_child)
        for child in (edge_child, agent_child):
            self.assertNotIn(key, child.output)
        self.assertEqual(self.image.files(), before)

    async def test_lost_key(self) -> None:
        """What the page says for a key that was lost makes another one."""
        lost = await self.made_key()
        file = self.mounted("volume-key") / "agent.key"
        file.unlink()
        page = (CHECKOUT / "docs/howto/tunnels-deploy.rst").read_text(encoding="utf-8")
        (command,) = re.findall(r"docker compose run --rm key '([^']+)'", page)
        key, start = self.container("key", {})
        # Started once more as it is, it says that there is a key which it does not have.
        self.assertEqual(await start().wait(), 65)
        entrypoint = compose.services({})["key"]["entrypoint"]
        self.assertEqual(await self.kept(key.start([command], entrypoint)).wait(), 0)
        self.assertNotIn(file.read_text(encoding="ascii").strip(), ("", lost))

    async def test_as_it_stands(self) -> None:
        """In the containers' own network the same words are good, and more can be published."""
        await self.made_key()
        publish = "a=http://host.docker.internal:3000,b@secret=http://host.docker.internal:1"
        service = compose.services({"ALUVIA_PUBLISH": publish})["agent"]
        mounts = {"/var/lib/aluvia/key": self.mounted("volume-key")}
        door, *words = [self.image.placed(word, mounts) for word in service["command"]]
        self.assertEqual(door, "aluvia-agent")
        self.patch(os, "environ", dict(service["environment"]))
        options = Options()
        options.parseOptions(words)
        self.assertEqual(str(options.settings.hub), "ws://edge:8910/agent")
        self.assertEqual([each.id for each in options.settings.tunnels], ["a", "b"])


_PORTS = {"0.0.0.0:8080": "http", "0.0.0.0:8910": "hub", "0.0.0.0:8901": "api"}
