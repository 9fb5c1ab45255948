"""Form a group of MySQL servers on this machine, from the private server's binaries.

    python -m examples.cluster.cluster start [--nodes 3] [--folder FOLDER]
    python -m examples.cluster.cluster status | kill N | restart N | stop

The servers listen on 127.0.0.1 alone, without passwords: for tests and demos.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pymysql

from lookalike import PrivateServer
from lookalike.server.mysqld import inspect

DATABASE = "lookalike"
START_LIMIT, JOIN_LIMIT, SUSPICION = 100.0, 60.0, 8.0  # seconds
FOLDER = Path(tempfile.gettempdir(), f"lookalike-cluster-{os.geteuid()}")

SMALL = (
    "--innodb-buffer-pool-size=64M",
    "--innodb-redo-log-capacity=32M",
    "--group-replication-message-cache-size=134217728",
)
REPLICATED = (
    "--bind-address=127.0.0.1",
    "--mysqlx=OFF",
    "--report-host=127.0.0.1",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--plugin-load-add=group_replication.so",
    "--loose-group-replication-start-on-boot=OFF",
    # On MySQL's own port, so that nothing further listens.
    "--loose-group-replication-communication-stack=MYSQL",
    "--loose-group-replication-recovery-get-public-key=ON",
    # A dead member is expelled once it is suspected: writes go on after 6 s instead of 22.
    "--loose-group-replication-member-expel-timeout=0",
)
ACCOUNTS = (
    "SET sql_log_bin = 0",
    "CREATE USER recovery@'%' IDENTIFIED BY 'recovery'",
    "GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM "
    "ON *.* TO recovery@'%'",
    "SET sql_log_bin = 1",
)
CHANNEL = (
    "CHANGE REPLICATION SOURCE TO SOURCE_USER='recovery', SOURCE_PASSWORD='recovery' "
    "FOR CHANNEL 'group_replication_recovery'"
)

_VIEW = (
    "SELECT member_port, member_state, member_role "
    "FROM performance_schema.replication_group_members"
)


@dataclass
class Node:
    """One server of the group.

    number: from 1. command: runs the program, without its options.
    """

    number: int
    port: int
    folder: Path
    command: list[str]
    options: list[str]
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def pid(self) -> int | None:
        """The process's id; None if it does not run."""
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int((self.folder / "pid").read_text()))
            if f"--datadir={self.folder / 'data'}" in process.cmdline():
                return process.pid
        return None

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still, by SIGSTOP."""
        pid = self.pid
        return pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the server; it answers later."""
        for stale in ("socket", "socket.lock", "pid"):
            (self.folder / stale).unlink(missing_ok=True)
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*self.command, *self.options], stdout=log, stderr=log, start_new_session=True
            )
        (self.folder / "pid").write_text(str(self.process.pid))

    def wait(self) -> None:
        """Wait until the server answers."""
        failed = f"node {self.number} does not start: see {self.folder / 'log'}"
        _wait(START_LIMIT, failed, self._answers)

    def _answers(self) -> bool:
        with suppress(pymysql.err.OperationalError):
            self.run("SELECT 1")
            return True
        return False

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as root over the socket; return the last one's rows."""
        connection = pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)
        with closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; SIGKILL waits for the end."""
        if (pid := self.pid) is not None:
            process = psutil.Process(pid)
            process.send_signal(number)
            if number == signal.SIGKILL:
                process.wait(START_LIMIT)
                if self.process:
                    self.process.wait()

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self.signal(signal.SIGKILL)

    def state(self) -> str:
        """Return the member's state in its own view, such as ONLINE."""
        rows = self.run(
            "SELECT member_state FROM performance_schema.replication_group_members "
            "WHERE member_id = @@server_uuid"
        )
        return rows[0][0] if rows else "OFFLINE"

    def join(self, *, first: bool = False) -> None:
        """Join the group, or found it."""
        bootstrap = "SET GLOBAL group_replication_bootstrap_group = "
        if first:
            self.run(bootstrap + "ON", "START GROUP_REPLICATION", bootstrap + "OFF")
        else:
            self.run("START GROUP_REPLICATION")
        failed = f"node {self.number} does not join: see {self.folder / 'log'}"
        _wait(JOIN_LIMIT, failed, lambda: self.state() == "ONLINE")


