"""Downloads from a server that misbehaves."""

import hashlib
import io
import re
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pooch
import pytest

from benchmarks import data
from benchmarks.__main__ import main
from benchmarks.data import download

COLUMNS = ["name", "group", "path", "bytes", "hash", "rows", "features", "url"]


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


TABLE = npz(X=np.random.default_rng(0).normal(size=(50, 3)), y=np.repeat([0, 1], [45, 5]))
HASH = f"sha256:{hashlib.sha256(TABLE).hexdigest()}"
OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "slow body": (OK + b"Content-Length: 100000\r\n\r\n", b"x"),
    "slow headers": (OK, b"x"),
    "slow lengths of chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "silence": (b"", b""),
    "large body": (OK + b"\r\n", bytes(2**16)),
    "large chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + bytes(2**16) + b"\r\n"),
}
ABSURD = {
    "no status": b"hello\r\n\r\n",
    "status": b"HTTP/1.1 9999999999 OK\r\n\r\n",
    "length": OK + b"Content-Length: many\r\n\r\n" + TABLE[::-1],
    "lengths": OK + b"Content-Length: 1, 2\r\n\r\nab",
    "negative length": OK + b"Content-Length: -5\r\n\r\n",
    "long line": OK + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
    "many lines": OK + b"A: b\r\n" * 1000 + b"\r\n",
    "zip": OK + b"Content-Encoding: gzip\r\n\r\nno gzip",
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    "a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\n\r\n",
    "no host": b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a." * 200 + b"/\r\n\r\n",
    "in a circle": b"HTTP/1.1 302 Found\r\nLocation: /7_table.npz\r\n\r\n",
}


class Server(ThreadingHTTPServer):
    """Answers each request for a path with the next of the answers that a test lays down for it; the last one stays."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers = {}
        self.requests = []
        self.ends = threading.Event()

    def handle_error(self, request, client_address):
        """Stay silent: clients that turn away are wanted here."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        answers = self.server.answers.get(self.path, ["404"])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer in ABSURD:
            self.wfile.write(ABSURD[answer])
            return
        if answer in ENDLESS:
            start, again = ENDLESS[answer]
            self.wfile.write(start)
            while not self.server.ends.wait(0 if len(again) > 1 else 0.05):
                self.wfile.write(again)
            return
        status, content, sent = {
            "404": (404, b"not here", None),
            "500": (500, b"sorry", None),
            "good": (200, TABLE, None),
            "truncated": (200, TABLE, len(TABLE) // 2),
            "wrong": (200, TABLE[::-1], None),
        }.get(answer, (200, answer, None))  # or the bytes to answer with
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, *args):
        """Stay silent."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)  # between tries
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.ends.set()
    server.shutdown()
    thread.join()
    server.server_close()


def line(server, name="7_table", hash=HASH):
    path = f"adbench/Classical/{name}.npz"
    return dict(zip(COLUMNS, [name, "Classical", path, "", hash, "", "", f"{server.url}/{name}.npz"], strict=True))


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "answers", [["good"], ["500", "good"], ["truncated", "good"], ["wrong", "good"], ["404", "500", "good"]]
)
def test_in_the_end_it_is_there(server, tmp_path, answers, known):
    server.answers["/7_table.npz"] = list(answers)
    file = line(server) if known else line(server, hash="")
    path = download.fetch(file, tmp_path)
    assert files_in(tmp_path) == [path]
    assert path.read_bytes() == TABLE
    assert path.stat().st_mode & 0o777 == 0o644
    assert len(server.requests) == len(answers)
    assert data.expand(["table"], tmp_path) == ["7_table"]
    assert data.load("7_table", tmp_path).X.shape == (50, 3)
    download.fetch(file, tmp_path)
    assert len(server.requests) == len(answers)  # it was there


@pytest.mark.parametrize(
    ("answer", "known", "reason"),
    [
        ("500", True, "500 Server Error"),
        ("404", False, "404 Client Error"),
        ("truncated", True, "IncompleteRead"),
        ("truncated", False, "IncompleteRead"),
        ("wrong", True, "hash of downloaded file .* does not match"),
        ("wrong", False, "no .npz, or not all of one"),
        (TABLE[:-100], True, "does not match"),
        (TABLE[:-100], False, "no .npz, or not all of one"),
        (TABLE[:400] + bytes(100) + TABLE[500:], False, "no .npz of X and y: Bad CRC-32"),
        (b"<html>Please log in", False, "no .npz, or not all of one"),
        (npz(X=np.zeros((3, 2))), False, "no .npz of X and y: .*y"),
        (npz(X=np.array([None]), y=np.zeros(1)), False, "no .npz of X and y: Object arrays"),
        (npz(X=np.zeros((3, 2)), y=np.zeros(2)), False, "3 rows in X and 2 in y"),
    ],
)
def test_failures_leave_nothing_half_done(server, tmp_path, answer, known, reason):
    server.answers["/7_table.npz"] = [answer]
    file = line(server) if known else line(server, hash="")
    with pytest.raises(OSError, match=f"{re.escape(file['url'])}.*{reason}"):
        download.fetch(file, tmp_path)
    assert len(server.requests) == 1 + download.RETRIES
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("answer", ["500", "truncated", "wrong"])
def test_failures_leave_what_was_there(server, tmp_path, answer):
    server.answers["/7_table.npz"] = [answer]
    path = tmp_path / line(server)["path"]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"older")
    with pytest.raises(OSError, match="7_table.npz"):
        download.fetch(line(server), tmp_path)
    assert files_in(tmp_path) == [path]
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize("known", [True, False])
def test_a_broken_file_is_replaced(server, tmp_path, known):
    server.answers["/7_table.npz"] = ["good"]
    file = line(server) if known else line(server, hash="")
    path = tmp_path / file["path"]
    path.parent.mkdir(parents=True)
    path.write_bytes(TABLE[:100])
    assert download.fetch(file, tmp_path).read_bytes() == TABLE


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("answer", ["slow body", "slow headers", "slow lengths of chunks", "silence"])
def test_a_server_that_never_ends_is_given_up(server, tmp_path, answer, known):
    server.answers["/7_table.npz"] = [answer]
    file = line(server) if known else line(server, hash="")
    start = time.monotonic()
    with pytest.raises(OSError, match=f"{re.escape(file['url'])}: took longer than 0.5 s"):
        download.fetch(file, tmp_path, time_limit=0.5)
    assert time.monotonic() - start < 10
    assert len(server.requests) == 1
    assert files_in(tmp_path) == []


def test_the_time_is_that_of_all_tries(server, tmp_path):
    server.answers["/7_table.npz"] = ["500", "truncated", "slow body"]
    with pytest.raises(OSError, match="took longer than 1 s"):
        download.fetch(line(server), tmp_path, time_limit=1)
    assert len(server.requests) == 3


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("answer", ["large body", "large chunks"])
def test_a_body_that_never_ends_is_fetched_once_and_not_whole(server, tmp_path, monkeypatch, answer, known):
    monkeypatch.setattr(download, "_MOST_BYTES", 300_000)
    server.answers["/7_table.npz"] = [answer]
    file = line(server) | {"bytes": str(len(TABLE))} if known else line(server, hash="")
    most = len(TABLE) if known else 300_000
    with pytest.raises(OSError, match=f"{re.escape(file['url'])}: what came is larger than {most} bytes"):
        download.fetch(file, tmp_path, time_limit=30)
    assert len(server.requests) == 1
    assert files_in(tmp_path) == []


def test_a_file_of_the_very_size_is_taken(server, tmp_path):
    server.answers["/7_table.npz"] = ["good"]
    assert download.fetch(line(server) | {"bytes": str(len(TABLE))}, tmp_path).read_bytes() == TABLE


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("answer", ABSURD)
def test_absurd_answers_end_that_file_and_name_it(server, tmp_path, answer, known):
    server.answers["/7_table.npz"] = [answer]
    file = line(server) if known else line(server, hash="")
    with pytest.raises(OSError, match=f"{re.escape(file['url'])}: ."):
        download.fetch(file, tmp_path, time_limit=30)
    assert files_in(tmp_path) == []


def of_member(offset_here, offset_in_list, value):
    """An archive whose members' headers, at both of their places, hold another number."""
    content = bytearray(TABLE)
    for mark, offset in ((b"PK\x03\x04", offset_here), (b"PK\x01\x02", offset_in_list)):
        for found in re.finditer(mark, TABLE):
            content[found.start() + offset] = value
    return bytes(content)