class Cluster:
    """A group in a folder.

    folder: of its data. mysqld: the program; by default that of the private server.
    """

    def __init__(self, folder: Path, mysqld: Path | None = None) -> None:
        self.folder = folder
        self._mysqld = mysqld
        self.nodes: list[Node] = []
        if self._notes.exists():
            noted = json.loads(self._notes.read_text())
            self.nodes = [
                Node(each["number"], each["port"], Path(each["folder"]), *each["runs"])
                for each in noted
            ]

    @property
    def _notes(self) -> Path:
        return self.folder / "nodes.json"

    @property
    def url(self) -> str:
        """The URL of the whole group."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"mysql://root@{hosts}/{DATABASE}"

    def form(self, n_nodes: int = 3) -> None:
        """Make the data folders, start the servers, and join them to a group."""
        self.folder.mkdir(mode=0o700, parents=True)
        mysqld = self._mysqld or PrivateServer().install()
        command = inspect(mysqld).command()
        template = self.folder / "template"
        made = [*command, f"--datadir={template}", *SMALL[:2], "--initialize-insecure"]
        subprocess.run(made, check=True, capture_output=True)
        (template / "auto.cnf").unlink()  # a server's identity
        ports = _free_ports(n_nodes)
        group = str(uuid.uuid4())
        for number, port in enumerate(ports, 1):
            folder = self.folder / str(number)
            folder.mkdir()
            shutil.copytree(template, folder / "data")
            options = _options(number, ports, folder, group)
            self.nodes.append(Node(number, port, folder, command, options))
        shutil.rmtree(template)
        self._note()
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()
            node.run(*ACCOUNTS, "RESET BINARY LOGS AND GTIDS", CHANNEL)
            node.join(first=node.number == 1)
        self.nodes[0].run(f"CREATE DATABASE {DATABASE}")

    def _note(self) -> None:
        noted = [
            {
                "number": node.number,
                "port": node.port,
                "folder": str(node.folder),
                "runs": [node.command, node.options],
            }
            for node in self.nodes
        ]
        self._notes.write_text(json.dumps(noted))

    def members(self) -> dict[int, tuple[str, str]]:
        """Return the (state, role) of each port, as a node that is online sees them."""
        for node in self.nodes:
            with suppress(pymysql.err.OperationalError):
                if node.pid and node.state() == "ONLINE":
                    return {port: (state, role) for port, state, role in node.run(_VIEW)}
        return {}

    @property
    def primary(self) -> Node | None:
        """The node that takes writes; None while there is none."""
        for port, told in self.members().items():
            if told == ("ONLINE", "PRIMARY"):
                return next(node for node in self.nodes if node.port == port)
        return None

    @property
    def secondaries(self) -> list[Node]:
        """The nodes that follow it."""
        online = {port for port, told in self.members().items() if told == ("ONLINE", "SECONDARY")}
        return [node for node in self.nodes if node.port in online]

    def run_on_primary(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements where writes go, as soon as that is known."""
        _wait(JOIN_LIMIT, "the group has no primary", lambda: self.primary)
        primary = self.primary
        assert primary is not None
        return primary.run(*statements)

    def restart(self, node: Node) -> None:
        """Start a node that was killed, and have it join again; found a group if there is none."""
        if node.pid is None:
            node.start()
        _wait(JOIN_LIMIT, "the group has no primary", lambda: self.primary or not self.members())
        if node.state() not in ("ONLINE", "RECOVERING"):
            node.run("STOP GROUP_REPLICATION")
            node.join(first=not self.members())

    def heal(self) -> None:
        """Have every node run, and be online in the eyes of all."""
        stopped = [node for node in self.nodes if node.is_stopped]
        for node in stopped:
            node.signal(signal.SIGCONT)
        if stopped:
            time.sleep(SUSPICION)  # until all know what they missed
        for node in self.nodes:
            if node.pid is None:
                node.start()
        deadline = time.monotonic() + 2 * JOIN_LIMIT
        while not self._is_whole():
            if time.monotonic() > deadline:
                raise SystemExit(f"the group does not heal: see the logs in {self.folder}")
            for node in self.nodes:
                if node.state() in ("OFFLINE", "ERROR"):
                    self.restart(node)
            time.sleep(0.5)

    def _is_whole(self) -> bool:
        views = {frozenset(node.run(_VIEW)) for node in self.nodes}
        return len(views) == 1 and all(
            len(view) == len(self.nodes) and all(state == "ONLINE" for _, state, _ in view)
            for view in views
        )

    def stop(self) -> None:
        """End all servers and remove their data."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _options(number: int, ports: list[int], folder: Path, group: str) -> list[str]:
    seeds = ",".join(f"127.0.0.1:{port}" for port in ports)
    return [
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 'socket'}",
        f"--port={ports[number - 1]}",
        f"--report-port={ports[number - 1]}",
        f"--server-id={number}",
        *REPLICATED,
        *SMALL[:2],
        f"--loose-{SMALL[2][2:]}",
        f"--loose-group-replication-group-name={group}",
        f"--loose-group-replication-local-address=127.0.0.1:{ports[number - 1]}",
        f"--loose-group-replication-group-seeds={seeds}",
    ]


def _free_ports(n_ports: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_ports)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait(limit: float, failure: str, is_done: Callable[[], object]) -> None:
    deadline = time.monotonic() + limit
    while not is_done():
        if time.monotonic() > deadline:
            raise SystemExit(failure)
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["start", "status", "kill", "restart", "stop"])
    parser.add_argument("node", type=int, nargs="?", help="for kill and restart; the primary")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    cluster = Cluster(given.folder)
    if given.what == "start":
        if not cluster.nodes:
            cluster.form(given.nodes)
        print(cluster.url)
    elif given.what == "status":
        for port, (state, role) in sorted(cluster.members().items()):
            print(port, state, role)
    elif given.what == "stop":
        cluster.stop()
    else:
        node = cluster.nodes[given.node - 1] if given.node else cluster.primary
        if node is None:
            raise SystemExit("there is no primary")
        node.kill() if given.what == "kill" else cluster.restart(node)


if __name__ == "__main__":
    main()