def with_header(text):
    """An archive whose X begins with a header of numpy's, and nothing after it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        header = text.encode("latin1")
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        labels = io.BytesIO()
        np.save(labels, np.zeros(3))
        archive.writestr("y.npy", labels.getvalue())
    return file.getvalue()


NO_TABLES = {
    "scalars": (npz(X=np.array(1.0), y=np.array(1)), "X is a single number"),
    "scalar y": (npz(X=np.zeros((3, 2)), y=np.array(1)), "y is a single number"),
    "encrypted": (of_member(6, 8, 1), "encrypted"),
    "unknown compression": (of_member(8, 10, 99), "compression"),
    "a huge shape": (with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 10000000000000)}\n"), "bytes"),
    "a negative shape": (with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 2)}\n"), "bytes"),
    "shape of text": (with_header("{'descr': '<f8', 'fortran_order': False, 'shape': 'ab'}\n"), "shape"),
    "no type": (with_header("{'descr': 'what', 'fortran_order': False, 'shape': (3,)}\n"), "descr"),
    "no header": (with_header("((((" * 500), ""),
    "a long header": (with_header("1" * 60_000), ""),
    "nothing": (with_header(""), ""),
}


@pytest.mark.parametrize(("content", "reason"), NO_TABLES.values(), ids=NO_TABLES)
def test_what_is_no_table_ends_that_file_and_the_others_go_on(server, registry, tmp_path, capsys, content, reason):
    unhashed = [line(server, name, hash="") for name in ("7_table", "8_gone", "9_other")]
    pd.DataFrame(unhashed).to_csv(tmp_path / "downloads.csv", index=False)
    server.answers["/8_gone.npz"] = [content]
    assert main(["download", "Classical", "--data", str(tmp_path / "data")]) == 1
    (failed,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("failed: ")]
    assert re.match(f"failed: {re.escape(server.url)}/8_gone.npz: what came is no .npz of X and y: .*{reason}", failed)
    assert sorted(path.name for path in files_in(tmp_path / "data")) == ["7_table.npz", "9_other.npz"]


def test_a_full_disk_ends_that_file_and_leaves_nothing(small_disk, server, registry, tmp_path, capsys):
    limit, lift = small_disk
    limit(len(TABLE) - 100)
    assert main(["download", "7_table", "9_other", "--data", str(tmp_path / "data")]) == 1
    lift()
    failed = capsys.readouterr().err.splitlines()
    for name, text in zip(("7_table", "9_other"), failed, strict=True):
        assert text.startswith(f"failed: {server.url}/{name}.npz: [Errno ")
    assert files_in(tmp_path / "data") == []
    assert main(["download", "7_table", "9_other", "--data", str(tmp_path / "data")]) == 0


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    server.answers["/7_table.npz"] = ["good"]
    monkeypatch.setattr(download, "_check_table", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download.fetch(line(server, hash=""), tmp_path)
    assert files_in(tmp_path) == []


def test_nobody_answers(server, tmp_path):
    file = line(server) | {"url": "http://127.0.0.1:9/7_table.npz"}  # the discard port
    with pytest.raises(OSError, match=r"http://127.0.0.1:9/7_table.npz: .*Connection"):
        download.fetch(file, tmp_path)
    assert files_in(tmp_path) == []


def test_nowhere_to_write(server, tmp_path):
    (tmp_path / "adbench").write_text("a file")
    server.answers["/7_table.npz"] = ["good"]
    with pytest.raises(OSError, match=f"{re.escape(server.url)}.*adbench"):
        download.fetch(line(server), tmp_path)


@pytest.fixture
def registry(server, tmp_path, monkeypatch):
    """Three tables; the server lacks the second."""
    monkeypatch.setattr(download, "_REGISTRY", tmp_path / "downloads.csv")
    lines = [line(server, name) for name in ("7_table", "8_gone", "9_other")]
    pd.DataFrame(lines).to_csv(tmp_path / "downloads.csv", index=False)
    for name in ("7_table", "9_other"):
        server.answers[f"/{name}.npz"] = ["good"]
        server.answers[f"/copy/adbench/Classical/{name}.npz"] = ["good"]


def test_command_line(server, registry, tmp_path, capsys):
    data = tmp_path / "data"
    assert main(["download", "7_table", "other", "7_table", "--data", str(data)]) == 0
    assert sorted(path.name for path in files_in(data)) == ["7_table.npz", "9_other.npz"]
    assert server.requests == ["/7_table.npz", "/9_other.npz"]
    assert str(data / "adbench" / "Classical" / "9_other.npz") in capsys.readouterr().out
    assert main(["list", "--data", str(data)]) == 0
    words = [text.split() for text in capsys.readouterr().out.splitlines()]
    assert ["7_table", "50", "x", "3", "present"] in words
    assert ["8_gone", "download"] in words


def test_command_line_goes_on_after_a_failure(server, registry, tmp_path, capsys):
    assert main(["download", "Classical", "--data", str(tmp_path / "data")]) == 1
    assert f"failed: {server.url}/8_gone.npz: 404 Client Error" in capsys.readouterr().err
    assert sorted(path.name for path in files_in(tmp_path / "data")) == ["7_table.npz", "9_other.npz"]


def test_command_line_gives_up_a_file_and_goes_on(server, registry, tmp_path, capsys):
    server.answers["/8_gone.npz"] = ["slow body"]
    assert main(["download", "Classical", "--time-limit", "2", "--data", str(tmp_path / "data")]) == 1
    assert f"failed: {server.url}/8_gone.npz: took longer than 2 s" in capsys.readouterr().err
    assert sorted(path.name for path in files_in(tmp_path / "data")) == ["7_table.npz", "9_other.npz"]


@pytest.mark.parametrize("limit", ["0", "-1", "nan"])
def test_wrong_time_limits(server, registry, tmp_path, capsys, limit):
    assert main(["download", "Classical", "--time-limit", limit, "--data", str(tmp_path / "data")]) == 2
    assert f"time_limit must be above 0, got {float(limit)}" in capsys.readouterr().err
    assert server.requests == []


def test_unknown_names(server, registry, tmp_path, capsys):
    assert main(["download", "7_table", "nothing", "--data", str(tmp_path / "data")]) == 2
    assert "'nothing'" in capsys.readouterr().err
    assert server.requests == []
    assert not (tmp_path / "data").exists()


def test_mirror_and_cache(server, registry, tmp_path, monkeypatch):
    monkeypatch.delenv("PYOD_SYNTH_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    assert main(["download", "table", "--mirror", f"{server.url}/copy"]) == 0
    monkeypatch.setenv("PYOD_SYNTH_MIRROR", f"{server.url}/copy/")
    assert main(["download", "other"]) == 0
    assert server.requests == [f"/copy/adbench/Classical/{name}.npz" for name in ("7_table", "9_other")]
    assert len(files_in(tmp_path / "cache" / "pyod_synth")) == 2
    assert data.load("9_other").X.shape == (50, 3)


def test_nothing_is_downloaded_unasked(server, registry, tmp_path):
    with pytest.raises(ValueError, match="python -m benchmarks download 7_table"):
        data.load("7_table", tmp_path)
    data.available(tmp_path)
    assert main(["list", "--data", str(tmp_path)]) == 0
    assert server.requests == []


def test_registry_is_whole():
    files = download.registry()
    assert files.columns.tolist() == COLUMNS
    groups = files.groupby("group")["name"].apply(list)
    assert [int(name.split("_")[0]) for name in groups["Classical"]] == list(range(1, 48))
    assert groups.str.len().to_dict() == {
        "Classical": 47,
        "CV_by_ResNet18": 61,
        "CV_by_ViT": 61,
        "NLP_by_BERT": 13,
        "NLP_by_RoBERTa": 13,
        "mnist": 4,
        "fashion-mnist": 4,
        "cifar10": 1,
        "kddcup99": 2,
        "japanese-vowels": 2,
    }
    assert files["hash"].str.fullmatch("|sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}").all()
    assert files["bytes"].str.fullmatch(r"\d*").all()
    assert files["url"].str.match("https?://").all()
    # without a hash, only what can be checked otherwise
    assert files.loc[files["hash"] == "", "path"].str.endswith(".npz").all()


def test_registry_names_what_the_finders_find(tmp_path):
    files = download.registry()
    for path in files["path"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(TABLE)
    found = data.available(tmp_path)
    for file in files.to_dict("records"):
        members = [name for name, source in found.items() if tmp_path / file["path"] in source.files]
        if file["group"] in ("mnist", "fashion-mnist", "cifar10"):
            assert members == [f"{file['name']}-{label}" for label in range(10)]
        elif file["group"] == "japanese-vowels":
            assert members == [f"{file['name']}-{speaker}" for speaker in range(1, 10)]
        else:
            assert file["name"] in members
        assert {found[name].group for name in members} == {file["group"]}


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("20_letter", "20_letter", 1),
        ("letter", "20_letter", 1),
        ("Classical", "1_ALOI", 47),
        ("mnist", "mnist", 4),  # not ADBench's 24_mnist
        ("fashion-mnist-2+3", "fashion-mnist", 4),
        ("cifar10-all", "cifar10", 1),
        ("mnist-1-with-7", "mnist", 4),
        ("mnist-test-1", "mnist", 4),
        ("japanese-vowels-3", "japanese-vowels", 2),
        ("CV_by_ViT/SVHN_0", "CV_by_ViT/SVHN_0", 1),
        ("31_satimage-2", "31_satimage-2", 1),
    ],
)
def test_names(name, first, count):
    found = download.find(name)
    assert (found["name"].iloc[0], len(found)) == (first, count)


@pytest.mark.needs_data
def test_registry_of_real_files(data_folder):
    files = download.registry()
    at_hand = files["path"].map(lambda path: (data_folder / path).is_file())
    known = files[at_hand & files["path"].str.endswith(".npz")]
    assert len(known) >= 47
    for file in known.to_dict("records"):
        content = (data_folder / file["path"]).read_bytes()
        assert int(file["bytes"]) == len(content)
        assert file["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        with np.load(io.BytesIO(content)) as arrays:
            assert arrays["X"].shape == (int(file["rows"]), int(file["features"]))


@pytest.mark.needs_data
def test_real_file_from_a_mirror(server, data_folder, tmp_path):
    path = "adbench/Classical/38_thyroid.npz"
    server.answers[f"/{path}"] = [(data_folder / path).read_bytes()]
    assert main(["download", "thyroid", "--data", str(tmp_path), "--mirror", server.url]) == 0
    assert data.load("38_thyroid", tmp_path).y.sum() == 93
